"""When a stage becomes torchrun's agent, and what it tells torchrun."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

from capflow import engine, stuck
from capflow.errors import CapflowError
from tests.checkout import ROOT, environment

if TYPE_CHECKING:  # it loads MLflow, which few tests need
    from tests.together import Troop

AGENTS = "tests.training.agents"


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"PET_NPROC_PER_NODE": "1", "PET_NNODES": "1:1"}, False),
        ({"PET_NPROC_PER_NODE": "2"}, True),
        ({"PET_NPROC_PER_NODE": "gpu"}, True),
        ({"PET_NNODES": "1:4"}, True),
        ({"PET_NNODES": "2:1"}, True),
        ({"PET_NNODES": "2", "TORCHELASTIC_RUN_ID": "one of them"}, False),
    ],
)
def test_an_agent_is_wanted_for_more_than_one_process(variables: dict[str, str], wanted: bool) -> None:
    assert engine.wanted(variables) is wanted


def test_a_rank_is_what_torchrun_says() -> None:
    assert engine.rank({"RANK": "3"}) == 0
    assert engine.rank({"RANK": "3", "TORCHELASTIC_RUN_ID": "x"}) == 3


@pytest.mark.parametrize(
    ("codes", "left", "told"),
    [
        ([143, 143], 143, ""),
        ([143, -9], 1, "error: process 1 was ended by SIGKILL; the same command goes on.\n"),
        ([-15, 1], 1, ""),
        ([1], 1, ""),
    ],
)
def test_who_ended_is_told_where_nobody_has_said_why(
    codes: list[int], left: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engine._told({row: SimpleNamespace(exitcode=code) for row, code in enumerate(codes)}) == left
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "inf"])
def test_a_timeout_that_is_none_is_named(seconds: str) -> None:
    with pytest.raises(CapflowError, match=r"^CAPFLOW_TIMEOUT: .* is no number of seconds; give one"):
        engine.patience({engine.TIMEOUT: seconds})
    assert engine.patience({}) == 300
    assert engine.patience({engine.TIMEOUT: "2.5"}) == 2.5


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ("", "read_timeout=60"),
        ("is_host=1", "is_host=1,read_timeout=60"),
        ("read_timeout=9", "read_timeout=9"),
    ],
)
def test_the_user_has_the_last_word_about_the_rendezvous(given: str, settings: str) -> None:
    assert engine._settings({"PET_RDZV_CONF": given}) == settings


def test_a_stage_by_one_process_loads_nothing_of_torchrun(tmp_path: Path) -> None:
    """It ends at once, as there are no parameters."""
    script = (
        "import runpy, sys\n"
        "try: runpy.run_module('stages.train', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as error: assert 'params.yaml' in str(error.code), error.code\n"
        "import torch\n"
        "assert not torch.distributed.is_initialized()\n"
        "assert not [name for name in sys.modules if name.startswith('torch.distributed.elastic.agent')]\n"
    )
    paths = {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PET_NPROC_PER_NODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment() | paths,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PET_NPROC_PER_NODE", "many", "Unsupported"),
        ("PET_NPROC_PER_NODE", "0", "would do nothing"),
        ("PET_NPROC_PER_NODE", "-1", "would do nothing"),
        ("PET_NNODES", "1:2:3", "format"),
        ("PET_NNODES", "all", "invalid literal"),
    ],
)
def test_numbers_that_torchrun_does_not_understand_are_named(name: str, value: str, why: str) -> None:
    with pytest.raises(CapflowError, match=rf"^{name}: '{value}' .*{why}") as caught:
        engine._here({name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PET_MAX_RESTARTS", "x", r"PET_MAX_RESTARTS: invalid int value: 'x'; "),
        ("PET_MAX_RESTARTS", "-1", r"PET_\*: .*max_restarts must be >= 0"),
        ("PET_NNODES", "0", r"PET_\*: .*min_nodes must be > 0"),
        ("PET_NNODES", "2:1", r"PET_\*: .*min_nodes must be > 0 and <= max_nodes"),
        ("PET_MASTER_PORT", "x", r"PET_MASTER_PORT: invalid"),
        ("PET_NODE_RANK", "x", r"PET_NODE_RANK: invalid"),
        ("PET_SHUTDOWN_TIMEOUT", "x", r"PET_SHUTDOWN_TIMEOUT: invalid"),
        ("PET_RDZV_CONF", "zzz", r"PET_\*: .* option 'zzz' must have a value"),
        ("PET_RDZV_BACKEND", "nope", r"PET_\*: .*The rendezvous backend 'nope'"),
    ],
)
def test_variables_that_torchrun_does_not_take_are_one_sentence(
    name: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    variables = {"PET_NPROC_PER_NODE": "2", "PET_RDZV_ENDPOINT": "127.0.0.1:0", name: value}
    monkeypatch.setattr(os, "environ", os.environ | variables)
    monkeypatch.setattr(stuck, "leave", lambda *_: None)  # it would live on in this process, and might end it
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(CapflowError, match=f"^{why}") as caught:
        engine.launch("nothing")
    signal.signal(signal.SIGINT, before)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpus_that_are_not_there_are_named() -> None:
    with pytest.raises(CapflowError, match=r"^PET_NPROC_PER_NODE: 'gpu' cannot be had"):
        engine._here({"PET_NPROC_PER_NODE": "gpu"})


def test_processes_share_the_processors_that_they_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    assert [engine.cores(), engine.cores(2), engine.cores(4), engine.cores(16)] == [6, 3, 1, 1]


@pytest.mark.parametrize(
    ("variables", "trouble"),
    [
        ({"PET_NPROC_PER_NODE": "2"}, "the processes cannot be started"),
        ({"PET_NNODES": "2", "PET_MASTER_ADDR": "a"}, "PET_MASTER_ADDR: the machines cannot"),
        ({"PET_NNODES": "2", "PET_RDZV_ENDPOINT": "a:1"}, "PET_RDZV_ENDPOINT: the machines cannot"),
    ],
)
def test_the_variable_is_named_that_says_where_others_are(variables: dict[str, str], trouble: str) -> None:
    assert engine._trouble(variables).startswith(trouble)


@pytest.mark.parametrize(("codes", "code"), [([143, 143], 143), ([130], 130), ([143, 1], 1), ([-9], 1)])
def test_a_stop_of_another_machine_is_told_on(codes: list[int], code: int) -> None:
    failures = {rank: SimpleNamespace(exitcode=each) for rank, each in enumerate(codes)}
    assert engine._told(failures) == code


@pytest.mark.parametrize(
    ("looks", "seen", "leaves_after"),
    [
        (0.1, [set(), {"S"}, *13 * [{"Z"}]], 10),
        (0.1, [{"S"}, *13 * [{"Z", "R"}]], None),
        (0.1, [{"S"}, *7 * [{"Z"}], {"S"}, *13 * [{"Z"}]], 17),
        (0.1, 199 * [set()], None),
        (0.1, [{"S"}, {"Z"}, *99 * [set()]], 41),
        (8.0, [{"S"}, *63 * [{"Z"}], {"S"}], None),
        (8.0, [{"S"}, *99 * [{"Z"}]], 65),
    ],
)
def test_an_agent_leaves_when_it_has_not_looked_at_ended_processes_for_long(
    looks: float, seen: list[set[str]], leaves_after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PET_MONITOR_INTERVAL says how often it looks: until then processes that have ended well lie there.

    What is seen is of every quarter of a second.
    """
    states, ended = iter(seen), []

    def leave(code: int) -> None:
        ended.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(stuck, "_states", lambda: next(states))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises((SystemExit, StopIteration)):
        stuck.leave(5.0, looks)
    assert ended == ([] if leaves_after is None else [1])
    assert leaves_after is None or len(seen) - len([*states]) == leaves_after


@pytest.mark.slow
def test_an_agent_waits_for_the_last_checkpoint_of_the_first_process(troop: "Troop", tmp_path: Path) -> None:
    """However early the others leave, before a new start and at the end; there may be other machines."""
    codes = troop.run(tmp_path, f"{AGENTS}:slow_first", 1)
    assert codes == [143], said(tmp_path)
    assert (tmp_path / "checkpoints").read_text() == "one\none\n"


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["silent_host", "silent_at_the_end"])
def test_an_agent_does_not_wait_for_a_machine_that_is_silent(
    scenario: str, troop: "Troop", tmp_path: Path
) -> None:
    codes = troop.run(tmp_path, f"{AGENTS}:{scenario}", 2)
    assert codes == [-9, 1], said(tmp_path)
    assert "another machine does not answer" in said(tmp_path)


def said(folder: Path) -> str:
    [path] = folder.glob("*.txt")
    return path.read_text()
