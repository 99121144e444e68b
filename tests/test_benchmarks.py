"""The benchmarks that this machine cannot measure run at least, and the page takes their tables."""

from pathlib import Path

import pytest
import torch

from benchmarks import gpu, page

TINY = gpu.Size(pictures=12, captions=60, searched=6, encoded=2, square=64, batch=10, channels=2048, words=50)


def test_what_a_gpu_is_measured_by_runs_on_a_processor() -> None:
    found = gpu.outcomes(torch.device("cpu"), TINY)
    assert [outcome.goal for outcome in found] == [
        "listed",
        "listed",
        "<= 5 s",
        "<= 15 s",
        "<= 2 s",
        ">= 10x",
    ]


def test_without_a_gpu_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    before, behind = "a\n<!-- gpu table -->\n", "<!-- end of gpu table -->\nb\n<!-- table -->\n"
    page.PAGE.write_text(f"{before}old\n{behind}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    assert page.PAGE.read_text() == f"{before}No GPU was at hand: not measured.\n{behind}"
