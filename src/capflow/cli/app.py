"""What all commands belong to, and what they say of options that do not go together."""

from pathlib import Path

import typer

from capflow.errors import CapflowError

app = typer.Typer(
    help="Image captioning as a data-versioned pipeline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class ConflictError(CapflowError):
    """Options of which one would be ignored; the exit code is 2, as for those that do not exist."""


def to_write(path: Path) -> Path:
    """The file that a command is to write, before there is anything to write.

    Raises:
        CapflowError: it is a folder, or would lie in one that is not there: a slip is not to make folders.
    """
    if path.is_dir():
        raise CapflowError(f"{path}: a folder, where the name of a file to write is wanted.")
    if not path.parent.is_dir():
        raise CapflowError(f"{path}: there is no folder {path.parent}; make it, or correct the path.")
    return path


def given(context: typer.Context, *names: str) -> str:
    """Which of some parameters were given, as one types them: "--count and --seed"."""
    sources = {name: context.get_parameter_source(name) for name in names}
    chosen = {name for name, source in sources.items() if source and source.name != "DEFAULT"}
    return " and ".join(one.opts[0] for one in context.command.params if one.name in chosen)
