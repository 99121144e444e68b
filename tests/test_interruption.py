"""Stops that are heeded: which signals they are, and when nobody else looks at them any more."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from capflow.errors import CapflowError
from capflow.interruption import Stopped, heeded
from tests.checkout import ROOT


@pytest.fixture(autouse=True)
def _on_a_terminal() -> Iterator[None]:
    """Tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_that_nobody_has_heeded_ends_a_block_that_has_ended_well(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught, heeded():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_an_error_is_not_hidden_by_a_stop() -> None:
    def erroneous() -> None:
        with heeded():
            os.kill(os.getpid(), signal.SIGTERM)
            raise CapflowError("params.yaml: a sentence.")

    with pytest.raises(CapflowError):
        erroneous()


def test_nohup_has_the_last_word_about_a_closed_terminal() -> None:
    script = "import os; from capflow.interruption import heeded\nwith heeded(): os.kill(os.getpid(), 1)"
    done = subprocess.run(
        ["nohup", sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
