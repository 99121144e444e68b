"""``capflow data status``."""

import typer

from capflow import project
from capflow.cli.app import app

data_app = typer.Typer(help="What was fetched, and what was not.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command()
def status() -> None:
    """Show what the download store has of each server, what is missing, and why."""
    from capflow.data import manifest

    typer.echo(manifest.summary(manifest.read(project.downloads()).values()))
