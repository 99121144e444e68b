"""The generated data set: nothing is downloaded, and every fact of every picture is known."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from capflow.bars import bar
from capflow.data import archives
from capflow.data.annotations import Annotations, CaptionRecord, ImageRecord
from capflow.data.scenes.grammar import describe
from capflow.data.scenes.render import render_jpeg
from capflow.data.scenes.world import Scene, draw_scene, scene_of
from capflow.data.sources import Missing
from capflow.params import SPLITS, Split
from capflow.sections import Section

CAPTIONS = 5
_PER_SPLIT = 1_000_000
Pictures = Annotated[int, Field(ge=1, le=_PER_SPLIT)]


class ScenesSpec(Section):
    """dataset.yaml of the generated scenes."""

    kind: Literal["scenes"]
    captions: Literal["all", "first"]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    train: Pictures
    val: Pictures
    test: Pictures
    size: Annotated[int, Field(ge=32, le=1024)]


class ScenesSource:
    """Pictures of coloured shapes, five captions each, and their facts in the annotations."""

    def __init__(self, spec: ScenesSpec) -> None:
        self._spec = spec

    def annotations(self) -> dict[Split, Annotations]:
        """The three splits, drawn from the seed. Ids do not depend on the sizes of the splits."""
        return {split: self._split(split) for split in SPLITS}

    def pack(self, split: Split, annotations: Annotations, target: Path) -> list[Missing]:  # noqa: ARG002
        """Render the scenes of the annotations; nothing is ever missing.

        A picture takes a millisecond: the interpreter's lock leaves threads little gain, and more
        processes would save seconds.

        Raises:
            CapflowError: a record has no scene, or a wrong one.
        """
        scenes = {image["file_name"]: scene_of(image) for image in annotations.images}
        return archives.pack(target, scenes, read=lambda name: render_jpeg(scenes[name], self._spec.size))

    def _split(self, split: Split) -> Annotations:
        images: list[ImageRecord] = []
        captions: list[CaptionRecord] = []
        for index in bar(range(getattr(self._spec, split)), f"draw {split}", unit="picture"):
            scene = draw_scene(self._spec.seed, split, index)
            image = self._image(split, index, scene)
            images.append(image)
            captions += _captions(image["id"], scene)
        info = {
            "description": f"Capflow scenes, {split}: generated pictures of shapes, seed {self._spec.seed}"
        }
        part = Annotations(images, captions, info)
        return part.one_caption_each() if self._spec.captions == "first" else part

    def _image(self, split: Split, index: int, scene: Scene) -> ImageRecord:
        return {
            "id": SPLITS.index(split) * _PER_SPLIT + index + 1,
            "file_name": f"scenes_{split}_{index:06d}.jpg",
            "width": self._spec.size,
            "height": self._spec.size,
            "scene": scene.model_dump(mode="json"),
        }


def _captions(image_id: int, scene: Scene) -> list[CaptionRecord]:
    texts = describe(scene, np.random.default_rng((scene.seed, CAPTIONS)), CAPTIONS)
    return [
        {"id": image_id * CAPTIONS + place, "image_id": image_id, "caption": text}
        for place, text in enumerate(texts)
    ]
