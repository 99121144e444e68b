"""What git has of other revisions: commits by any name of theirs, DVC's experiments among them."""

import subprocess
from pathlib import Path

from capflow.errors import CapflowError


def find(root: Path, name: str) -> str:
    """The commit of a branch, a tag, ``HEAD~1``, or one of DVC's experiments.

    DVC keeps an experiment as a commit that ``refs/exps/<commit it began from>/<its name>`` leads to.

    Raises:
        CapflowError: there is no such revision, or several experiments have this name.
    """
    if commit := _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"):
        return commit.decode().strip()
    listed = _git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/") or b""
    pairs = [line.split(" ", 1) for line in listed.decode().splitlines()]
    found = {commit for commit, ref in pairs if ref.count("/") == 4 and ref.endswith(f"/{name}")}
    if len(found) > 1:
        raise CapflowError(
            f"{name}: several experiments have this name; give one of their commits, "
            f"{', '.join(sorted(commit[:9] for commit in found))}."
        )
    if not found:
        raise CapflowError(
            f"{name}: neither git nor DVC has such a revision; `git log` and `dvc exp list` show them."
        )
    return found.pop()


def content(root: Path, commit: str, path: Path) -> bytes:
    """A file of the checkout as a commit has it.

    Raises:
        CapflowError: it has none.
    """
    found = _git(root, "show", f"{commit}:./{path.as_posix()}")
    if found is None:
        raise CapflowError(
            f"{commit[:9]} has no {path}: it was not evaluated before it was committed; choose another one."
        )
    return found


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git says; None where it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True)  # noqa: S603, S607
    except FileNotFoundError:
        raise CapflowError("git: there is no such program; install it.") from None
    return None if done.returncode else done.stdout
