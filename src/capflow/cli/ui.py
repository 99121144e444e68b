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
    options = [f"--backend-store-uri={store.uri}", f"--port={port}", "--workers=1"]  # for one who looks
    command = [sys.executable, "-m", "mlflow", "ui", *options]
    os.execv(sys.executable, command)  # noqa: S606 - the server has this process, and the terminal's Ctrl-C
