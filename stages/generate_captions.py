"""Caption whole splits: data/model with data/features, or with data/tensors, to data/predictions.

Models of data/ensemble speak along where generate.models names them. Where a search asks for hints, or the
consensus of captions is asked for, data/vocab has the training captions that weigh words, and that say what
to expect of pictures that look like training pictures.
"""

import logging
import random
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from capflow import project
from capflow.files import write_json
from capflow.joining import together
from capflow.models.captioner import Captioner
from capflow.models.captioning import write_captions
from capflow.models.devices import best_device, seed_everything
from capflow.models.ensemble import Ensemble
from capflow.models.gaze import attentive, gaze, view
from capflow.models.inputs import Views
from capflow.params import load_params
from capflow.text.vocabulary import Vocabulary
from capflow.training.advice import open_advice
from capflow.training.members import open_models, open_views
from stages import run

logger = logging.getLogger(__name__)
# Of each split, pictures that the report shows word by word.
PICTURES = 6


def main() -> None:
    """Run the stage."""
    with together() as processes:
        params = load_params()
        seed_everything(params.seed)
        models, vocabulary = open_models(params, best_device())
        advice = open_advice(params, models, len(vocabulary), processes)
        speaker = Ensemble(model.decoder for model in models)
        for split in params.generate.splits:
            began = time.monotonic()
            ids, inputs = open_views(split, params, models)
            captions = write_captions(speaker, ids, inputs, vocabulary, params.generate, processes, advice)
            if processes.first:
                results = [{"image_id": image, "caption": caption} for image, caption in captions.items()]
                write_json(project.PREDICTIONS / f"{split}.json", results)
                if captions and attentive(models[0]):
                    told = gaze_at_some(models[0], inputs, captions, vocabulary, params.seed)
                    write_json(project.PREDICTIONS / f"{split}.gaze.json", told)
                logger.info("%s: %d captions in %.1f s", split, len(captions), time.monotonic() - began)


def gaze_at_some(
    model: Captioner, inputs: Views, captions: Mapping[int, str], vocabulary: Vocabulary, seed: int
) -> dict[str, Any]:
    """Where the first model looked at a few pictures of a split, drawn at random, for the report."""
    rows = sorted(random.Random(seed).sample(range(len(captions)), min(PICTURES, len(captions))))
    images = [[*captions][row] for row in rows]
    gazes = gaze(
        model, inputs(np.array(rows, np.int64))[0], [captions[image] for image in images], vocabulary
    )
    pictures = [
        {"image_id": image, "words": words, "maps": maps.astype(float).round(6).tolist()}
        for image, (words, maps) in zip(images, gazes, strict=True)
    ]
    return {"view": view(model), "pictures": pictures}


if __name__ == "__main__":
    run(main, together=True)
