"""What a journal holds, sent to MLflow: how far that came is noted, and nothing is there twice.

A batch that was sent but not noted, as before a death, is sent again with the same times, which the store
takes for the same numbers.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from capflow.bars import bar
from capflow.errors import CapflowError, sentence
from capflow.files import read_json, write_json
from capflow.record import scoring
from capflow.record.journal import Entry, Journal, Line, waiting
from capflow.record.scoring import inputs_of
from capflow.tracking import BATCH, AwayError, GoneError, Number, RefusedError, Store, models

logger = logging.getLogger(__name__)

TRAINING_TAG = "capflow.training"

_FILES = {"file", "model"}


def send_all(folder: Path, store: Store) -> list[Journal]:
    """Send what waits for this store in a folder's journals, oldest first; those for which it went wrong.

    Raises:
        AwayError: the store does not answer.
    """
    left = []
    for journal in bar(waiting(folder), "send to MLflow", unit="record"):
        try:
            Delivery(journal, store).go_on()
        except AwayError:
            raise
        except (CapflowError, OSError) as error:
            logger.warning("%s", sentence(error))
            left.append(journal)
    return left


class Delivery:
    """One journal on its way."""

    def __init__(self, journal: Journal, store: Store) -> None:
        """Bring ``journal``, which may be growing, to ``store``."""
        self._journal, self._store = journal, store
        self._note: dict[str, Any] = {}
        self._known: set[tuple[str, int]] | None = None

    def go_on(self) -> None:
        """Send what there is now and the store lacks; one that nobody writes is closed, and then removed.

        Raises:
            AwayError: the store does not answer; what it took is noted.
            CapflowError: another process is sending this, or has to send another one first.
            OSError: the note, or that its process died, cannot be written.
        """
        with self._journal.sending():
            self._journal.close()
            try:
                self._advance()
            except GoneError:
                # Somebody deleted the run: it is begun again, with all that is here.
                self._journal.forget()
                self._known = None
                self._advance()

    def _advance(self) -> None:
        self._note = {"run": None, "offset": 0, "found": False}
        with suppress(CapflowError):  # there is none, or it is damaged: all is sent again
            self._note |= read_json(self._journal.note)
        if self._note["offset"] < self._journal.size():
            self._journal.sync()  # what the store has is never newer than what is on the disk
            self._settle_run()
            for lines in _parts(self._journal.lines(self._note["offset"])):
                self._send(lines)
                self._write_note(offset=lines[-1].end)
        self._journal.remove_if(self._note["offset"])

    def _settle_run(self) -> None:
        """Which run it is; one that was found has numbers of its own, which are not sent again."""
        first = self._journal.first()
        if first is None:
            return
        if self._note["run"] is None:
            if first["kind"] == "scores":
                run, found = scoring.run_of(self._journal, first, self._store), False
            else:
                run, found = _own(self._store, first)
            self._write_note(run=run, found=found)
        if self._known is None:
            rows = self._store.rows(TRAINING_TAG, first["training"]) if self._note["found"] else []
            self._known = {number for row in rows for number in self._store.recorded(row)}

    def _write_note(self, **changes: Any) -> None:
        self._note |= changes
        write_json(self._journal.note, self._note)

    def _send(self, lines: list[Line]) -> None:
        entries = [line.entry for line in lines]
        try:
            if entries[0]["kind"] == "numbers":
                numbers = (number for entry in entries for number in _numbers(entry))
                known = self._known or set()
                new = [number for number in numbers if (number.name, number.step) not in known]
                self._store.numbers(self._note["run"], new)
            else:
                self._send_one(entries[0])
        except RefusedError as refusal:
            self._keep(entries, refusal)

    def _keep(self, entries: list[Entry], refusal: RefusedError) -> None:
        """Keep what is refused here, and say where."""
        kept = self._journal.refused()
        kept.append(entry | {"refusal": str(refusal)} for entry in entries)
        for entry in entries:
            if entry["kind"] in _FILES:
                kept.keep(self._journal.file(entry["digest"], entry["name"]), entry["name"])
        logger.warning(
            "MLflow refuses a part of the record (%s): it is left out, and kept in %s.", refusal, kept.folder
        )

    def _send_file(self, entry: Entry) -> None:
        run, store = self._note["run"], self._store
        folder = entry["name"].rpartition("/")[0]
        path = self._journal.file(entry["digest"], entry["name"])
        if entry["kind"] == "model":
            models.give(store, run, path, entry["model"])
        else:
            store.file(run, path, folder or None)

    def _send_one(self, entry: Entry) -> None:
        run, store = self._note["run"], self._store
        match entry["kind"]:
            case "begin":
                store.begin(run, entry["name"])
                store.texts(run, tags=entry["tags"])
            case "end":
                store.end(run, entry["status"], entry["at"])
            case "texts":
                store.texts(run, params=entry["params"], tags=entry["tags"])
            case "adopt":
                scoring.adopt(run, entry, store)
            case "scores":
                scoring.give(run, entry, store)
            case "inputs":
                store.inputs(run, inputs_of(entry))
            case "file" | "model":
                self._send_file(entry)


def _own(store: Store, first: Entry) -> tuple[str, bool]:
    """The run of a training, and whether it has numbers already; else a new one."""
    rows = store.rows(TRAINING_TAG, first["training"])
    if not rows:
        return store.create(first["name"], {TRAINING_TAG: first["training"]}, first["at"]), False
    # Two are there where a server answered too late: of these one has nothing.
    most = max(rows, key=lambda row: len(row.metrics))
    for row in rows:
        if row is not most and not row.metrics:
            store.delete(row.run)
    return most.run, bool(most.metrics)


def _numbers(entry: Entry) -> Iterator[Number]:
    for name, value in entry["values"].items():
        yield Number(name, value, entry["step"], entry["at"])


def _parts(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Lines that are sent together: numbers that follow one another, else one line at a time."""
    for numbers, group in groupby(lines, key=lambda line: line.entry["kind"] == "numbers"):
        part: list[Line] = []
        count = 0
        for line in group:
            part.append(line)
            count += len(line.entry.get("values", ()))
            if not numbers or count >= BATCH:
                yield part
                part, count = [], 0
        if part:
            yield part
