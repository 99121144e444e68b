"""METEOR (Denkowski and Lavie, 2014), by the program that pycocoevalcap ships.

pycocoevalcap's own wrapper leaves the program's pipes open, and waits for ever once the program died.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, cast

from pycocoevalcap.meteor.meteor import METEOR_JAR

from capflow.errors import CapflowError
from capflow.evaluation import java

# So many questions at once keep the program busy while this thread waits for its turn in Python;
# their answers, some 100 bytes each, must fit into a pipe, or both sides would wait for ever.
_AT_ONCE = 100


def meteor(
    references: Mapping[int, Sequence[str]], predictions: Mapping[int, Sequence[str]]
) -> tuple[float, Sequence[float]]:
    """METEOR of all pictures together, and of each in the order of ``references``.

    Args:
        references: tokenised captions by image id.
        predictions: one tokenised caption for each of the same ids.

    Raises:
        CapflowError: the program does not start, or fails; with its complaint.
    """
    lines = [
        " ||| ".join(("SCORE", *captions, predictions[image][0])) for image, captions in references.items()
    ]
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
                return _converse(cast("IO[str]", process.stdin), cast("IO[str]", process.stdout), lines)
        except (OSError, ValueError) as error:
            complaints.seek(0)
            reason = " ".join(complaints.read().decode(errors="replace").split()) or error
            raise CapflowError(f"METEOR does not run: {reason}") from None


def _converse(questions: IO[str], answers: IO[str], lines: list[str]) -> tuple[float, list[float]]:
    """Each line is answered by its statistics; all statistics by a score each, then that of all."""
    statistics: list[str] = []
    for start in range(0, len(lines), _AT_ONCE):
        chunk = lines[start : start + _AT_ONCE]
        questions.writelines(f"{line}\n" for line in chunk)
        questions.flush()
        statistics += (answers.readline().strip() for _ in chunk)
    questions.write(" ||| ".join(("EVAL", *statistics)) + "\n")
    questions.flush()
    scores = [float(answers.readline()) for _ in range(len(lines) + 1)]
    return scores[-1], scores[:-1]
