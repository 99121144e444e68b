"""What trainings and scores tell the record: it goes into a journal at once, and to MLflow as that answers.

Nobody waits for MLflow: a thread sends what the journal holds. Only at the beginning and at the end are a
few seconds spent on it, so that what works is on record when a stage ends, and what cannot be sent then is
sent by a later stage, or by ``capflow record``.
"""

import json
import logging
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from capflow import project, tracking
from capflow.models.search import write_search
from capflow.params import GenerateParams, Params
from capflow.record import scoring
from capflow.record.journal import Entry, Journal, entry
from capflow.record.origin import digests, flatten, inputs, origin, run_name
from capflow.record.postman import Postman
from capflow.record.system import Watch
from capflow.scratch import scratch
from capflow.tracking import models

logger = logging.getLogger(__name__)

SAMPLES = "samples.json"
"""The table of sample captions, which MLflow shows with the pictures."""

# Browsers read the table whole: the last hundred epochs of six pictures, a few lines of text in each cell.
_ROWS, _CHARACTERS = 600, 400
_PATIENCE = 60.0  # seconds that scores, which nobody waits for, may take on their way
_INTERVAL = 1.0  # seconds that a number may wait before it is written to the journal


class Scored(NamedTuple):
    """A split that was captioned, and a digest of its pictures and references."""

    split: str
    digest: str


class RunRecorder:
    """Writes numbers, texts and files to the journal of one run."""

    def __init__(self, journal: Journal) -> None:
        """Go on in a journal; the numbers that it has are not written again, by name and step."""
        self._journal = journal
        self._waiting: list[Entry] = []
        self._written, self._failed, self._unsynced = time.monotonic(), False, False
        numbers = (line.entry for line in journal.lines() if line.entry["kind"] == "numbers")
        self._told = {(name, one["step"]) for one in numbers for name in one["values"]}
        self._pictures: dict[int, tuple[dict[str, str], str, str]] = {}
        self._system = Watch.asked()

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values at a step, and what the machine does, where that is asked for."""
        values = {**values, **(self._system.look() if self._system else {})}
        new = {name: float(value) for name, value in values.items() if (name, step) not in self._told}
        if new:
            self._waiting.append(entry("numbers", step=step, values=new))
        if time.monotonic() - self._written >= _INTERVAL:
            self._try()

    def flush(self) -> None:
        """Bring what is waiting to the disk.

        Raises:
            OSError: it is full, or refuses.
        """
        if self._waiting:
            self._write()
        if self._unsynced:
            self._journal.sync()
            self._unsynced = False

    def params(self, values: Mapping[str, str]) -> None:
        """Record parameters; each can be written once."""
        self.tell(entry("texts", params=dict(values), tags={}))

    def tag(self, name: str, value: str) -> None:
        """Set a tag."""
        self.tell(entry("texts", params={}, tags={name: value}))

    def folder(self, folder: Path, name: str) -> None:
        """Store the files of a folder below ``name``."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.file(path, f"{name}/{path.relative_to(folder).as_posix()}")

    def file(self, path: Path, name: str | None = None) -> None:
        """Store one file, as it is now."""
        self.tell(self._journal.keep(path, name or path.name))

    def picture(self, image: int, png: bytes, name: str, told: Sequence[str]) -> None:
        """Store a picture whose captions :meth:`samples` will show beside what people told of it."""
        stored = f"samples/{image}.png"
        shown = {"type": "image", "filepath": stored, "compressed_filepath": stored}
        self._pictures[image] = (shown, name, " | ".join(told)[:_CHARACTERS])
        self._content(png, stored)

    def samples(self, rows: Sequence[tuple[int, int, str]]) -> None:
        """Store the table of sample captions, the last epoch first: its number, the picture, its caption."""
        known = [row for row in rows if row[1] in self._pictures]
        if not known:
            return
        table = {
            "columns": ["picture", "caption", "people", "epoch", "file"],
            "data": [self._sample(*row) for row in sorted(known, key=itemgetter(0), reverse=True)[:_ROWS]],
        }
        try:
            self._content(json.dumps(table).encode(), SAMPLES)
        except OSError as error:  # training goes on: the next epoch's table has these rows, too
            logger.warning("%s: %s; the samples are not recorded.", error.filename, error.strerror)
        else:
            self.tag("mlflow.loggedArtifacts", json.dumps([{"path": SAMPLES, "type": "table"}]))

    def _sample(self, epoch: int, image: int, said: str) -> list[Any]:
        picture, name, told = self._pictures[image]
        return [picture, said[:_CHARACTERS], told, epoch, name]

    def model(self, folder: Path, digest: str, search: GenerateParams) -> None:
        """Store a model as MLflow serves it, and have it registered.

        Args:
            folder: the model folder.
            digest: of the model.
            search: how its captions are searched for where it is served.

        Raises:
            OSError: the disk is full, or refuses. What MLflow refuses to pack is a warning.
        """
        with scratch() as temporary:
            copy, packed = temporary / "model", temporary / "model.zip"
            shutil.copytree(folder, copy)
            write_search(copy, search)
            try:
                models.pack(copy, packed)
            except tracking.RefusedError as refusal:
                logger.warning("%s", refusal)
                return
            self.tell(self._journal.keep(packed, packed.name) | {"kind": "model", "model": digest})

    def _content(self, content: bytes, name: str) -> None:
        with scratch() as temporary:
            path = temporary / "content"
            path.write_bytes(content)
            self.file(path, name)

    def tell(self, *entries: Entry) -> None:
        """Record whatever a journal may hold."""
        self._waiting += entries

    def adopt_scores(self, model_digest: str, params: Params) -> None:
        """Take over the scores of an earlier run that led to the very same model, if there is one."""
        self.tell(entry("adopt", model=model_digest, search=flatten(params, search=True)))

    def _try(self) -> None:
        """Write what is waiting; where that fails, training goes on, and :meth:`flush` will say so."""
        try:
            self._write()
        except OSError as error:
            if not self._failed:
                logger.warning("%s: %s; the record waits in memory.", error.filename, error.strerror)
            self._failed = True
        self._written = time.monotonic()

    def _write(self) -> None:
        self._journal.append(self._waiting)
        self._waiting, self._failed, self._unsynced = [], False, True


