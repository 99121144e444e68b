"""Write the pictures of the chosen data set, one ZIP for each split, and a table of what is missing."""

import csv
import io
import logging

from capflow.data import annotations
from capflow.data.dataset import open_source
from capflow.errors import CapflowError
from capflow.files import write_json, write_text
from capflow.params import SPLITS, load_params
from capflow.project import ANNOTATIONS, IMAGES, METRICS
from stages import run

logger = logging.getLogger(__name__)


def main() -> None:
    """Pack the pictures that the annotations name; fail when too many of them cannot be had."""
    data = load_params().data
    source = open_source(data)
    counts: dict[str, dict[str, int]] = {}
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["split", "file_name", "reason"])
    for split in SPLITS:
        named = annotations.read(ANNOTATIONS / f"{split}.json")
        missing = source.pack(split, named, IMAGES / f"{split}.zip")
        rows.writerows((split, *picture) for picture in missing)
        wanted = len(named.images)
        counts[split] = {"wanted": wanted, "packed": wanted - len(missing), "missing": len(missing)}
        logger.info("%s: %d of %d pictures", split, wanted - len(missing), wanted)
    write_text(METRICS / "missing.csv", table.getvalue())
    write_json(METRICS / "pictures.json", counts, indent=2)
    for part, count in counts.items():
        if count["missing"] > data.max_missing * count["wanted"]:
            raise CapflowError(
                f"{METRICS / 'missing.csv'}: {count['missing']} of {count['wanted']} pictures of {part} "
                "are missing, for the reasons given there; run again to retry, or raise `data.max_missing`."
            )


if __name__ == "__main__":
    run(main)
