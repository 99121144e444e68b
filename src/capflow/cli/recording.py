"""``capflow record``."""

import typer

from capflow import project
from capflow.cli.app import app


@app.command()
def record() -> None:
    """Send MLflow what it did not take while work was done.

    The exit code is 1 if anything is left that was to go where MLFLOW_TRACKING_URI points.
    """
    from capflow.record.journal import journals, waiting
    from capflow.record.sending import send_all
    from capflow.tracking import Store, address

    places = {journal.address() for journal in journals(project.record())} - {address()}
    for place in sorted(places):
        typer.echo(
            f"not sent: what waits for {place or 'the store at the root'}; choose that with "
            "MLFLOW_TRACKING_URI",
            err=True,
        )
    here = waiting(project.record())
    left = send_all(project.record(), Store()) if here else []
    typer.echo(f"{len(here) - len(left)} of {len(here)} records are sent")
    if left:
        raise typer.Exit(1)
