"""What all commands belong to, and what they say of options that do not go together."""

import typer

from capflow.errors import CapflowError

app = typer.Typer(
    help="Image captioning as a data-versioned pipeline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class ConflictError(CapflowError):
    """Options of which one would be ignored; the exit code is 2, as for those that do not exist."""


def given(context: typer.Context, *names: str) -> str:
    """Which of some parameters were given, as one types them: "--count and --seed"."""
    sources = {name: context.get_parameter_source(name) for name in names}
    chosen = {name for name, source in sources.items() if source and source.name != "DEFAULT"}
    return " and ".join(one.opts[0] for one in context.command.params if one.name in chosen)
