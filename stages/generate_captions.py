"""Caption whole splits: data/model with data/features, or with data/tensors, to data/predictions."""

import logging
import time

from capflow import project
from capflow.files import write_json
from capflow.models.captioner import load_captioner
from capflow.models.captioning import write_captions
from capflow.models.devices import best_device, seed_everything
from capflow.params import load_params
from capflow.training.artifacts import open_pictures
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the stage."""
    params = load_params()
    seed_everything(params.seed)
    model, vocabulary = load_captioner(project.MODEL, best_device())
    for split in params.generate.splits:
        began = time.monotonic()
        ids, inputs = open_pictures(split, params, model)
        captions = write_captions(model, ids, inputs, vocabulary, params.generate)
        results = [{"image_id": image, "caption": caption} for image, caption in captions.items()]
        write_json(project.PREDICTIONS / f"{split}.json", results)
        logger.info("%s: %d captions in %.1f s", split, len(captions), time.monotonic() - began)


if __name__ == "__main__":
    run(main)
