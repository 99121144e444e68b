"""Encode every picture once with a frozen encoder: data/tensors to data/features.

Where the encoder is trained, or sees random crops, there is nothing to store: the folder says so.
"""

import torch
from torch import Tensor

from capflow import project
from capflow.data import features, tensors
from capflow.files import write_json
from capflow.joining import together
from capflow.models.crops import StoredViews
from capflow.models.devices import autocast, best_device, seed_everything
from capflow.models.encoder import Encoder
from capflow.models.weights import load_encoder
from capflow.params import SPLITS, Params, load_params
from capflow.processes import Processes
from stages import progress, run

# On a processor, so few that maps stay near it; on a GPU, so many that it has enough to do.
BATCH = {"cpu": 16, "cuda": 64}


def main() -> None:
    """Run the stage."""
    with together() as processes:
        params = load_params()
        if processes.first:
            write_json(project.FEATURES / "features.json", {"stored": params.stored_features})
        if params.stored_features:
            store(params, processes)


def store(params: Params, processes: Processes) -> None:
    """Encode the pictures of all splits; each process does some."""
    seed_everything(params.seed)
    device = best_device()
    encoder = Encoder(params.encoder)
    encoder.cells(params.tensors.size)  # raises where it cannot see them
    load_encoder(encoder, project.ENCODER / "weights.safetensors")
    encoder.to(device).fold()

    @torch.inference_mode()
    def encode(pixels: Tensor) -> Tensor:
        with autocast(device):
            encoded: Tensor = encoder(pixels.to(device))
        return encoded

    for split in SPLITS:
        pictures = tensors.read(project.TENSORS, split)
        varied = StoredViews(params.encoder, len(pictures.ids), params.tensors.size, params.seed)
        features.write(
            project.FEATURES / f"{split}.npy",
            pictures,
            encode,
            views=varied if split == "train" else whole,
            batch_size=BATCH[device.type],
            progress=progress(f"encode {split}"),
            processes=processes,
        )


def whole(pixels: Tensor, _first: int) -> list[Tensor]:
    """Pictures as they are, which validation and captions see."""
    return [pixels]


if __name__ == "__main__":
    run(main, together=True)
