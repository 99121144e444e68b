"""Train the captioner: data/vocab with data/features, or with data/tensors, to data/model."""

import io
import logging
import time

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from capflow import interruption, project
from capflow.data import tensors
from capflow.dvcfiles import StageOutput
from capflow.files import folder_digest, write_json
from capflow.identity import training_digest
from capflow.joining import together
from capflow.models.captioner import Captioner, CaptionerConfig, save_captioner
from capflow.models.captioning import sampling_of
from capflow.models.devices import best_device, seed_everything
from capflow.models.inputs import Views
from capflow.models.weights import load_encoder
from capflow.params import Params, load_params
from capflow.processes import Processes
from capflow.record.recorder import RunRecorder, training_run
from capflow.record.scoring import DEVICE_TAG, MODEL_TAG
from capflow.text.vocabulary import Vocabulary
from capflow.training.artifacts import open_batches, open_pictures
from capflow.training.checkpoint import kept
from capflow.training.curves import write_curves
from capflow.training.fit import look
from capflow.training.history import Recorder, Unrecorded
from capflow.training.keeping import Keeper
from capflow.training.loop import Split, Trainer
from capflow.training.start import take_weights
from capflow.training.validation import Validation, sampled
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the stage; the first of several processes writes and records, the others learn along."""
    with together() as processes:
        params = load_params()
        seed_everything(params.seed)
        device = best_device()
        vocabulary = Vocabulary.read(project.VOCAB / "vocab.json")
        model = build_model(params, vocabulary).to(device)
        if processes.first:
            lead(params, model, vocabulary, processes)
        else:
            processes.follow()
            with interruption.heeded(processes.largest) as stops:
                trainer = build_trainer(params, model, vocabulary, Unrecorded(), stops, processes)
                Keeper(trainer, None, stops).run()


def lead(params: Params, model: Captioner, vocabulary: Vocabulary, processes: Processes) -> None:
    """Train, keep checkpoints and a record, and write what came of it."""
    device = next(model.parameters()).device
    output = StageOutput(project.MODEL, project.root())
    warn_of_an_encoder_that_stays(params)
    with (
        kept(project.checkpoints(), training_digest(params, device), output) as checkpoints,
        training_run(params, checkpoints.name) as recorder,
        interruption.heeded(processes.largest) as stops,
    ):
        recorder.tag(DEVICE_TAG, torch.cuda.get_device_name() if device.type == "cuda" else "cpu")
        show_pictures(recorder)
        processes.follow()
        trainer = build_trainer(params, model, vocabulary, recorder, stops, processes)
        history = Keeper(trainer, checkpoints, stops).run()
        save_captioner(project.MODEL, model, vocabulary)
        write_curves(project.METRICS, history)
        summary = {"best_epoch": history.best_epoch, "val_CIDEr": history.best_cider}
        write_json(project.METRICS / "train.json", summary, indent=2)
        seconds = time.monotonic() - trainer.began
        recorder.log({"best_val_CIDEr": history.best_cider, "train_seconds": seconds}, trainer.step)
        digest = folder_digest(project.MODEL)
        recorder.adopt_scores(digest, params)
        recorder.tag(MODEL_TAG, digest)
        recorder.model(project.MODEL, digest, params.generate)


def warn_of_an_encoder_that_stays(params: Params) -> None:
    """Say that an encoder which is to learn never does: a short experiment may want that, a slip does not."""
    epochs, begins = params.train.epochs + params.train.self_critical.epochs, params.train.encoder.from_epoch
    if params.encoder.trainable and begins > epochs:
        logger.warning(
            "params.yaml: the encoder is to learn (encoder.trainable), but from epoch %d on "
            "(train.encoder.from_epoch), and training ends with epoch %d: it stays as it is.",
            begins,
            epochs,
        )


def show_pictures(recorder: RunRecorder) -> None:
    """Store the pictures whose captions the record shows, with their names and what people told of them."""
    pictures, described = tensors.read(project.TENSORS, "val"), tensors.described("val")
    names = {image["id"]: image["file_name"] for image in described.images}
    told = described.captions_of()
    for row in sampled(len(pictures.ids)):
        png, image = io.BytesIO(), int(pictures.ids[row])
        Image.fromarray(pictures.pixels[row]).save(png, "PNG")
        recorder.picture(image, png.getvalue(), names[image], told[image])


def build_model(params: Params, vocabulary: Vocabulary) -> Captioner:
    """The model with its first weights: those of ``train.start``, or random and the encoder's own ones."""
    config = CaptionerConfig(
        encoder=params.encoder,
        decoder=params.decoder,
        tensors=params.tensors,
        crop=params.train.augment.crop,
        words=len(vocabulary),
    )
    model = Captioner(config)
    load_encoder(model.encoder, project.ENCODER / "weights.safetensors")
    if params.train.start != "none":
        take_weights(model, vocabulary, params.train.start, stored=params.stored_features)
    return model


def build_trainer(
    params: Params,
    model: Captioner,
    vocabulary: Vocabulary,
    recorder: Recorder,
    stops: interruption.Stops,
    processes: Processes,
) -> Trainer:
    """Everything that training reads, put together; who looks at pictures heeds ``stops``."""
    views = torch.Generator().manual_seed(params.seed)
    ids, seen = open_pictures("train", params, model, views)
    wholes = look_at_wholes(params, model, len(ids), stops, processes)
    ids, looked_at = open_pictures("val", params, model)
    looked_at = stops.before(looked_at)
    references = tensors.described("val").captions_of()
    told = open_batches("val", params)
    validate = Validation.of(model, (ids, looked_at), told, references, vocabulary, params, processes)
    train = Split(open_batches("train", params), seen, views, wholes)
    drawn = sampling_of(params.generate.greedy(params.train.batch_size))
    return Trainer(model, train, validate, drawn, params.train, recorder, processes, validate.shown)


def look_at_wholes(
    params: Params, model: Captioner, count: int, stops: interruption.Stops, processes: Processes
) -> Tensor | None:
    """What the encoder sees of whole training pictures before it learns; None, where no reward asks for it.

    As it is of before the first step, a training that goes on from a checkpoint sees the same.
    """
    asked = params.train.self_critical
    if not (asked.epochs and asked.lookalikes):
        return None
    _, inputs = open_pictures("train", params, model.eval())
    return look(Views(inputs), np.arange(count), params.train.batch_size, processes, stops.heed)


if __name__ == "__main__":
    run(main, together=True)
