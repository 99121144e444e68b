"""The page itself, of NiceGUI: a picture at a time, for this machine's browsers alone, without a network."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nicegui import app, run, ui

from capflow.demo.answer import answer, coded
from capflow.demo.choices import Offer
from capflow.errors import CapflowError, sentence
from capflow.params import GenerateParams

_LARGEST = 64  # MiB that a picture's file may have
_TOO_LARGE = f"This file has more than {_LARGEST} MiB, or it is empty; choose another picture."
_UNSENT = "The picture did not arrive; look whether `capflow demo` is still at work, and choose it again."
_STYLE = Path(__file__).with_name("page.css")
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" '
    'fill="#1d5f8a"/><path d="M3 5h10M3 8h10M3 11h6" stroke="#fff" stroke-width="1.5"/></svg>'
)
# The uploader's usual button is an icon without words, and its usual list is of files that were sent.
_BUTTON = (
    '<q-btn class="choose" type="button" no-caps unelevated label="Choose a picture" '
    '@click="props.pickFiles"><q-uploader-add-trigger /></q-btn><span>or drop one here</span>'
)


def serve(
    models: Callable[[], Mapping[str, Offer]],
    search: Callable[[Path], GenerateParams],
    port: int,
    ready: Callable[[], None],
) -> None:
    """Serve the page until the process is interrupted.

    Args:
        models: tells the model folders that there are, and what there is to tell of each.
        search: tells how captions are searched for by the model of a folder.
        port: on 127.0.0.1.
        ready: is called when the page can be opened.
    """
    lock = threading.Lock()
    app.on_startup(ready)
    ui.run(
        lambda: _Visit(models(), search, lock),
        host="127.0.0.1",
        port=port,
        title="Capflow",
        favicon=_ICON,
        language="en-US",
        dark=None,  # as the browser has it
        reload=False,
        show=False,
        show_welcome_message=False,
    )


class _Visit:
    """What somebody who has opened the page sees, and the picture that was chosen last."""

    def __init__(
        self, models: Mapping[str, Offer], search: Callable[[Path], GenerateParams], lock: threading.Lock
    ) -> None:
        """Build the page; the ``lock`` lets one picture at a time be captioned."""
        self._models, self._search, self._lock = models, search, lock
        self._picture: tuple[bytes, str] | None = None
        self._asked: object = None
        ui.add_css(_STYLE)
        with ui.element("div").classes("page"):
            ui.html("Capflow", sanitize=False, tag="h1")
            names = {folder: offer.name for folder, offer in models.items()}
            self._model = ui.select(names, value=next(iter(models)), label="Model")
            self._model.on_value_change(self._choose)
            self._hint = ui.label(models[self._model.value].hint).props("aria-live=polite").classes("hint")
            self._uploader()
            # Both are there from the beginning, so that screen readers say what comes to stand in them.
            self._status = ui.label().props("role=status").classes("status")
            self._trouble = ui.html(sanitize=False).props("role=alert").classes("trouble")
            self._told = ui.html(sanitize=False)

    def _uploader(self) -> None:
        upload = ui.upload(
            auto_upload=True,
            max_file_size=_LARGEST * 2**20,
            on_upload=self._take,
            on_rejected=lambda: self._refuse(_TOO_LARGE),
        )
        upload.on("failed", lambda: self._refuse(_UNSENT), args=[])
        # A file that it has sent cannot be chosen once more until it forgets it, as it does by itself: told
        # to by the server, it might already be sending the next one, and break off.
        upload.on("finish", js_handler=f"() => runMethod({upload.id}, 'reset', [])")
        upload.add_slot("header", _BUTTON)
        upload.add_slot("list", "<span></span>")

    async def _take(self, event: Any) -> None:
        self._picture = (await event.file.read(), event.file.name)
        await self._tell()

    async def _choose(self) -> None:
        self._hint.text = self._models[self._model.value].hint
        await self._tell()

    async def _tell(self) -> None:
        """Caption the picture with the model that is chosen, unless another is asked for meanwhile."""
        if self._picture is None:
            return
        content, name = self._picture
        self._asked = asked = object()
        self._show(f"Looking at {name} …")
        try:
            best, markup = await run.io_bound(self._answer, Path(self._model.value), content, name)
        except (CapflowError, OSError) as error:
            best, markup, trouble = "", "", sentence(error)
        else:
            trouble = ""
        if asked is self._asked:
            self._show(f"Caption of {name}: {best}" if best else "", trouble, markup)

    def _answer(self, folder: Path, content: bytes, name: str) -> tuple[str, str]:
        with self._lock:
            return answer(folder, content, name, self._search(folder))

    def _refuse(self, trouble: str) -> None:
        """Say why a file was not taken; what was told of the last picture would mislead now."""
        self._picture = self._asked = None
        self._show("", trouble)

    def _show(self, status: str, trouble: str = "", told: str = "") -> None:
        self._status.text, self._trouble.content, self._told.content = status, coded(trouble), told
        # The caption stands below, large: what is said here of it is for screen readers alone.
        self._status.classes(**{"add" if told else "remove": "unseen"})
