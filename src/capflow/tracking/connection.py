"""Where MLflow's store is, how it is reached, and how long anybody waits for it.

MLflow takes seconds to import, and does so where it is needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from capflow import project
from capflow.tracking.troubles import GoneError, RefusedError, UnusableError, given, reason, shown, translated
from capflow.tracking.views import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

EXPERIMENT = "capflow"

_FILE, _SQLITE = "sqlite:///", b"SQLite format 3"
# By default a dead server holds everything up for four minutes, a silent one for two at a time, and the end
# of a run is announced on stdout.
_TIMEOUT, _RETRIES = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_SETTINGS = {
    _RETRIES: "0",
    _TIMEOUT: "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


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
    """Ask MLflow to be quiet, and to give up soon: what fails is told here, in our own words.

    Raises:
        UnusableError: how long to wait, or how often to ask again, is no number.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for name, least in ((_TIMEOUT, 1), (_RETRIES, 0)):
        text = os.environ[name]
        if not text.isdecimal() or int(text) < least:
            raise UnusableError(f"{name}: {text!r} is no whole number from {least} on; correct or unset it.")
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


def is_service() -> bool:
    """Whether the store is another machine's or process's, and may keep us waiting."""
    return not tracking_uri().startswith("sqlite:")


def is_there() -> bool:
    """Whether there is a store already; a service is taken to have one."""
    path = _file_of(tracking_uri())
    return path is None or path.is_file()


def reach() -> tuple[str, MlflowClient, str]:
    """Reach the store, and make the experiment if need be, one process at a time.

    Two processes that create one SQLite store at the same moment would break it, hence the lock.

    Returns:
        The store's address, a client of it, and the number of the experiment.

    Raises:
        AwayError: it does not answer, is locked, read-only or full.
        UnusableError: there cannot be such a store, or it is damaged.
    """
    settle()
    uri = tracking_uri()
    if path := _file_of(uri):
        _refuse_slips(uri, path)
    try:
        with translated(uri), FileLock(project.store() / "mlflow.lock"):
            if path and not (path.is_file() and path.stat().st_size):
                _make(path)
            client = _client(uri)
            return uri, client, given(uri, _experiment(client, uri))
    except (RefusedError, GoneError) as error:
        raise UnusableError(
            f"MLflow: what answers at {shown(uri)} is no store of MLflow's ({error}); "
            "correct MLFLOW_TRACKING_URI."
        ) from None


def _make(path: Path) -> None:
    """Let MLflow make a store beside its place, and move it there when it is whole.

    It takes many steps and some seconds; a store that was left between two steps it can neither use nor mend.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    beside = path.with_name(f"{path.name}.new")
    for left in (beside, beside.with_name(f"{beside.name}-journal")):
        left.unlink(missing_ok=True)
    made = SqlAlchemyStore(f"{_FILE}{beside}", (project.root() / "mlartifacts").as_uri())
    made.engine.dispose()
    beside.replace(path)


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


def _file_of(uri: str) -> Path | None:
    """Where SQLite has a store; None of a service."""
    return Path(uri.removeprefix(_FILE).partition("?")[0]) if uri.startswith(_FILE) else None


def _refuse_slips(uri: str, path: Path) -> None:
    """Refuse a file that SQLite cannot have written, and one in a folder that is not there.

    Of the first it would speak in each of its own errors, for a minute; the folder MLflow would make.
    """
    if not path.parent.is_dir():
        raise UnusableError(
            f"MLflow: there is no folder {path.parent} for the store {uri}; make it, or correct "
            "MLFLOW_TRACKING_URI."
        )
    if path.is_dir():
        raise UnusableError(f"MLflow: the store {uri} is a folder, not a file; correct MLFLOW_TRACKING_URI.")
    if path.is_file() and not _begins_as_sqlite_does(path):
        raise UnusableError(f"MLflow: the store {uri} is damaged: no SQLite wrote it; move the file away.")


def _begins_as_sqlite_does(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_SQLITE)) in (b"", _SQLITE)


def _experiment(client: MlflowClient, uri: str) -> str:
    found = client.get_experiment_by_name(EXPERIMENT) or _created(client, uri)
    _prepare(client, found)
    return str(found.experiment_id)


def _prepare(client: MlflowClient, experiment: Experiment) -> None:
    """Let an experiment have the tags that it lacks; what somebody made of them stays.

    A server that refuses, as one may that lets only its administrators change experiments, still takes runs.
    """
    from mlflow.exceptions import MlflowException

    for name, value in tags().items():
        if name not in experiment.tags:
            with suppress(MlflowException):
                client.set_experiment_tag(experiment.experiment_id, name, value)


def _created(client: MlflowClient, uri: str) -> Experiment:
    from mlflow.exceptions import MlflowException

    # Without a location of its own, artifacts land in whichever directory asked first; a server has one.
    served = uri.startswith(("http:", "https:", "databricks"))
    location = None if served else (project.root() / "mlartifacts").as_uri()
    try:
        return client.get_experiment(client.create_experiment(EXPERIMENT, artifact_location=location))
    except MlflowException:
        # Another machine may have been first on a shared server.
        if found := client.get_experiment_by_name(EXPERIMENT):
            return found
        raise
