"""What trainings and scores tell the record: it goes into a journal at once, and to MLflow as that answers.

Nobody waits for MLflow: a thread sends what the journal holds. Only at the beginning and at the end are a
few seconds spent on it, so that what works is on record when a stage ends, and what cannot be sent then is
sent by a later stage, or by ``capflow record``.
"""

import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from capflow import project, tracking
from capflow.params import Params
from capflow.record.journal import Entry, Journal, entry
from capflow.record.postman import Postman

logger = logging.getLogger(__name__)

_SEARCH_SECTIONS = ("generate.", "evaluate.")
_PATIENCE = 60.0  # seconds that scores, which nobody waits for, may take on their way
_INTERVAL = 1.0  # seconds that a number may wait before it is written to the journal


class RunRecorder:
    """Writes numbers, texts and files to the journal of one run."""

    def __init__(self, journal: Journal) -> None:
        """Go on in a journal; the numbers that it has are not written again, by name and step."""
        self._journal = journal
        self._waiting: list[Entry] = []
        self._written, self._failed = time.monotonic(), False
        numbers = (line.entry for line in journal.lines() if line.entry["kind"] == "numbers")
        self._told = {(name, one["step"]) for one in numbers for name in one["values"]}

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values at a step."""
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
            self._journal.sync()

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

    def tell(self, *entries: Entry) -> None:
        """Record whatever a journal may hold."""
        self._waiting += entries

    def adopt_scores(self, model_digest: str, params: Params) -> None:
        """Take over the scores of an earlier run that led to the very same model, if there is one."""
        self.tell(entry("adopt", model=model_digest, search=_flatten(params, search=True)))

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
        self._waiting, self._failed = [], False


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
    recorder.tell(entry("begin", training=name, store=tracking.address(), name=_run_name(), tags=_origin()))
    recorder.params(_flatten(params, search=False) | _data_digests())
    recorder.flush()
    postman.begin()
    return recorder


def record_scores(
    model_digest: str, params: Params, totals: Mapping[str, float], split: str, artifacts: Mapping[str, Path]
) -> None:
    """Put the scores of a split's captions on the row of the model.

    Args:
        model_digest: of the model.
        params: with which it was trained and its captions were searched for.
        totals: the scores.
        split: whose captions.
        artifacts: files and folders to be stored, by name.
    """
    journal = Journal(project.record() / uuid.uuid4().hex)
    with Postman(journal, _PATIENCE) as postman, journal.writing():
        recorder = RunRecorder(journal)
        recorder.tell(_scores(model_digest, params, totals, split))
        for name, path in artifacts.items():
            if path.is_dir():
                recorder.folder(path, name)
            else:
                recorder.file(path, name)
        recorder.flush()
        postman.begin()


def _scores(model_digest: str, params: Params, totals: Mapping[str, float], split: str) -> Entry:
    return entry(
        "scores",
        store=tracking.address(),
        model=model_digest,
        search=_flatten(params, search=True),
        params=_flatten(params, search=False) | _data_digests(),
        name=_run_name(),
        tags=_origin(),
        totals=dict(totals),
        split=split,
    )


def _run_name() -> str:
    """What DVC calls the experiment, else the time: MLflow's names depend on our seed."""
    return os.environ.get("DVC_EXP_NAME") or time.strftime("%Y-%m-%d %H:%M:%S")


def _origin() -> dict[str, str]:
    """Which DVC experiment this is, as DVC tells its stages."""
    names = {"DVC_EXP_NAME": "dvc.experiment", "DVC_EXP_BASELINE_REV": "dvc.baseline"}
    return {tag: os.environ[name] for name, tag in names.items() if os.environ.get(name)}


def _flatten(params: Params, *, search: bool) -> dict[str, str]:
    """Parameters by dotted name, as MLflow has them: those of search and scores, or all others."""
    flat = dict(_leaves(params.model_dump()))
    return {key: str(value) for key, value in flat.items() if key.startswith(_SEARCH_SECTIONS) is search}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _data_digests() -> dict[str, str]:
    """The digests of the artifacts that training read, as DVC recorded them when they were made.

    In ``dvc.lock`` the outputs of the earlier stages are fresh while a stage runs; its own inputs
    are still those of the last time.
    """
    try:
        lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    outs = [out for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])]
    read_by_training = {str(path) for path in (project.VOCAB, project.TENSORS, project.FEATURES)}
    return {f"digest.{Path(out['path']).name}": out["md5"] for out in outs if out["path"] in read_by_training}
