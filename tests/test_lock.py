"""dvc.lock, as it is committed, is of these sources, parameters and data; the README shows the stages."""

import subprocess
from pathlib import Path

from tests.checkout import ROOT, copy, environment, ran, run


def test_nothing_would_run_in_a_fresh_clone(tmp_path: Path) -> None:
    copy(tmp_path, lambda name: not name.startswith("tests/"))
    run(tmp_path, "git", "init", "--quiet")
    command = ["dvc", "repro", "--dry", "--allow-missing"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    # DVC ends in an error at a stage that would run, or that needs what such a one makes.
    remedy = "run `make repro`, then commit dvc.lock and metrics/ with what you have changed"
    assert (ran(done.stdout), done.returncode) == ([], 0), f"{remedy}: {done.stderr}"


def test_the_readme_shows_the_stages_as_they_are() -> None:
    told = run(ROOT, "dvc", "dag", "--mermaid").strip().expandtabs(4)
    assert f"```mermaid\n{told}\n```" in (ROOT / "README.md").read_text(encoding="utf-8")
