"""What all commands belong to."""

import typer

app = typer.Typer(
    help="Image captioning as a data-versioned pipeline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
