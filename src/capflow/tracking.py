"""The record of what ran, in MLflow: one run, one row, for each trained model.

MLflow takes seconds to import, so this module imports it where it is needed; no other module but
``serving`` does. The client interface is used throughout: there is no global active run that a
second thread, or a crash, could leave behind.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock

from capflow import project
from capflow.errors import CapflowError
from capflow.params import Params

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "capflow"
MODEL_TAG = "capflow.model"
SPLIT_TAG = "capflow.scored_split"
_SCORES_TAG = "capflow.scores"
_TRAINING_TAG = "capflow.training"
_BUFFER = 500
_SEARCH_SECTIONS = ("generate.", "evaluate.")


class RunRecorder:
    """Writes numbers and files to one run; numbers go in batches, some fifty times as fast as singly."""

    def __init__(self, client: MlflowClient, run_id: str, recorded: Collection[tuple[str, int]] = ()) -> None:
        """Write to the run ``run_id``, but not what it has on record already, by name and step."""
        self._client, self._run_id, self._recorded = client, run_id, recorded
        self._buffer: list[Any] = []

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record values at a step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = ((name, value) for name, value in values.items() if (name, step) not in self._recorded)
        self._buffer += [Metric(name, float(value), now, step) for name, value in new]
        if len(self._buffer) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
        for start in range(0, len(self._buffer), _BUFFER):
            self._client.log_batch(self._run_id, metrics=self._buffer[start : start + _BUFFER])
        self._buffer = []

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters; each can be written once."""
        from mlflow.entities import Param

        self._client.log_batch(self._run_id, params=[Param(key, str(value)) for key, value in values.items()])

    def tag(self, name: str, value: str) -> None:
        """Set a tag."""
        self._client.set_tag(self._run_id, name, value)

    def folder(self, folder: Path, name: str) -> None:
        """Store the files of a folder below ``name``."""
        self._client.log_artifacts(self._run_id, str(folder), name)

    def file(self, path: Path) -> None:
        """Store one file."""
        self._client.log_artifact(self._run_id, str(path))

    def scores(self, totals: Mapping[str, float], split: str) -> None:
        """Record the scores of a split's captions, for the table and for a run of the same model."""
        self.log(totals, step=0)
        self.flush()
        self.tag(SPLIT_TAG, split)
        self.tag(_SCORES_TAG, json.dumps(dict(totals)))


@contextmanager
def training_run(params: Params, name: str) -> Iterator[RunRecorder]:
    """The run of a training, FINISHED when the block ends well, KILLED on Ctrl-C and SIGTERM, else FAILED.

    Args:
        params: to be recorded.
        name: of the training. One that goes on after a death has the run that it had before, to which
            nothing is written twice.
    """
    client, experiment = _connect()
    run, recorder = _run_of(client, experiment, name)
    status = "FAILED"
    try:
        recorder.params(_flatten(params, search=False) | _data_digests())
        yield recorder
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        recorder.flush()
        client.set_terminated(run.info.run_id, status)


def _run_of(client: MlflowClient, experiment: str, training: str) -> tuple[Run, RunRecorder]:
    """The run of a training, or a new one, and what writes to it."""
    found = client.search_runs([experiment], f"tags.`{_TRAINING_TAG}` = '{training}'")
    if not found:
        run = client.create_run(experiment, run_name=_run_name(), tags=_origin() | {_TRAINING_TAG: training})
        return run, RunRecorder(client, run.info.run_id)
    run, run_id = found[0], found[0].info.run_id
    client.update_run(run_id, status="RUNNING", name=_run_name())
    for tag, value in _origin().items():
        client.set_tag(run_id, tag, value)
    histories = (client.get_metric_history(run_id, name) for name in run.data.metrics)
    return run, RunRecorder(client, run_id, {(one.key, one.step) for each in histories for one in each})


def scored_run(model_digest: str, params: Params) -> RunRecorder:
    """The run that the scores of a model belong to.

    That is the run that trained it, or, where the same model was already scored with another search,
    a new run that takes over the training run's parameters and last numbers: each row of the table
    has one set of parameters and one set of scores.
    """
    client, experiment = _connect()
    runs = client.search_runs([experiment], f"tags.`{MODEL_TAG}` = '{model_digest}'")
    search = {key: str(value) for key, value in _flatten(params, search=True).items()}
    for run in runs:
        if all(run.data.params.get(key, value) == value for key, value in search.items()):
            recorder = RunRecorder(client, run.info.run_id)
            recorder.params(search)
            return recorder
    recorder = _successor(client, experiment, params, runs)
    recorder.tag(MODEL_TAG, model_digest)
    return recorder


def adopt_scores(recorder: RunRecorder, model_digest: str, params: Params) -> None:
    """Give a run of training the scores of an earlier one that led to the very same model.

    DVC sees that the model is the one that it knows, and does not caption and score it again.
    """
    client, experiment = _connect()
    search = {key: str(value) for key, value in _flatten(params, search=True).items()}
    for run in client.search_runs([experiment], f"tags.`{MODEL_TAG}` = '{model_digest}'"):
        if _SCORES_TAG in run.data.tags and search.items() <= run.data.params.items():
            recorder.params(search)
            recorder.scores(json.loads(run.data.tags[_SCORES_TAG]), run.data.tags[SPLIT_TAG])
            return


def _successor(client: MlflowClient, experiment: str, params: Params, runs: list[Run]) -> RunRecorder:
    run = client.create_run(experiment, run_name=_run_name(), tags=_origin())
    recorder = RunRecorder(client, run.info.run_id)
    recorder.params(_flatten(params, search=False) | _flatten(params, search=True) | _data_digests())
    if runs:
        recorder.tag("capflow.trained_in", runs[0].info.run_id)
        recorder.log(runs[0].data.metrics, step=int(runs[0].data.metrics.get("step", 0)))
        recorder.flush()
    client.set_terminated(run.info.run_id, "FINISHED")
    return recorder


def _connect() -> tuple[MlflowClient, str]:
    """A client and the experiment's id, made if need be, by one process at a time.

    Two processes that create one SQLite store at the same moment would break it, hence the lock.

    Raises:
        CapflowError: there is no such store, it does not answer, or it is damaged.
    """
    # By default a dead server holds everything up for four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each table that it creates
    uri = tracking_uri()
    try:
        with FileLock(project.store() / "mlflow.lock"):
            client = MlflowClient(uri)
            return client, _experiment(client, uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CapflowError(
            f"MLflow: the store {uri} cannot be used ({reason}); correct MLFLOW_TRACKING_URI, start the "
            "server, or move a damaged file away."
        ) from None


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


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, else the SQLite store at the repository root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project.root() / 'mlflow.db'}"


def _run_name() -> str | None:
    return os.environ.get("DVC_EXP_NAME")


def _origin() -> dict[str, str]:
    """Which DVC experiment this is, as DVC tells its stages."""
    names = {"DVC_EXP_NAME": "dvc.experiment", "DVC_EXP_BASELINE_REV": "dvc.baseline"}
    return {tag: os.environ[name] for name, tag in names.items() if os.environ.get(name)}


def _flatten(params: Params, *, search: bool) -> dict[str, Any]:
    """Parameters by dotted name: those of search and scores, or all others."""
    flat = dict(_leaves(params.model_dump()))
    return {key: value for key, value in flat.items() if key.startswith(_SEARCH_SECTIONS) is search}


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
