"""METEOR (Denkowski and Lavie, 2014), by the program that pycocoevalcap ships.

pycocoevalcap's own wrapper leaves the program's pipes open, and waits for ever once the program died.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, cast

from pycocoevalcap.meteor.meteor import METEOR_JAR

from capflow.bars import meter
from capflow.errors import CapflowError
from capflow.evaluation import java

# The program is always so many questions ahead, or it would be idle while this thread waits for its turn in
# Python. Twice as many answers, some 100 bytes each, must fit into a pipe, or both sides would wait for ever.
_AHEAD = 100

Tokens = Mapping[int, Sequence[str]]


def meteor(tokens: Callable[[], tuple[Tokens, Tokens]]) -> tuple[float, Sequence[float]]:
    """METEOR of all pictures together, and of each in the order of the references.

    Args:
        tokens: gives tokenised references by image id, and one tokenised prediction for each of the same
            ids. It is called once the program has been started, which takes a while to be ready.

    Raises:
        CapflowError: the program does not start, or fails, with its complaint; or ``tokens`` raises it.
    """
    program = java.command("-Xmx2G", "-jar", str(java.jar(f"meteor/{METEOR_JAR}")))
    with tempfile.TemporaryFile() as complaints:
        try:
            with subprocess.Popen(  # noqa: S603 - our own command
                [*program, "-", "-", "-stdio", "-l", "en", "-norm"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                encoding="utf-8",
            ) as process:
                return _converse(process, _questions(process, tokens))
        except (OSError, ValueError) as error:
            complaints.seek(0)
            reason = " ".join(complaints.read().decode(errors="replace").split()) or error
            raise CapflowError(f"METEOR does not run: {reason}") from None


def _questions(process: subprocess.Popen[str], tokens: Callable[[], tuple[Tokens, Tokens]]) -> list[str]:
    try:
        references, predictions = tokens()
    except CapflowError:
        process.kill()
        raise
    return [
        " ||| ".join(("SCORE", *captions, predictions[image][0])) for image, captions in references.items()
    ]


def _converse(process: subprocess.Popen[str], lines: list[str]) -> tuple[float, list[float]]:
    """Each line is answered by its statistics; all statistics by a score each, then that of all."""
    questions, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    statistics: list[str] = []
    with meter("METEOR", len(lines), "caption") as answered:
        for start in range(0, len(lines) + _AHEAD, _AHEAD):
            questions.writelines(f"{line}\n" for line in lines[start : start + _AHEAD])
            questions.flush()
            asked = lines[max(start - _AHEAD, 0) : start]
            statistics += (answers.readline().strip() for _ in asked)
            answered.update(len(asked))
    questions.write(" ||| ".join(("EVAL", *statistics)) + "\n")
    questions.flush()
    scores = [float(answers.readline()) for _ in range(len(lines) + 1)]
    return scores[-1], scores[:-1]
