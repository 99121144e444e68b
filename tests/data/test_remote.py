"""Folders of the store: no two servers share one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capflow.data.dataset import load_spec
from capflow.data.sources.coco import CocoSpec
from capflow.data.sources.remote import folder_of

SCHEMES = st.sampled_from(["http", "https"])
PLACES = st.text(st.sampled_from("ab1_:/.-@%é"), min_size=1, max_size=7)
ADDRESSES = st.builds("{}://a.org{}".format, SCHEMES, PLACES) | st.builds("{}://{}".format, SCHEMES, PLACES)


@pytest.mark.parametrize(
    ("base", "folder"),
    [
        ("https://s3.amazonaws.com/images.cocodataset.org", "s3.amazonaws.com_images.cocodataset.org"),
        ("https://a.org", "a.org"),
        ("http://mirror.local:8000/coco", "mirror.local_8000_coco"),
        ("http://127.0.0.1:8000", "127.0.0.1_8000"),
    ],
)
def test_usual_addresses_keep_their_plain_names(base: str, folder: str) -> None:
    assert folder_of(base) == folder


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a/b", "http://a_b"),
        ("https://a.org/b_c", "https://a.org/b/c"),
        ("https://a.org/b", "http://a.org/b"),
        ("http://a.org:80/b", "https://a.org/80/b"),
        ("https://a.org//b", "https://a.org/b"),
        ("https://a.org/b", "https://A.org/b"),
        ("https://weights", "weights"),
    ],
)
def test_similar_addresses_do_not_share_a_folder(one: str, other: str) -> None:
    assert folder_of(one) != (folder_of(other) if "://" in other else other)


@given(ADDRESSES, ADDRESSES)
def test_no_two_addresses_share_a_folder(one: str, other: str) -> None:
    assert (folder_of(one) == folder_of(other)) == (one == other)
    assert "/" not in folder_of(one)
    assert folder_of(one) not in {".", ".."}
    assert len(folder_of("https://" + "é/" * 5000)) < 250


@pytest.mark.usefixtures("checkout")
def test_the_catalogues_servers_have_plain_folders() -> None:
    for name in ("coco2014", "coco2017"):
        spec = load_spec(name)
        assert isinstance(spec, CocoSpec)
        assert "@" not in folder_of(spec.base)
