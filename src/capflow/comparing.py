"""The run in a checkout beside another one that git has: what is needed of both, and the page."""

from pathlib import Path

from capflow import project, revisions
from capflow.data import annotations
from capflow.data.annotations import Annotations
from capflow.errors import CapflowError
from capflow.evaluation.examples import opened
from capflow.evaluation.page.browser import Before, Browser
from capflow.evaluation.page.comparison import NOW, build_comparison
from capflow.evaluation.runs import PER_IMAGE, Run, read_run


def compare(root: Path, name: str) -> str:
    """Build a page of the checkout's run beside that of a revision.

    Of the other run git is enough: metrics/ has the captions, too.

    Args:
        root: the checkout; its pictures and its annotations are shown.
        name: any name of a commit, or a DVC experiment's.

    Raises:
        CapflowError: there is no such revision, it has no scores, or none of the same pictures.
    """
    commit = revisions.find(root, name)
    now = read_run(NOW, lambda path: _own(root / path))
    then = read_run(name, lambda path: revisions.content(root, commit, path))
    both = sorted(
        image
        for image in now.pictures.keys() & then.pictures.keys()
        if now.pictures[image].file_name == then.pictures[image].file_name  # data sets share numbers
    )
    if not both:
        raise CapflowError(
            f"{name}: scored none of the pictures that {PER_IMAGE} here has; "
            "it used another data set, or another split of it."
        )
    split, part = _split(root, both)
    captions = {image: now.pictures[image].caption for image in both}
    scores = {image: _without_truth(now, image) for image in both}
    with opened(root / project.IMAGES / f"{split}.zip", part, captions, scores) as album:
        tiles = album.tiles(both, seed=0)
    before = {image: Before(then.pictures[image].caption, then.pictures[image].scores) for image in both}
    browser = Browser(tiles, len(both), name, before)
    return build_comparison(now, then, split, _notes(now, then, len(both)), browser)


def _own(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CapflowError(f"{path}: there is no such file; run `dvc repro` first.") from None


def _without_truth(run: Run, image: int) -> dict[str, float]:
    """A picture's scores but for whether its caption is true, which is judged anew."""
    return {name: value for name, value in run.pictures[image].scores.items() if name != "truth"}


def _split(root: Path, images: list[int]) -> tuple[str, Annotations]:
    """The split that the pictures are of: no picture is in two."""
    for split in ("test", "val"):
        part = annotations.read(root / project.ANNOTATIONS / f"{split}.json").only(set(images))
        if len(part.images) == len(images):
            return split, part
    raise CapflowError(
        f"{root / project.ANNOTATIONS}: has other pictures than {PER_IMAGE}; run `dvc repro` first."
    )


def _notes(now: Run, then: Run, both: int) -> list[str]:
    alone = len(now.pictures) + len(then.pictures) - 2 * both
    if not alone:
        return []
    return [
        f"{alone:,} pictures that one run alone has scored are left out below. The scores are of all "
        "pictures of each run; CIDEr depends on which these are."
    ]
