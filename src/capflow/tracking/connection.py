"""Where MLflow's store is, how it is reached, and how long anybody waits for it.

MLflow takes seconds to import, and does so where it is needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from capflow import project
from capflow.tracking.troubles import GoneError, RefusedError, UnusableError, reason, shown, translated

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "capflow"

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


def is_service() -> bool:
    """Whether the store is another machine's or process's, and may keep us waiting."""
    return not tracking_uri().startswith("sqlite:")


def reach() -> tuple[str, MlflowClient, str]:
    """Reach the store, and make the experiment if need be, one process at a time.

    Two processes that create one SQLite store at the same moment would break it, hence the lock.

    Returns:
        The store's address, a client of it, and the number of the experiment.

    Raises:
        AwayError: it does not answer, is locked, read-only or full.
        UnusableError: there is no such store, or it is damaged.
    """
    settle()
    uri = tracking_uri()
    _refuse_damaged(uri)
    try:
        with translated(uri), FileLock(project.store() / "mlflow.lock"):
            client = _client(uri)
            return uri, client, _experiment(client, uri)
    except (RefusedError, GoneError) as error:
        raise UnusableError(
            f"MLflow: what answers at {shown(uri)} is no store of MLflow's ({error}); "
            "correct MLFLOW_TRACKING_URI."
        ) from None


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
