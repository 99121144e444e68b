"""Runs in MLflow's store, with their numbers, texts, files and inputs.

The client interface is used throughout: there is no global active run that a second thread, or a crash,
could leave behind. Whatever is written may be written again, as after an answer that was lost: the store then
has it once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from capflow.tracking.connection import patience, reach
from capflow.tracking.troubles import GoneError, RefusedError, given, translated

if TYPE_CHECKING:
    from mlflow.entities import Run

BATCH = 500
"""So many numbers go in one request, some fifty times as fast as singly."""


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


class Store:
    """The runs of the experiment ``capflow``."""

    def __init__(self) -> None:
        """Reach the store; see :func:`capflow.tracking.connection.reach`."""
        self.uri, self.client, self.experiment = reach()

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
        """A new run that began at some time; see :func:`capflow.tracking.troubles.given`."""
        with translated(self.uri):
            run = self.client.create_run(self.experiment, at, dict(tags), name)
        return given(self.uri, run.info.run_id)

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
