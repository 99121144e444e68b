"""Checkpoints that cannot be written, that have rotted, that are hostile or of another training."""

import errno
import hashlib
import json
import os
import pickle
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from capflow import files
from capflow.dvcfiles import StageOutput
from capflow.errors import CapflowError, sentence
from capflow.training.checkpoint import Checkpoints, kept
from capflow.training.state import State, restore
from tests.tiny import train_params
from tests.training.stored import trainer

TRAINING = "a" * 64
OUTPUT = StageOutput(Path("data/model"), Path())


def state(step: int) -> State:
    """A state that says which it is; the best weights are those of each third one."""
    return State({"step": step}, {"weights": torch.full((50,), float(step))}, BEST[step // 3])


BEST = [{"weights": torch.full((50,), 100.0 + number)} for number in range(3)]


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """Five checkpoints were made, of which the last two are there."""
    checkpoints = Checkpoints(tmp_path, TRAINING)
    for step in range(5):
        checkpoints.save(state(step))
    return checkpoints


def manifests(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.*.json"))


def newest_step(folder: Path) -> int | None:
    found = Checkpoints(folder, TRAINING).newest()
    return found and int(found.values["step"])


@pytest.mark.usefixtures("checkpoints")
def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    found = Checkpoints(tmp_path, TRAINING).newest()
    assert found is not None
    assert found.values == {"step": 4}
    assert torch.equal(found.tensors["weights"], state(4).tensors["weights"])
    assert torch.equal(found.best["weights"], BEST[1]["weights"])
    assert len(manifests(tmp_path)) == 2
    # Two sets of weights, and one of the best ones, which both have in common.
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def tensors_of(manifest: Path) -> Path:
    return manifest.with_name(json.loads(manifest.read_bytes())["tensors"] + ".safetensors")


@pytest.mark.parametrize("rots", [cut, flip, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("which", [lambda path: path, tensors_of])
def test_row_35_a_damaged_newest_one_is_passed_over(
    rots: Callable[[Path], None],
    which: Callable[[Path], Path],
    checkpoints: Checkpoints,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    last = manifests(tmp_path)[-1]
    removed = rots is Path.unlink and which(last) == last
    rots(which(last))
    again = Checkpoints(tmp_path, TRAINING)
    found = again.newest()
    assert found is not None
    assert found.values == {"step": 3}
    assert removed or f"{last}: a damaged checkpoint, passed over" in caplog.text
    # The next one has the good one beside it, not the damaged one.
    again.save(state(5))
    flip(manifests(tmp_path)[-1])
    assert newest_step(tmp_path) == 3


@pytest.mark.usefixtures("checkpoints")
def test_row_35_where_all_are_damaged_training_starts_anew(tmp_path: Path) -> None:
    for path in manifests(tmp_path):
        flip(path)
    assert newest_step(tmp_path) is None


class Hostile:
    """What runs code when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def test_row_36_a_pickle_is_never_executed(
    checkpoints: Checkpoints, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever can write files can also compute digests: here they are right."""
    trace = tmp_path / "executed"
    poison = pickle.dumps({"weights": Hostile(trace)})
    name = hashlib.sha256(poison).hexdigest()
    (tmp_path / f"{name}.safetensors").write_bytes(poison)
    values = {"training": TRAINING, "values": {}, "tensors": name, "best": name}
    for number, content in ((6, json.dumps(values).encode()), (7, poison)):
        (tmp_path / f"{number:08}.{hashlib.sha256(content).hexdigest()}.json").write_bytes(content)
    assert newest_step(tmp_path) == 4
    assert caplog.text.count("passed over") == 2
    assert not trace.exists()


@pytest.mark.usefixtures("checkpoints")
def test_row_37_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CapflowError, match=rf"a checkpoint of another training \({TRAINING}\)"):
        Checkpoints(tmp_path, "b" * 64).newest()


def test_row_37_a_state_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CapflowError, match="does not fit it"):
        restore(trainer(train_params()), state(1))


@contextmanager
def small_files() -> Iterator[None]:
    """The system refuses to let a file grow beyond 100 bytes, as a full disk does.

    That goes for this whole process, for what pytest writes into a file, too: it has to be over soon.
    """
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
        signal.signal(signal.SIGXFSZ, handler)


def test_row_33_a_full_disk_is_named_and_the_last_one_stays(checkpoints: Checkpoints, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match=r"\.safetensors") as caught, small_files():
        checkpoints.save(state(5))
    assert "\n" not in sentence(caught.value)
    assert sorted(tmp_path.iterdir()) == before
    assert newest_step(tmp_path) == 4


# Tensors, best weights and JSON: each is written, synced, renamed, and its folder synced.
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        *((files, "sync", after) for after in range(5)),
        *((Path, "write_bytes", after) for after in range(3)),
        *((Path, "replace", after) for after in range(3)),
    ],
)
def test_row_34_what_fails_is_named_and_the_last_one_stays(
    owner: object,
    name: str,
    after: int,
    checkpoints: Checkpoints,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = iter(range(100))
    usual = getattr(owner, name)

    def fails(*arguments: object) -> object:
        if next(calls) == after:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return usual(*arguments)

    monkeypatch.setattr(owner, name, fails)
    with pytest.raises(OSError, match="Input/output error") as caught:
        checkpoints.save(state(6))
    assert str(tmp_path) in sentence(caught.value)
    assert newest_step(tmp_path) == 4
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_training_that_ended_leaves_nothing_and_one_that_failed_all(tmp_path: Path) -> None:
    def fail() -> None:
        with kept(tmp_path, TRAINING, OUTPUT) as checkpoints:
            names.append(checkpoints.name)
            checkpoints.save(state(1))
            raise OSError("the end")

    names: list[str] = []
    for _ in range(2):
        with pytest.raises(OSError, match="the end"):
            fail()
    assert newest_step(tmp_path / TRAINING) == 1
    with kept(tmp_path, TRAINING, OUTPUT) as checkpoints:
        names.append(checkpoints.name)
    assert list(tmp_path.iterdir()) == []
    with kept(tmp_path, TRAINING, OUTPUT) as checkpoints:
        assert checkpoints.newest() is None
        names.append(checkpoints.name)
    assert [names.count(name) for name in names] == [3, 3, 3, 1]
