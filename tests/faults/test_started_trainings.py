"""Trainings that go on from a model (``train.start``) and are killed and stopped end as one left alone."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from capflow import project
from capflow.files import folder_digest
from capflow.models.captioner import Captioner, CaptionerConfig, save_captioner
from capflow.params import load_params
from tests.faults.trainings import (
    Kennel,
    assert_ends_alike,
    checkpoints,
    lay_out,
    left_alone,
    recorded,
    said,
    wait_until,
)
from tests.tiny import VOCABULARY

REWARDS = {"epochs": 2, "lr": 0.001, "samples": 2, "bleu": 0.0}
START: dict[str, Any] = {"start": "first", "epochs": 1, "self_critical": REWARDS}


def lay_out_with_start(folder: Path, record: Path) -> None:
    """As :func:`lay_out`, with a model to go on from, of other weights than seeds give."""
    lay_out(folder, record, **START)
    params = load_params(folder / "params.yaml")
    config = CaptionerConfig(
        encoder=params.encoder,
        decoder=params.decoder,
        tensors=params.tensors,
        crop=params.train.augment.crop,
        words=len(VOCABULARY),
    )
    torch.manual_seed(99)
    save_captioner(folder / project.WEIGHTS / "first", Captioner(config), VOCABULARY)


@pytest.fixture(scope="module")
def started(stable: Kennel, record: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which a training that goes on from a model was left alone."""
    folder = tmp_path_factory.mktemp("started")
    lay_out_with_start(folder, record)
    left_alone(stable, folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, record: Path) -> Path:
    lay_out_with_start(tmp_path, record)
    return tmp_path


def assert_ends_alike_from_the_same(stable: Kennel, folder: Path, other: Path) -> None:
    """As one that was left alone, and the model that it went on from is as it was."""
    assert_ends_alike(stable, folder, other)
    first = project.WEIGHTS / "first"
    assert folder_digest(folder / first) == folder_digest(other / first)


def test_row_28_killed_before_the_first_step_within_cross_entropy_and_among_rewards(
    folder: Path, started: Path, stable: Kennel
) -> None:
    for number in (0, 1, 4):
        process = stable.start(folder, pause=0.05 if number else 60)
        wait_until(lambda: states(folder) == ["RUNNING"] and furthest(folder) >= number)  # noqa: B023
        os.kill(process, signal.SIGKILL)
        assert stable.exit_code(process) == -signal.SIGKILL
    assert "going on after step" in said(folder)
    assert_ends_alike_from_the_same(stable, folder, started)


def test_row_29_sigterm_ends_with_a_checkpoint(folder: Path, started: Path, stable: Kennel) -> None:
    process = stable.start(folder, interval=1e9, pause=0.2)
    wait_until(lambda: states(folder) == ["RUNNING"])
    time.sleep(0.3)
    os.kill(process, signal.SIGTERM)
    assert stable.exit_code(process) == 143, said(folder)
    assert len(checkpoints(folder)) >= 1
    assert states(folder) == ["KILLED"]
    assert_ends_alike_from_the_same(stable, folder, started)
    assert "going on after step" in said(folder)


def test_what_it_starts_from_is_epoch_0_in_curves_and_record(started: Path) -> None:
    rows = (started / "metrics/train_epochs.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["epoch", "0", "1", "2", "3"]
    [(_, numbers)] = recorded(started)
    assert {step for name, step, _ in numbers if name == "val_CIDEr"} == {
        int(row.split(",")[1]) for row in rows[1:]
    }


def states(folder: Path) -> list[str]:
    return [status for status, _ in recorded(folder)]


def furthest(folder: Path) -> int:
    """The step of the last checkpoint; 0 while there is none."""
    return max((int(path.name[:8]) for path in checkpoints(folder)), default=0)
