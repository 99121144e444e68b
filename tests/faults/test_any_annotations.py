"""Annotations and tables that are damaged at random: read as they are meant, or named."""

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capflow.data import annotations
from capflow.data.captions import tokenise_all
from capflow.data.sources.photos import read_table
from tests.faults.naming import works_or_names
from tests.tiny_coco import GOOD

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["id", "image_id", "caption", "file_name", "width", "coco_url", "scene", "info"])
PLACES = st.tuples(st.sampled_from(["images", "annotations"]), st.integers(0, 1), KEYS)


@given(st.lists(st.tuples(PLACES, VALUES), max_size=3))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_annotations_are_read_or_named(tmp_path: Path, changes: list[tuple[Any, Any]]) -> None:
    content = copy.deepcopy(GOOD)
    for (part, index, key), value in changes:
        content[part][index][key] = value
    reads_or_names(tmp_path / "x.json", json.dumps(content).encode())


TEXT = json.dumps(GOOD).encode()


@given(
    st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.binary(max_size=2), st.integers(0, 3)), max_size=4)
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_named(tmp_path: Path, edits: list[tuple[int, bytes, int]]) -> None:
    content = bytearray(TEXT)
    for place, new, cut in edits:
        content[place : place + cut] = new
    reads_or_names(tmp_path / "x.json", bytes(content))


def reads_or_names(path: Path, content: bytes) -> None:
    """Either an error names the file, or what was read can be written and read again."""
    path.write_bytes(content)
    with works_or_names(f"{path}: "):
        split = annotations.read(path)
        tokenise_all(split, punctuation=False)
        annotations.write(path, split)
        assert annotations.read(path) == split


CELLS = st.text(st.sampled_from('ab,"\n\r\t\x00\u2028🐻 /.'), max_size=12)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=4), st.binary(max_size=3))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_read_or_named(tmp_path: Path, rows: list[tuple[str, str]], end: bytes) -> None:
    path = tmp_path / "captions.csv"
    lines = "".join(f"{image},{caption}\n" for image, caption in rows)
    path.write_bytes(b"image,caption\n" + lines.encode() + end)
    with works_or_names(f"{path}:"):
        assert all(row.image.strip() and row.caption.strip() for row in read_table(path))
