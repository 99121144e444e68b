"""What determines a training: a checkpoint is found again by all of it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from capflow import dvcfiles, files, identity, project
from capflow.errors import CapflowError
from capflow.files import write_json
from capflow.identity import training_digest
from tests.tiny import CPU, params

READ = (project.ANNOTATIONS, project.ENCODER, project.FEATURES, project.TENSORS, project.VOCAB)


@pytest.fixture(autouse=True)
def _artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").touch()
    for folder in READ:
        write_json(folder / "a.json", folder.name)


def digest(**changes: dict[str, Any]) -> str:
    return training_digest(params(**changes), CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"lr": 0.011}},
        {"train": {"self_critical": {"epochs": 0, "lr": 0.01, "samples": 4, "bleu": 0.0}}},
        {"encoder": {"name": "resnet18"}},
        {"decoder": {"hidden": 17}},
        {"generate": {"max_length": 9}},
    ],
)
def test_row_37_another_parameter_is_another_training(changes: dict[str, Any]) -> None:
    assert digest(**changes) != digest()


def test_another_search_is_the_same_training() -> None:
    assert digest(generate={"beam": 3}, evaluate={"spice": True}) == digest()


@pytest.mark.parametrize("folder", READ)
def test_row_37_other_data_are_another_training(folder: Path) -> None:
    before = digest()
    write_json(folder / "a.json", "other")
    assert digest() != before


def test_row_37_another_start_is_another_training() -> None:
    for name in ("first", "second"):
        write_json(project.WEIGHTS / name / "model.json", name)
    found = {digest(), *(digest(train={"start": name}) for name in ("first", "second"))}
    write_json(project.WEIGHTS / "first" / "model.json", "retrained")
    found.add(digest(train={"start": "first"}))
    assert len(found) == 4


def test_row_37_other_code_another_device_or_another_pytorch_is_another_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = {digest(), training_digest(params(), torch.device("cuda"))}
    monkeypatch.setattr(torch, "__version__", "1.0")
    found.add(digest())
    (tmp_path / "other.py").write_text("other = 1")
    monkeypatch.setattr(dvcfiles, "__file__", str(tmp_path / "other.py"))
    found.add(digest())
    assert len(found) == 4


def test_the_digest_is_that_of_what_is_there_whoever_starts_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What dvc.lock says may be of before: DVC does not look with --single-item, nor at frozen stages."""
    outs = "".join(f"\n      - {{path: {path}, md5: abc.dir}}" for path in (project.ENCODER, project.VOCAB))
    Path("dvc.lock").write_text(f"stages:\n  make:\n    outs:{outs}")
    by_hand = digest()
    monkeypatch.setenv("DVC_STAGE", "train")
    assert digest() == by_hand
    write_json(project.VOCAB / "a.json", "vacob")
    assert digest() != by_hand


@pytest.mark.parametrize("folder", [project.FEATURES, project.TENSORS])
def test_row_40_a_flipped_byte_is_not_what_dvc_lock_has_on_record(folder: Path) -> None:
    good = digest()
    md5 = dvcfiles.folder_digest(folder, lambda path: files.digest(path, "md5"))
    Path("dvc.lock").write_text(f"stages: {{make: {{outs: [{{path: {folder}, md5: {md5}}}]}}}}")
    assert digest() == good
    write_json(folder / "a.json", folder.name.replace("s", "r"))
    with pytest.raises(CapflowError, match=rf"^{folder}: not as dvc.lock has it .*`capflow verify {folder}`"):
        digest()


def test_what_was_read_before_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def reads(path: Path, kind: str) -> str:
        read.append(path)
        return files.digest(path, kind)

    monkeypatch.setattr(identity, "digest", reads)
    monkeypatch.setattr(identity, "_code", dict)
    before = digest()
    assert len(read) == len(READ)
    assert digest() == before
    assert len(read) == len(READ)
    Path(".capflow/digests.json").write_text("[1]")  # whatever happened to it
    assert digest() == before
    assert len(read) == 2 * len(READ)


def test_row_37_what_auto_means_here_is_another_training(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for able in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {"amx_bf16": able})
        found[able] = [digest(train={"precision": precision}) for precision in ("auto", "fp32", "bf16")]
    assert found[True][0] != found[False][0]
    assert found[True][1:] == found[False][1:]
