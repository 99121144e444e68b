"""How MLflow's pages show the experiment: a saved view whose columns tell the runs apart.

MLflow keeps such views as tags of the experiment, lists them in its menu "Views", and opens one where an
address names it. Which of its two faces it shows, model training or GenAI, is up to the address or the
browser (3.17); other versions look at a tag of the experiment.
"""

import json
import time

VIEW = "capflow"
"""Of the view, in addresses."""
_COLUMNS = (
    *("params.`decoder.name`", "params.`train.lr`", "params.`train.epochs`"),
    *("metrics.`best_val_CIDEr`", "metrics.`CIDEr`", "metrics.`Bleu_4`", "metrics.`METEOR`"),
    *("metrics.`train_seconds`", "params.`encoder.name`", "params.`train.batch_size`", "params.`data.name`"),
    *("tags.`device`", "attributes.`Version`"),
)


def runs_page(experiment: str) -> str:
    """The address of the table of runs with our columns, below that of the server."""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def tags() -> dict[str, str]:
    """The tags that an experiment is to have."""
    now = int(1000 * time.time())
    state = json.dumps({"selectedColumns": _COLUMNS, "columnOrder": _COLUMNS})
    view = {"name": "Decoders, rates and scores", "createdAt": now, "updatedAt": now, "state": state}
    return {
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
        "mlflow.experimentKind": "custom_model_development",
    }
