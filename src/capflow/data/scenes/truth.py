"""The judge: whether everything that a caption says is true of its scene.

"A red circle" and "two red circles" speak of a whole group: of two red circles the first is false.
Size is checked where it is said. A caption need not tell all, but all that it tells must hold.
"""

from collections.abc import Mapping, Sequence

from capflow.data.annotations import ImageRecord
from capflow.data.scenes.grammar import Mention, Statement, read
from capflow.data.scenes.world import INVERSE, Scene, scene_of


def judge(caption: str, scene: Scene) -> bool:
    """Whether a caption is of the grammar and wholly true of a scene."""
    statement = read(caption)
    return statement is not None and holds(statement, scene)


def holds(statement: Statement, scene: Scene) -> bool:
    """Whether a statement is true: its groups are there, different ones, and lie as it says."""
    first = _find(statement.first, scene)
    if first is None or statement.second is None:
        return first is not None
    second = _find(statement.second, scene)
    if second in {None, first} or scene.relation is None:
        return False
    return statement.relation in {None, scene.relation if first == 0 else INVERSE[scene.relation]}


def truth_scores(captions: Mapping[int, str], images: Sequence[ImageRecord]) -> dict[str, float]:
    """The share of pictures whose caption is true; a picture without a caption has no true one.

    Args:
        captions: one caption for each image id.
        images: the records of a split, with their scenes.

    Returns:
        ``truth`` over all pictures and ``truth_unseen`` over those that hold a coloured shape that
        training never showed; a key is absent where there are no such pictures.

    Raises:
        CapflowError: a record has no scene, or a wrong one.
    """
    verdicts: dict[str, list[bool]] = {}
    for image in images:
        scene = scene_of(image)
        verdict = judge(captions.get(image["id"], ""), scene)
        for name in ("truth", "truth_unseen") if scene.unseen else ("truth",):
            verdicts.setdefault(name, []).append(verdict)
    return {name: sum(held) / len(held) for name, held in verdicts.items()}


def _find(mention: Mention, scene: Scene) -> int | None:
    """The index of the group that a noun phrase is true of."""
    for index, group in enumerate(scene.groups):
        facts = (group.count, group.colour, group.shape)
        if facts == (mention.count, mention.colour, mention.shape) and mention.size in {None, group.size}:
            return index
    return None
