"""``capflow ui``."""

import os
import sys
from typing import Annotated

import typer

from capflow.cli.app import app
from capflow.cli.demo import refuse_taken


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Of the pages, on 127.0.0.1.")] = 5000,
) -> None:
    """Serve MLflow's pages, and say where the table of all runs is.

    Where MLFLOW_TRACKING_URI is a server, its pages are served already.
    """
    from capflow.tracking import Store, address
    from capflow.tracking.views import runs_page

    store = Store()
    page = runs_page(store.experiment)
    if store.uri.startswith(("http:", "https:")):
        typer.echo(f"All runs: {address().rstrip('/')}/{page}")
        return
    refuse_taken(port, "ui")
    typer.echo(f"All runs: http://127.0.0.1:{port}/{page}")
    sys.stdout.flush()
    command = [sys.executable, "-m", "mlflow", "ui", f"--port={port}", "--workers=1"]  # for one who looks
    # Not as an option: an address may have a password, and everybody sees the options of processes.
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": store.uri}
    os.execve(sys.executable, command, environment)  # noqa: S606 - the server has the terminal's Ctrl-C, too
