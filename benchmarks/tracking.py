"""Numbers of each training step recorded in MLflow's SQLite store: in batches, and by mlflow.log_metric.

Capflow records as many as a training of COCO does in 20 epochs, from the beginning of a run until MLflow has
all of them; the peer, in turn, a hundredth of them, into a run that is open already. A single number waits
for the disk, a batch for the processor, and either may be busy with something else: hence the many rounds.
The training step that this is compared with is a small one: the default decoder on features that are given,
with the few words of the generated scenes.
"""

import os
import tempfile
import uuid
from pathlib import Path

import mlflow
import torch

from benchmarks.report import Work, fastest, require, row
from capflow import tracking
from capflow.models.captioner import DECODERS
from capflow.models.decoder import Shape
from capflow.params import Params, load_params
from capflow.record.recorder import training_run
from capflow.training.cross_entropy import caption_loss

STEPS, SINGLY, ROUNDS = 5000, 50, 8
CHANNELS, WORDS, LENGTH = 512, 100, 12


def main() -> None:
    """Measure, check that all numbers arrived, and print."""
    params = load_params()
    train = training_step(params)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # the store of this folder is measured, nobody's own
        Path("dvc.yaml").write_text("stages: {}\n")
        mlflow.set_tracking_uri(tracking.tracking_uri())
        with mlflow.start_run():
            best = fastest(
                {
                    "mlflow.log_metric": singly,
                    "capflow": lambda: batched(params),
                    "training step": train,
                },
                ROUNDS,
            )
        check()
    singles, batches = best["mlflow.log_metric"] / (2 * SINGLY), best["capflow"] / (2 * STEPS)
    print(
        f"milliseconds a number: mlflow.log_metric {singles * 1e3:.1f}, capflow {batches * 1e3:.3f}; "
        f"a training step: {best['training step'] * 1e3:.0f}"
    )
    # Each so many steps the loop records two numbers.
    share = 2 * batches / params.train.log_every / best["training step"]
    ratio = singles / batches
    row(11, "tracking, a number", f"{ratio:.0f}x mlflow.log_metric", ">= 50x", met=ratio >= 50)
    row(11, "tracking, of a training step", f"{share:.2%}", "<= 1 %", met=share <= 0.01)


def singly() -> None:
    """Record some steps the usual way."""
    for step in range(SINGLY):
        mlflow.log_metric("train_loss", 1 / (step + 1), step=step)
        mlflow.log_metric("lr", 0.1, step=step)


def batched(params: Params) -> None:
    """Record many steps as a training does."""
    with training_run(params, uuid.uuid4().hex) as recorder:
        for step in range(STEPS):
            recorder.log({"train_loss": 1 / (step + 1), "lr": 0.1}, step)


def training_step(params: Params) -> Work:
    """Forwards and backwards through the decoder, without the optimiser."""
    torch.manual_seed(0)
    decoder = DECODERS[params.decoder.name](params.decoder, Shape(1, CHANNELS, WORDS))
    features = torch.randn(params.train.batch_size, 1, CHANNELS)
    picture = torch.arange(params.train.batch_size)
    tokens = torch.randint(4, WORDS, (params.train.batch_size, LENGTH))

    def step() -> None:
        caption_loss(decoder, features, picture, tokens).backward()  # type: ignore[no-untyped-call]

    return step


def check() -> None:
    """Whether every number has arrived."""
    client = mlflow.MlflowClient(tracking.tracking_uri())
    wanted = [(step, 1 / (step + 1)) for step in range(STEPS)]
    for run in mlflow.search_runs(experiment_names=[tracking.EXPERIMENT], output_format="list"):
        recorded = client.get_metric_history(run.info.run_id, "train_loss")
        found = sorted((metric.step, metric.value) for metric in recorded)
        require(found == wanted, "a number was lost, or is there twice.")


if __name__ == "__main__":
    main()
