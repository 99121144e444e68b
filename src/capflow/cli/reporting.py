"""``capflow report``."""

from pathlib import Path
from typing import Annotated

import typer

from capflow import project
from capflow.cli.app import app, to_write


@app.command()
def report(
    against: Annotated[
        str, typer.Option(metavar="REV", help="A commit by any name, or an experiment of DVC's.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=to_write, help="The page to write.")
    ] = Path("report.html"),
) -> None:
    """Compare the last run with another: scores, curves, parameters, captions side by side; one page."""
    from capflow.comparing import compare
    from capflow.files import write_text

    write_text(output, compare(project.root(), against))
    typer.echo(str(output))
