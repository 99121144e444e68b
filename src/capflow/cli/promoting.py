"""``capflow promote``."""

from typing import TYPE_CHECKING, Annotated

import typer

from capflow import project
from capflow.cli.app import app
from capflow.errors import CapflowError

if TYPE_CHECKING:
    from capflow.tracking import Row, Store
    from capflow.tracking.models import Version


@app.command()
def promote(
    version: Annotated[
        int | None,
        typer.Argument(min=1, max=2**31 - 1, help="Of the registered model `capflow`; none: the latest."),
    ] = None,
) -> None:
    """Let a model be `champion` if its CIDEr is higher than the champion's on the same test.

    The exit code is 1 if it is not, or if the two cannot be compared.
    """
    from capflow.record.sending import send_all
    from capflow.tracking import Store, models

    store = Store()
    if left := send_all(project.record(), store):
        raise CapflowError(f"{left[0].folder}: its record has to be sent first; try `capflow record`.")
    new = _version(store, version)
    score = score_of(store, new)
    reigning = models.named(store, models.CHAMPION)
    if reigning and reigning.number == new.number:
        typer.echo(f"version {new.number} is the champion already, with CIDEr {score[0]:.4f}")
        return
    if reigning:
        _refuse_lower(new.number, score, reigning.number, _best(store, reigning))
    models.let_name(store, models.CHAMPION, new.number)
    before = f", after version {reigning.number}" if reigning else ""
    typer.echo(f"version {new.number} is the champion now{before}: CIDEr {score[0]:.4f}")


def _version(store: "Store", number: int | None) -> "Version":
    from capflow.tracking import models

    found = models.numbered(store, str(number)) if number else models.named(store, models.LATEST)
    if found is None:
        which = f"version {number}" if number else "version at all"
        raise CapflowError(f"MLflow has no {which} of the model `{models.NAME}`; train one: `dvc repro`.")
    return found


def score_of(store: "Store", version: "Version") -> tuple[float, str]:
    """The CIDEr of a version, and the digest of the test that gave it.

    Raises:
        CapflowError: it has none, or one of captions that it would not find alone.
    """
    from capflow.facts import by_itself
    from capflow.record.scoring import TEST_TAG

    row: Row = store.row(version.run)
    if "CIDEr" not in row.metrics or TEST_TAG not in row.tags:
        raise CapflowError(
            f"version {version.number}: its run {version.run} has no CIDEr on a known test; "
            "`dvc repro` scores it."
        )
    if row.params.get("generate.models", "()") != "()":
        raise CapflowError(
            f"version {version.number}: its CIDEr is that of several models together "
            f"(generate.models: {row.params['generate.models']}); score it alone."
        )
    if not by_itself(row.params):
        raise CapflowError(
            f"version {version.number}: training captions helped to find the captions that gave its CIDEr "
            "(generate.method consensus, or generate.hints), and elsewhere it does without; score it by a "
            "beam without hints."
        )
    return row.metrics["CIDEr"], row.tags[TEST_TAG]


def _best(store: "Store", reigning: "Version") -> tuple[float, str]:
    """As :func:`score_of`, of the champion, which may be from before scores like its own were refused."""
    try:
        return score_of(store, reigning)
    except CapflowError as error:
        raise CapflowError(
            f"the champion cannot be compared with: {error} Or take the alias away in `make ui`."
        ) from None


def _refuse_lower(number: str, score: tuple[float, str], reigning: str, best: tuple[float, str]) -> None:
    if score[1] != best[1]:
        raise CapflowError(
            f"version {number} was scored on another test ({score[1]}) than the champion, version {reigning} "
            f"({best[1]}); score both on one test, or take the alias away in `make ui`."
        )
    if score[0] <= best[0]:
        raise CapflowError(
            f"version {number} has CIDEr {score[0]:.4f}, no more than the champion, version {reigning}, with "
            f"{best[0]:.4f}; that stays."
        )
