"""Which run the scores of a model belong to: one row a trained model, one set of scores a row.

That is the run that trained the model, or, where the same model was already scored with another search, a
new run that takes over the training run's parameters and last numbers. Only the store knows; so it is asked
when a journal is sent, not when scores are computed.
"""

import json
from collections.abc import Mapping
from typing import Any

from capflow.errors import CapflowError
from capflow.record.journal import Journal, waiting
from capflow.tracking import Input, Number, Row, Store

MODEL_TAG = "capflow.model"
SPLIT_TAG = "capflow.scored_split"
DEVICE_TAG = "device"
"""What a training ran on."""
TEST_TAG = "capflow.test_digest"
"""Scores with the same one are of the same pictures and references, and can be compared."""
_SCORES_TAG = "capflow.scores"
_SCORING_TAG = "capflow.scoring"

Entry = Mapping[str, Any]


def run_of(journal: Journal, entry: Entry, store: Store) -> str:
    """The run that scores belong to, made if need be.

    Raises:
        CapflowError: the journal of the training is still to be sent.
    """
    for other in waiting(journal.folder.parent):
        if _trains(other, entry["model"]):
            raise CapflowError(f"{other.path}: the training's record has to be sent first.")
    rows = store.rows(MODEL_TAG, entry["model"])
    for row in rows:
        if all(row.params.get(name, value) == value for name, value in entry["search"].items()):
            return row.run
    return _successor(journal.folder.name, entry, store, rows)


def _trains(journal: Journal, model: str) -> bool:
    entries = (line.entry for line in journal.lines())
    return any(one["kind"] == "texts" and one["tags"].get(MODEL_TAG) == model for one in entries)


def _successor(name: str, entry: Entry, store: Store, rows: list[Row]) -> str:
    """A run of its own for the scores; what is written twice after an interruption is there once."""
    begun = [row.run for row in store.rows(_SCORING_TAG, name)]
    run = begun[0] if begun else store.create(entry["name"], {_SCORING_TAG: name}, entry["at"])
    tags = dict(entry["tags"])
    if rows:
        tags["capflow.trained_in"] = rows[0].run
        tags |= {DEVICE_TAG: rows[0].tags[DEVICE_TAG]} if DEVICE_TAG in rows[0].tags else {}
        step = int(rows[0].metrics.get("step", 0))
        numbers = [Number(key, value, step, entry["at"]) for key, value in rows[0].metrics.items()]
        store.numbers(run, numbers)
    store.texts(run, params=entry["params"], tags=tags)
    store.inputs(run, inputs_of(entry))
    store.texts(run, params=entry["search"], tags={MODEL_TAG: entry["model"]})
    store.end(run, "FINISHED", entry["at"])
    return run


def give(run: str, entry: Entry, store: Store) -> None:
    """Put scores on a run, for the table and for a run of the same model; those that it has are no news."""
    store.texts(run, params=entry["search"])
    (row,) = [row for row in store.rows(MODEL_TAG, entry["model"]) if row.run == run]
    tags = {SPLIT_TAG: entry["split"]}
    if "tested" in entry:  # the first journals had neither this nor inputs
        store.inputs(run, [Input(*entry["tested"])])
        tags[TEST_TAG] = entry["tested"][1]
    _give(row, entry["totals"], tags, entry["at"], store)


def adopt(run: str, entry: Entry, store: Store) -> None:
    """Give a run of training the scores of an earlier one that led to the very same model.

    DVC sees that the model is the one that it knows, and does not caption and score it again.
    """
    for row in store.rows(MODEL_TAG, entry["model"]):
        if row.run != run and _SCORES_TAG in row.tags and entry["search"].items() <= row.params.items():
            store.texts(run, params=entry["search"])
            own = Row(run, {}, {}, {})
            tags = {name: row.tags[name] for name in (SPLIT_TAG, TEST_TAG) if name in row.tags}
            if TEST_TAG in tags:
                store.inputs(run, [tested(row.params["data.name"], *tags.values())])
            _give(own, json.loads(row.tags[_SCORES_TAG]), tags, entry["at"], store)
            return


def tested(data: str, split: str, digest: str) -> Input:
    """The split of a data set that was captioned, as what a run has read."""
    return Input(f"{data}.{split}", digest, f"data/annotations/{split}.json", "evaluation")


def inputs_of(entry: Entry) -> list[Input]:
    """What was read, as an entry lists it."""
    return [Input(*one) for one in entry.get("inputs", [])]


def _give(row: Row, totals: Mapping[str, float], tags: Mapping[str, str], at: int, store: Store) -> None:
    new = [Number(key, value, 0, at) for key, value in totals.items() if row.metrics.get(key) != value]
    store.numbers(row.run, new)
    store.texts(row.run, tags={**tags, _SCORES_TAG: json.dumps(dict(totals))})
