"""MLflow's store: runs, with their numbers, texts, files and inputs.

MLflow takes seconds to import. The client interface is used throughout: there is no global active run that
a second thread, or a crash, could leave behind. Whatever is written may be written again, as after an answer
that was lost: the store then has it once.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from capflow import project
from capflow.tracking.troubles import (
    GoneError,
    RefusedError,
    UnusableError,
    reason,
    shown,
    translated,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "capflow"
BATCH = 500
"""So many numbers go in one request, some fifty times as fast as singly."""

_SQLITE = b"SQLite format 3"
# By default a dead server holds everything up for four minutes, a silent one for two at a time, and the end
# of a run is announced on stdout.
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    _TIMEOUT: "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class Number(NamedTuple):
    """A value at a step."""

    name: str
    value: float
    step: int
    at: int


class Input(NamedTuple):
    """What a run has read: a name, a digest of 36 characters at most, where it is, what for."""

    name: str
    digest: str
    path: str
    context: str


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
    return shown(os.environ.get("MLFLOW_TRACKING_URI", ""))


def load() -> None:
    """Import MLflow now: that takes seconds, which are not spent in a thread that others wait for."""
    import mlflow  # noqa: F401


def settle() -> None:
    """Ask MLflow to be quiet, and to give up soon: what fails is told here, in our own words."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


def meters() -> Callable[[], dict[str, float]]:
    """MLflow's meters: processors, memory, disk, network, and GPUs where pynvml is installed."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    kinds: list[Any] = [CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor]
    found: list[Any] = []
    for kind in kinds:
        with suppress(ImportError, RuntimeError):  # without a GPU, or what asks it
            found.append(kind())

    def measure() -> dict[str, float]:
        told: dict[str, float] = {}
        for monitor in found:
            monitor.clear_metrics()
            monitor.collect_metrics()
            told |= monitor.aggregate_metrics()
        return told

    return measure


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
        settle()
        self.uri = tracking_uri()
        _refuse_damaged(self.uri)
        try:
            with translated(self.uri), FileLock(project.store() / "mlflow.lock"):
                self.client = _client(self.uri)
                self.experiment = _experiment(self.client, self.uri)
        except (RefusedError, GoneError) as error:
            raise UnusableError(
                f"MLflow: what answers at {shown(self.uri)} is no store of MLflow's ({error}); "
                "correct MLFLOW_TRACKING_URI."
            ) from None

    def rows(self, tag: str, value: str) -> list[Row]:
        """The runs with a tag, the latest first."""
        with translated(self.uri):
            runs = self.client.search_runs([self.experiment], f"tags.`{tag}` = '{value}'")
        return [_row(run) for run in runs]

    def finished(self) -> list[tuple[Row, Path]]:
        """The finished runs, the latest first, each with its model folder: those on this machine."""
        with translated(self.uri):
            runs = self.client.search_runs([self.experiment], "attributes.status = 'FINISHED'")
            places = [
                (run, urlsplit(self.client.get_logged_model(model.model_id).artifact_location))
                for run in runs
                for model in (run.outputs.model_outputs if run.outputs else ())
            ]
        return [
            (_row(run), Path(unquote(place.path), "artifacts", "model"))
            for run, place in places
            if place.scheme in {"", "file"}
        ]

    def row(self, run: str) -> Row:
        """One run."""
        with translated(self.uri):
            return _row(self.client.get_run(run))

    def create(self, name: str, tags: Mapping[str, str], at: int) -> str:
        """A new run that began at some time."""
        with translated(self.uri):
            run = self.client.create_run(self.experiment, at, dict(tags), name)
        return str(run.info.run_id)

    def delete(self, run: str) -> None:
        """Delete a run."""
        with self.of(run):
            self.client.delete_run(run)

    def recorded(self, row: Row) -> set[tuple[str, int]]:
        """The numbers that a run has, by name and step."""
        with self.of(row.run):
            histories = [self.client.get_metric_history(row.run, name) for name in row.metrics]
        return {(one.key, one.step) for history in histories for one in history}

    def begin(self, run: str, name: str) -> None:
        """Say that a run is at work, and what it is called."""
        with self.of(run):
            self.client.update_run(run, status="RUNNING", name=name)

    def end(self, run: str, status: str, at: int) -> None:
        """Say how a run ended."""
        with self.of(run):
            self.client.set_terminated(run, status, at)

    def numbers(self, run: str, numbers: Sequence[Number]) -> None:
        """Record numbers."""
        from mlflow.entities import Metric

        for start in range(0, len(numbers), BATCH):
            part = [Metric(name, value, at, step) for name, value, step, at in numbers[start : start + BATCH]]
            with self.of(run):
                self.client.log_batch(run, metrics=part)

    def texts(self, run: str, *, params: Mapping[str, str] = {}, tags: Mapping[str, str] = {}) -> None:
        """Record parameters, each of which can be written once, and tags."""
        from mlflow.entities import Param, RunTag

        with self.of(run):
            self.client.log_batch(
                run,
                params=[Param(name, value) for name, value in params.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )

    def inputs(self, run: str, inputs: Sequence[Input]) -> None:
        """Say what a run has read; what it has is there once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        told = [
            DatasetInput(
                Dataset(one.name, one.digest, "dvc", json.dumps({"path": one.path})),
                [InputTag("mlflow.data.context", one.context)],
            )
            for one in inputs
        ]
        if told:
            with self.of(run):
                self.client.log_inputs(run, told)

    def file(self, run: str, path: Path, folder: str | None) -> None:
        """Store a file among the artifacts of a run."""
        with patience(path.stat().st_size), self.of(run):
            self.client.log_artifact(run, str(path), folder)

    @contextmanager
    def of(self, run: str) -> Iterator[None]:
        """Work on a run; where that is refused because the run was deleted, say so."""
        try:
            with translated(self.uri):
                yield
        except RefusedError:
            with translated(self.uri):
                if self.client.get_run(run).info.lifecycle_stage == "deleted":
                    raise GoneError(run) from None
            raise


def _row(run: Run) -> Row:
    return Row(run.info.run_id, run.data.params, run.data.metrics, run.data.tags)


@contextmanager
def patience(size: int) -> Iterator[None]:
    """Let each request take a second more for each MiB that is on its way."""
    usual = os.environ[_TIMEOUT]
    os.environ[_TIMEOUT] = str(int(usual) + size // 2**20)
    try:
        yield
    finally:
        os.environ[_TIMEOUT] = usual


def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        return MlflowClient(uri)
    except (MlflowException, ImportError) as error:
        if getattr(error, "error_code", "") == "TEMPORARILY_UNAVAILABLE":
            raise
        raise UnusableError(
            f"MLflow: there is no such store as {shown(uri)} ({reason(error)}); correct MLFLOW_TRACKING_URI."
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
