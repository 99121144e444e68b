"""Progress bars: on a terminal, of the first process, for what takes a while."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Mapping

SLOW = """
import time
from capflow.bars import bar
for _ in bar(range(13), "work", unit="picture"): time.sleep(0.1)
"""
METER = """
import time
from capflow.bars import meter
with meter("work", 13, "B") as shown:
    for _ in range(13):
        time.sleep(0.1)
        shown.update(1)
"""


def on_a_terminal(code: str, variables: Mapping[str, str] = {}) -> str:
    """What a program shows on a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=os.environ | variables)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1024):
            shown += piece
    except OSError:  # Linux's way to say that nobody writes any more
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_a_terminal_shows_rate_and_remaining_time() -> None:
    for code in (SLOW, METER):
        shown = on_a_terminal(code)
        assert "work:" in shown
        assert "<00:00" in shown
        assert "/s]" in shown


def test_others_stay_quiet() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert on_a_terminal(SLOW, {"RANK": "1", "TORCHELASTIC_RUN_ID": "x"}) == ""
    assert on_a_terminal(SLOW.replace("0.1", "0.001")) == ""
