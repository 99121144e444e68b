"""MLflow's store: the only module, beside ``serving``, that imports it, and it does so where it is needed.

MLflow takes seconds to import. The client interface is used throughout: there is no global active run that
a second thread, or a crash, could leave behind. Whatever is written may be written again, as after an answer
that was lost: the store then has it once.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from capflow import project
from capflow.errors import CapflowError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "capflow"
BATCH = 500
"""So many numbers go in one request, some fifty times as fast as singly."""

_SQLITE = b"SQLite format 3"
_GONE = {"RESOURCE_DOES_NOT_EXIST"}
_REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"}
# By default a dead server holds everything up for four minutes, a silent one for two at a time, and the end
# of a run is announced on stdout.
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    _TIMEOUT: "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class StoreError(CapflowError):
    """What a store says against something."""


class AwayError(StoreError):
    """The store does not answer, or cannot do now what it is asked for; later it may."""


class UnusableError(StoreError):
    """There cannot be such a store, or it is damaged: waiting does not help."""


class RefusedError(StoreError):
    """The store will never take this."""


class GoneError(StoreError):
    """The run was deleted."""


class Number(NamedTuple):
    """A value at a step."""

    name: str
    value: float
    step: int
    at: int


class Row(NamedTuple):
    """A run, as the table of runs shows it."""

    run: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, else the SQLite store at the repository root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project.root() / 'mlflow.db'}"


def address() -> str:
    """The store as one may write it down, without a password; empty for the one at the root."""
    return _shown(os.environ.get("MLFLOW_TRACKING_URI", ""))


def load() -> None:
    """Import MLflow now: that takes seconds, which are not spent in a thread that others wait for."""
    import mlflow  # noqa: F401


def is_service() -> bool:
    """Whether the store is another machine's or process's, and may keep us waiting."""
    return not tracking_uri().startswith("sqlite:")


class Store:
    """The runs of the experiment ``capflow``."""

    def __init__(self) -> None:
        """Reach the store, and make the experiment if need be, one process at a time.

        Two processes that create one SQLite store at the same moment would break it, hence the lock.

        Raises:
            AwayError: it does not answer, is locked, read-only or full.
            UnusableError: there is no such store, or it is damaged.
        """
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        self._uri = tracking_uri()
        _refuse_damaged(self._uri)
        try:
            with _translated(self._uri), FileLock(project.store() / "mlflow.lock"):
                self._client = _client(self._uri)
                self._experiment = _experiment(self._client, self._uri)
        except (RefusedError, GoneError) as error:
            raise UnusableError(
                f"MLflow: what answers at {_shown(self._uri)} is no store of MLflow's ({error}); "
                "correct MLFLOW_TRACKING_URI."
            ) from None

    def rows(self, tag: str, value: str) -> list[Row]:
        """The runs with a tag, the latest first."""
        with _translated(self._uri):
            runs = self._client.search_runs([self._experiment], f"tags.`{tag}` = '{value}'")
        return [_row(run) for run in runs]

    def finished(self) -> list[tuple[Row, Path]]:
        """The finished runs, the latest first, each with the folder of its files: those on this machine."""
        with _translated(self._uri):
            runs = self._client.search_runs([self._experiment], "attributes.status = 'FINISHED'")
        places = [(run, urlsplit(run.info.artifact_uri)) for run in runs]
        return [(_row(run), Path(unquote(place.path))) for run, place in places if place.scheme == "file"]

    def create(self, name: str, tags: Mapping[str, str], at: int) -> str:
        """A new run that began at some time."""
        with _translated(self._uri):
            run = self._client.create_run(self._experiment, at, dict(tags), name)
        return str(run.info.run_id)

    def delete(self, run: str) -> None:
        """Delete a run."""
        with self._of(run):
            self._client.delete_run(run)

    def recorded(self, row: Row) -> set[tuple[str, int]]:
        """The numbers that a run has, by name and step."""
        with self._of(row.run):
            histories = [self._client.get_metric_history(row.run, name) for name in row.metrics]
        return {(one.key, one.step) for history in histories for one in history}

    def begin(self, run: str, name: str) -> None:
        """Say that a run is at work, and what it is called."""
        with self._of(run):
            self._client.update_run(run, status="RUNNING", name=name)

    def end(self, run: str, status: str, at: int) -> None:
        """Say how a run ended."""
        with self._of(run):
            self._client.set_terminated(run, status, at)

    def numbers(self, run: str, numbers: Sequence[Number]) -> None:
        """Record numbers."""
        from mlflow.entities import Metric

        for start in range(0, len(numbers), BATCH):
            part = [Metric(name, value, at, step) for name, value, step, at in numbers[start : start + BATCH]]
            with self._of(run):
                self._client.log_batch(run, metrics=part)

    def texts(self, run: str, *, params: Mapping[str, str] = {}, tags: Mapping[str, str] = {}) -> None:
        """Record parameters, each of which can be written once, and tags."""
        from mlflow.entities import Param, RunTag

        with self._of(run):
            self._client.log_batch(
                run,
                params=[Param(name, value) for name, value in params.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )

    def file(self, run: str, path: Path, folder: str | None) -> None:
        """Store a file among the artifacts of a run; it may take a second for each MiB."""
        usual = os.environ[_TIMEOUT]
        os.environ[_TIMEOUT] = str(int(usual) + path.stat().st_size // 2**20)
        try:
            with self._of(run):
                self._client.log_artifact(run, str(path), folder)
        finally:
            os.environ[_TIMEOUT] = usual

    @contextmanager
    def _of(self, run: str) -> Iterator[None]:
        """Work on a run; where that is refused because the run was deleted, say so."""
        try:
            with _translated(self._uri):
                yield
        except RefusedError:
            with _translated(self._uri):
                if self._client.get_run(run).info.lifecycle_stage == "deleted":
                    raise GoneError(run) from None
            raise


def _row(run: Run) -> Row:
    return Row(run.info.run_id, run.data.params, run.data.metrics, run.data.tags)


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Say in our own words what MLflow, the network or a database refuses."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except CapflowError:
        raise
    except MlflowException as error:
        if error.error_code in _GONE:
            raise GoneError(str(error)) from None
        if error.error_code in _REFUSED:
            raise RefusedError(_reason(error)) from None
        raise _away(uri, error) from None
    except Exception as error:  # noqa: BLE001 -- drivers of databases and artifacts have errors of their own
        raise _away(uri, error) from None


def _away(uri: str, error: Exception) -> AwayError:
    return AwayError(
        f"MLflow: the store {_shown(uri)} cannot be used ({_reason(error)}); start the server, or correct "
        "MLFLOW_TRACKING_URI."
    )


def _reason(error: Exception) -> str:
    """Why, in a few words: of an error of the network its core, else the first line."""
    text = str(error)
    core = re.search(r"\[Errno -?\d+\] [^'\")]+|[Rr]ead timed out|database is locked|[Nn]o space left", text)
    return core[0] if core else text.strip().partition("\n")[0][:300]


def _shown(uri: str) -> str:
    """An address without its user and password; these are told to nobody."""
    place = urlsplit(uri).netloc
    return uri.replace(place, place.rpartition("@")[2], 1)


def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    # It tells of each table that it creates, and of each failure that is told here.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    try:
        return MlflowClient(uri)
    except (MlflowException, ImportError) as error:
        if getattr(error, "error_code", "") == "TEMPORARILY_UNAVAILABLE":
            raise
        raise UnusableError(
            f"MLflow: there is no such store as {_shown(uri)} ({_reason(error)}); "
            "correct MLFLOW_TRACKING_URI."
        ) from None


def _refuse_damaged(uri: str) -> None:
    """Refuse a file that SQLite did not write: it would say so in each of its own errors, for a minute."""
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or not path.is_file():
        return
    with path.open("rb") as stream:
        begins = stream.read(len(_SQLITE))
    if begins not in (b"", _SQLITE):
        raise UnusableError(f"MLflow: the store {uri} is damaged: no SQLite wrote it; move the file away.")


def _experiment(client: MlflowClient, uri: str) -> str:
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(EXPERIMENT):
        return str(found.experiment_id)
    # Without a location of its own, artifacts land in whichever directory asked first; a server has one.
    served = uri.startswith(("http:", "https:", "databricks"))
    location = None if served else (project.root() / "mlartifacts").as_uri()
    try:
        return str(client.create_experiment(EXPERIMENT, artifact_location=location))
    except MlflowException:
        # Another machine may have been first on a shared server.
        if found := client.get_experiment_by_name(EXPERIMENT):
            return str(found.experiment_id)
        raise
