"""How MLflow's pages show the experiment: a saved view whose columns tell the runs apart.

MLflow keeps such views as tags of the experiment, lists them in its menu "Views", and opens one where an
address names it. Which of its two faces it shows, model training or GenAI, is up to the address or the
browser (3.17); other versions look at a tag of the experiment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

VIEW = "capflow"
"""Of the view, in addresses."""
_TAG = f"mlflow.sharedViewState.{VIEW}"
_COLUMNS = (
    *("params.`decoder.name`", "params.`train.lr`", "params.`train.epochs`"),
    *("metrics.`best_val_CIDEr`", "metrics.`CIDEr`", "metrics.`Bleu_4`", "metrics.`METEOR`"),
    *("metrics.`train_seconds`", "params.`encoder.name`", "params.`train.batch_size`", "params.`data.name`"),
    *("tags.`device`", "attributes.`Version`"),
)


def runs_page(experiment: str) -> str:
    """The address of the table of runs with our columns, below that of the server."""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def prepare(client: MlflowClient, experiment: Experiment) -> None:
    """Let an experiment have the view, if it has none; what somebody made of ours stays.

    A server that refuses, as one may that lets only its administrators change experiments, still takes runs.
    """
    from mlflow.exceptions import MlflowException

    for name, value in _tags().items():
        if name not in experiment.tags:
            with suppress(MlflowException):
                client.set_experiment_tag(experiment.experiment_id, name, value)


def _tags() -> Mapping[str, str]:
    now = int(1000 * time.time())
    state = json.dumps({"selectedColumns": _COLUMNS, "columnOrder": _COLUMNS})
    view = {"name": "Decoders, rates and scores", "createdAt": now, "updatedAt": now, "state": state}
    return {_TAG: json.dumps(view), "mlflow.experimentKind": "custom_model_development"}
