"""Row 33: a disk that is full is named, nothing half is left, and what was there before stays."""

import hashlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from capflow.errors import sentence
from capflow.record.journal import Journal, entry
from capflow.record.recorder import RunRecorder
from tests.checkout import ROOT, STAGES, environment, make_checkout
from tests.faults.test_checkpoints import small_files
from tests.faults.trainings import empty_record, lay_out

# Bytes that a file may have, fewer than some artifact of the stage needs.
LIMITS = dict.fromkeys(STAGES, 10) | {
    "download_annotations": 3_000,
    "download_images": 9_000,
    "precompute_tensors": 50_000,
    "build_vocab": 500,
    "train": 20_000,
    "generate_captions": 300,
    "evaluate": 3_000,
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capflow")
    make_checkout(folder)
    return folder


def content(folder: Path) -> dict[str, str]:
    """All files but MLflow's, and their digests."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for top in ("data", "metrics")
        for path in sorted((folder / top).rglob("*"))
        if path.is_file()
    }


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run_stage(folder: Path, *command: str, limit: int | None = None) -> str:
    """The last line that a stage says, which has to fail."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        preexec_fn=None if limit is None else limited(limit),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_row_33_each_stage_names_the_file_and_leaves_what_was_there(stage: str, checkout: Path) -> None:
    """The system refuses to let files grow, as a full disk does."""
    before = content(checkout)
    last = run_stage(checkout, sys.executable, "-m", f"stages.{stage}", limit=LIMITS[stage])
    assert last.startswith("error: ")
    assert last.endswith("; check the path, its permissions and the space on the disk.")
    assert "File too large" in last or "requested and" in last  # NumPy says the latter
    assert any(f"{top}/" in last for top in ("data", "metrics", ".capflow")), last
    after = content(checkout)
    assert not [name for name in after if name.endswith(".tmp")]
    assert after.keys() == before.keys()
    # Of the files of a folder some are written before the disk is full: they are the same again.
    assert after == before


def in_small_disk(folder: Path, place: str, size: str, *command: str) -> list[str]:
    """A command that has a small file system in one place, which only it sees."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is missing: install util-linux")
    script = f'mount -t tmpfs -o size={size} tmpfs "{folder / place}" && exec "$@"'
    wrapped = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*wrapped, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not permitted here")
    return [*wrapped, *command]


@pytest.mark.slow
def test_row_33_a_map_of_pixels_that_does_not_fit_is_refused_before_the_first_picture(
    checkout: Path,
) -> None:
    """The disk is really full: written to through a map, it would end the process without a word."""
    command = in_small_disk(
        checkout, "data/tensors", "64k", sys.executable, "-m", "stages.precompute_tensors"
    )
    last = run_stage(checkout, *command)
    assert "data/tensors/train.npy: No space left on device" in last


@pytest.mark.slow
def test_row_44_training_needs_no_shared_memory(tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    lay_out(folder, empty_record(tmp_path))
    (folder / "stages").symlink_to(ROOT / "stages")
    command = in_small_disk(Path("/dev"), "shm", "4k", sys.executable, "-m", "stages.train")
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "data/model/model.safetensors").exists()


def test_row_33_numbers_wait_in_memory_until_the_journal_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("capflow.record.recorder._INTERVAL", 0.0)
    journal = Journal(tmp_path / "run")
    recorder = RunRecorder(journal)
    recorder.log({"loss": 0.5}, 1)
    size = journal.size()
    with small_files():
        for step in (2, 3):
            recorder.log({"loss": 0.5}, step)
    assert journal.size() == size
    assert "File too large" in caplog.text
    with pytest.raises(OSError, match=r"journal\.jsonl") as caught, small_files():
        recorder.flush()
    assert "\n" not in sentence(caught.value)
    recorder.flush()
    assert [line.entry["step"] for line in journal.lines()] == [1, 2, 3]


def test_row_33_an_artifact_that_cannot_be_kept_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "run")
    (tmp_path / "model.bin").write_bytes(bytes(200))
    monkeypatch.setattr(os, "link", _refused)  # as on another file system
    with small_files(), pytest.raises(OSError, match=r"model\.bin"):
        journal.keep(tmp_path / "model.bin", "model/model.bin")
    assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    kept = journal.keep(tmp_path / "model.bin", "model/model.bin")
    assert journal.file(kept["digest"], kept["name"]).samefile(tmp_path / "model.bin")


def _refused(*_: object) -> None:
    raise OSError(18, "Invalid cross-device link")


def test_lines_that_a_death_cut_short_or_that_rotted_are_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    journal.append(entry("numbers", step=step, values={"loss": 0.5}) for step in range(4))
    content = journal.path.read_bytes()
    second = content.index(b'"step": 1')
    journal.path.write_bytes(content[:second] + b'"step": 7' + content[second + 9 : -20])
    assert [line.entry["step"] for line in journal.lines()] == [0, 2]
    journal.append([entry("numbers", step=4, values={})])
    assert [line.entry["step"] for line in journal.lines()] == [0, 2, 4]
    assert [line.end for line in journal.lines()][-1] == journal.size()
