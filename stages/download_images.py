"""Write the pictures of the chosen data set, one ZIP for each split, and a table of what is missing."""

import logging
from collections.abc import Mapping

from capflow.data import annotations
from capflow.data.dataset import open_source
from capflow.data.sources import Missing, missing_table
from capflow.errors import CapflowError
from capflow.files import write_json, write_text
from capflow.params import SPLITS, Split, load_params
from capflow.project import ANNOTATIONS, IMAGES, METRICS, MISSING
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Pack the pictures that the annotations name; fail when too many of them cannot be had."""
    data = load_params().data
    source = open_source(data)
    counts: dict[str, dict[str, int]] = {}
    missing: dict[Split, list[Missing]] = {}
    for split in SPLITS:
        named = annotations.read(ANNOTATIONS / f"{split}.json")
        missing[split] = source.pack(split, named, IMAGES / f"{split}.zip")
        wanted, absent = len(named.images), len(missing[split])
        counts[split] = {"wanted": wanted, "packed": wanted - absent, "missing": absent}
        logger.info("%s: %d of %d pictures", split, wanted - absent, wanted)
    write_text(MISSING, missing_table(missing))
    write_json(METRICS / "pictures.json", counts, indent=2)
    _judge(counts, data.max_missing)


def _judge(counts: Mapping[str, Mapping[str, int]], limit: float) -> None:
    """A few missing pictures are left out, and DVC does not run a stage again that did its work."""
    for split, count in counts.items():
        if count["missing"] > limit * count["wanted"]:
            raise CapflowError(
                f"{MISSING}: {count['missing']} of {count['wanted']} pictures of {split} "
                "are missing, for the reasons given there; run again to retry, or raise `data.max_missing`."
            )
    if absent := sum(count["missing"] for count in counts.values()):
        logger.warning(
            "pictures left out: %d, as %s says; `dvc repro -f download_images` asks for them again, "
            "then `dvc repro` goes on",
            absent,
            MISSING,
        )


if __name__ == "__main__":
    run(main)
