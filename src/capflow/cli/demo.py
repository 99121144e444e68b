"""``capflow demo``."""

import importlib.util
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capflow import project
from capflow.cli.app import app
from capflow.cli.captioning import search_of
from capflow.cli.named import NAMES, facts_of, folder_of
from capflow.errors import CapflowError

if TYPE_CHECKING:
    from capflow.demo.choices import Offer
    from capflow.params import GenerateParams


@app.command()
def demo(
    model: Annotated[
        list[str] | None, typer.Option(help=f"{NAMES}, to choose from; none: those of the checkout.")
    ] = None,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Of the page, on 127.0.0.1.")] = 8080,
) -> None:
    """Serve a page to try models on: drop a picture, see its captions and where the model looked."""
    if importlib.util.find_spec("nicegui") is None:
        raise CapflowError("the page is made with NiceGUI, which is not installed; `make demo` does that.")
    refuse_taken(port, "demo")
    from capflow.demo.answer import BEST
    from capflow.demo.choices import Offer, models_of
    from capflow.demo.page import serve

    with tempfile.TemporaryDirectory() as temporary:
        given = named(model or [], Path(temporary))

        def models() -> dict[str, Offer]:
            return given or models_of(project.root())

        models()

        def search(folder: Path) -> "GenerateParams":
            return search_of(beam=None, best=BEST, seed=None, model=folder)

        serve(models, search, port, lambda: typer.echo(f"Open http://127.0.0.1:{port}/ ; Ctrl-C ends it."))


def named(names: list[str], temporary: Path) -> "dict[str, Offer]":
    """The models that were named; each is read, so that a damaged one keeps the page from opening.

    Raises:
        CapflowError: one is no model, or cannot be fetched.
    """
    from capflow.demo.choices import offered
    from capflow.photographs import PhotoCaptioner

    found = [(name, folder_of(name, temporary)) for name in names]
    for _, folder in found:
        PhotoCaptioner.load(folder)
    return offered((name, folder, facts_of(name, folder)) for name, folder in found)


def refuse_taken(port: int, command: str) -> None:
    """Refuse a port of 127.0.0.1 that another program has; `capflow COMMAND` takes another one.

    Raises:
        CapflowError: it is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CapflowError(
                f"port {port} is taken by another program; choose one with `capflow {command} --port`."
            ) from None