@contextmanager
def training_run(params: Params, name: str) -> Iterator[RunRecorder]:
    """The run of a training, FINISHED when the block ends well, KILLED on Ctrl-C and SIGTERM, else FAILED.

    Args:
        params: to be recorded.
        name: of the training. One that goes on after a death has the run that it had before, to which
            nothing is written twice.

    Raises:
        CapflowError: there cannot be such a store as MLFLOW_TRACKING_URI names.
        OSError: the journal cannot be written.
    """
    journal = Journal(project.record() / name)
    with Postman(journal) as postman, journal.writing():
        recorder = _begin(journal, params, name, postman)
        status = "FAILED"
        try:
            yield recorder
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            recorder.tell(entry("end", status=status))
            recorder.flush()


def _begin(journal: Journal, params: Params, name: str, postman: Postman) -> RunRecorder:
    """What is known at the beginning, on its way."""
    if journal.size() and journal.address() != tracking.address():
        journal.forget()  # another store has nothing of it
    recorder = RunRecorder(journal)
    recorder.tell(entry("begin", training=name, store=tracking.address(), name=run_name(), tags=origin()))
    recorder.params(flatten(params, search=False) | digests())
    recorder.tell(entry("inputs", inputs=inputs(params)))
    recorder.flush()
    postman.begin()
    return recorder


def record_scores(
    model_digest: str,
    params: Params,
    totals: Mapping[str, float],
    tested: Scored,
    artifacts: Mapping[str, Path],
) -> None:
    """Put the scores of a split's captions on the row of the model.

    Args:
        model_digest: of the model.
        params: with which it was trained and its captions were searched for.
        totals: the scores.
        tested: what was captioned.
        artifacts: files and folders to be stored, by name.
    """
    journal = Journal(project.record() / uuid.uuid4().hex)
    with Postman(journal, _PATIENCE) as postman, journal.writing():
        recorder = RunRecorder(journal)
        recorder.tell(_scores(model_digest, params, totals, tested))
        for name, path in artifacts.items():
            if path.is_dir():
                recorder.folder(path, name)
            else:
                recorder.file(path, name)
        recorder.flush()
        postman.begin()


def _scores(model_digest: str, params: Params, totals: Mapping[str, float], tested: Scored) -> Entry:
    return entry(
        "scores",
        store=tracking.address(),
        model=model_digest,
        search=flatten(params, search=True),
        params=flatten(params, search=False) | digests(),
        name=run_name(),
        tags=origin(),
        totals=dict(totals),
        split=tested.split,
        tested=scoring.tested(params.data.name, *tested),
        inputs=inputs(params),
    )
