"""Caption whole splits: data/model with data/features, or with data/tensors, to data/predictions.

Models of data/ensemble speak along where generate.models names them.
"""

import logging
import time

from capflow import project
from capflow.files import write_json
from capflow.models.captioning import write_captions
from capflow.models.devices import best_device, seed_everything
from capflow.models.ensemble import Ensemble
from capflow.params import load_params
from capflow.training.members import open_models, open_views
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the stage."""
    params = load_params()
    seed_everything(params.seed)
    models, vocabulary = open_models(params, best_device())
    speaker = Ensemble(model.decoder for model in models)
    for split in params.generate.splits:
        began = time.monotonic()
        ids, inputs = open_views(split, params, models)
        captions = write_captions(speaker, ids, inputs, vocabulary, params.generate)
        results = [{"image_id": image, "caption": caption} for image, caption in captions.items()]
        write_json(project.PREDICTIONS / f"{split}.json", results)
        logger.info("%s: %d captions in %.1f s", split, len(captions), time.monotonic() - began)


if __name__ == "__main__":
    run(main)
