"""What a server may send instead of the file, and where it may send one to; rows 9 to 16."""

import hashlib
from pathlib import Path

import pytest

from capflow import project
from capflow.data import crew, manifest
from capflow.data.addresses import foreign_fault, redirect_fault
from capflow.data.download import fetch
from capflow.data.headers import cut_fault, picture_fault
from capflow.files import digest
from tests.faults.server import CONTENT, HTML, Fault, Server
from tests.faults.store import request, stored
from tests.photographs import jpeg

WHOLE = len(CONTENT) + 1


@pytest.mark.parametrize("status", [403, 404])
def test_row_09_what_is_not_there_is_asked_for_once_and_recorded(server: Server, status: int) -> None:
    server.faults["/1.bin"] = [Fault(status=status)]
    failures = fetch([request(f"{server.url}/{number}.bin") for number in range(3)], "some")
    assert [(failure.request.target.name, failure.absent) for failure in failures] == [
        ("1.bin", status == 404)
    ]
    assert len(server.asked) == 3
    entry = manifest.read(project.downloads())["1.bin"]
    assert (entry.state, entry.reason.split()[:2]) == (
        "missing" if status == 404 else "failed",
        ["HTTP", str(status)],
    )


def test_row_10_a_page_instead_of_a_picture(server: Server) -> None:
    server.faults["/0.bin"] = [HTML, HTML]
    (failure,) = fetch([request(f"{server.url}/0.bin", lambda p: picture_fault(p.read_bytes()))], "html")
    assert (failure.reason, len(server.asked), stored()) == ("it is an HTML page", 2, {})


def test_row_11_a_length_that_is_too_great(server: Server) -> None:
    server.faults["/0.bin"] = [Fault(headers={"Content-Length": str(WHOLE + 100)})] * crew.ATTEMPTS
    (failure,) = fetch([request(f"{server.url}/0.bin")], "long")
    assert failure.reason.startswith(("the connection broke off", "HTTP 416"))
    assert "0.bin" not in stored()


def test_row_11_a_size_that_is_not_the_known_one(server: Server) -> None:
    (failure,) = fetch([request(f"{server.url}/0.bin", size=WHOLE + 1)], "size")
    assert failure.reason == f"{WHOLE:,} bytes are announced instead of {WHOLE + 1:,}"
    assert stored() == {}


def test_row_11_chunked_is_accepted_when_the_digest_holds(server: Server) -> None:
    right = digest(server.root / "0.bin")

    def fault(path: Path) -> str | None:
        return None if digest(path) == right else "its SHA-256 is another"

    server.faults["/0.bin"] = [Fault(chunked=True, cut=5000), Fault(chunked=True, headers={"ETag": None})]
    assert fetch([request(f"{server.url}/0.bin", fault)], "chunked") == []
    assert stored() == {"0.bin": CONTENT + b"\0"}


def test_row_11_a_body_without_any_end_is_refused(server: Server) -> None:
    server.faults["/0.bin"] = [Fault(headers={"Content-Length": None})] * 2
    (failure,) = fetch([request(f"{server.url}/0.bin")], "unframed")
    assert failure.reason == "an answer that does not say where it ends"
    server.faults["/0.bin"] = [Fault(headers={"Content-Length": None})]
    assert fetch([request(f"{server.url}/0.bin", size=WHOLE)], "known size") == []


def test_row_12_wrong_bytes_are_fetched_once_more_and_named(server: Server) -> None:
    right, wrong = digest(server.root / "0.bin"), b"x" * WHOLE

    def fault(path: Path) -> str | None:
        return None if digest(path) == right else f"its SHA-256 is {digest(path)[:8]}"

    server.faults["/0.bin"] = [Fault(body=wrong)] * 2
    (failure,) = fetch([request(f"{server.url}/0.bin", fault)], "wrong")
    assert (len(server.asked), stored()) == (2, {})
    assert failure.reason == f"its SHA-256 is {hashlib.sha256(wrong).hexdigest()[:8]}"
    server.faults["/0.bin"] = [Fault(body=wrong)]
    assert fetch([request(f"{server.url}/0.bin", fault)], "once wrong") == []


def test_row_13_redirects_go_where_the_catalogue_allows(server: Server) -> None:
    other = server.url.replace("127.0.0.1", "localhost")
    server.faults["/0.bin"] = [Fault(status=302, headers={"Location": f"{other}/1.bin"})] * 2
    (failure,) = fetch([request(f"{server.url}/0.bin")], "refused")
    host = other.removeprefix("http://")
    assert failure.reason == f"a redirect that is refused: {host} is not among the data set's `hosts`"
    assert (server.paths(), stored()) == (["/0.bin"], {})
    assert fetch([request(f"{server.url}/0.bin", hosts=frozenset({host}))], "allowed") == []
    assert stored() == {"0.bin": CONTENT + b"\1"}


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("https://a.org/x", "https://a.org/y", True),
        ("http://a.org/x", "https://a.org/x", True),
        ("https://a.org/x", "http://a.org/x", False),
        ("https://a.org/x", "https://b.org/x", False),
        ("https://a.org/x", "https://cdn.org/x", True),
        ("https://a.org/x", "http://cdn.org/x", False),
        ("https://a.org/x", "https://cdn.org:8443/x", False),
        ("http://a.org/x", "http://a.org:8080/x", False),
        ("http://a.org/x", "file:///etc/passwd", False),
        ("http://a.org/x", "http://me:secret@a.org/x", False),
        ("http://a.org/x", "http://[::1/x", False),
    ],
)
def test_row_13_each_redirect_is_judged(source: str, target: str, allowed: bool) -> None:
    assert (redirect_fault(source, target, {"cdn.org"}) is None) == allowed


def test_row_13_redirects_in_a_circle_end(server: Server) -> None:
    server.faults["/0.bin"] = [Fault(status=301, headers={"Location": "/0.bin"})] * 99
    (failure,) = fetch([request(f"{server.url}/0.bin")], "circle")
    assert (failure.reason, len(server.asked)) == ("more than 5 redirects", 5)


def test_row_15_an_oversized_body_ends_at_the_cap(server: Server) -> None:
    server.faults["/0.bin"] = [Fault(endless=True, headers={"Transfer-Encoding": None})] * 2
    endless = request(f"{server.url}/0.bin", size=1 << 19)
    announced = request(f"{server.url}/1.bin", cap=1000)
    failures = fetch([endless, announced], "large")
    assert [failure.reason for failure in failures] == [
        f"more than {1 << 19:,} bytes came",
        f"{WHOLE:,} bytes are announced, 1,000 are allowed",
    ]
    assert server.sent["/0.bin"] < 16 << 20
    assert (len(server.asked), stored()) == (2, {})


def test_row_15_chunks_without_end_stop_at_the_cap(server: Server) -> None:
    server.faults["/0.bin"] = [Fault(chunked=True)]
    (failure,) = fetch([request(f"{server.url}/0.bin", cap=1000)], "chunks")
    assert (failure.reason, stored()) == ("more than 1,000 bytes came", {})


@pytest.mark.parametrize(
    ("url", "own", "refused"),
    [
        ("file:///etc/passwd", "https://a.org", True),
        ("ftp://a.org/x.jpg", "https://a.org", True),
        ("http://127.0.0.1/x.jpg", "https://a.org", True),
        ("http://localhost:8080/x.jpg", "https://a.org", True),
        ("http://169.254.169.254/latest", "https://a.org", True),
        ("http://10.1.2.3/x.jpg", "https://a.org", True),
        ("http://[::1]/x.jpg", "https://a.org", True),
        ("http://[fd00::1]/x.jpg", "https://a.org", True),
        ("http://0x7f.1/x.jpg", "https://a.org", True),
        ("http://2130706433/x.jpg", "https://a.org", True),
        ("http://router.local/x.jpg", "https://a.org", True),
        ("http://127.0.0.1:9/x.jpg", "http://127.0.0.1:8000/coco", False),
        ("http://images.cocodataset.org/train2014/x.jpg", "https://a.org", False),
    ],
)
def test_row_16_addresses_from_downloaded_files(url: str, own: str, refused: bool) -> None:
    assert (foreign_fault(url, own) is not None) == refused


def test_row_16_only_the_web_is_asked(checkout: Path) -> None:
    secret = checkout / "secret.bin"
    secret.write_bytes(CONTENT)
    (failure,) = fetch([request(f"file://{secret}")], "file")
    assert "neither http:// nor https://" in failure.reason
    assert stored() == {}


@pytest.mark.parametrize(
    "headers", [{"ETag": '"caf\xe9"'}, {"Last-Modified": "Sat, 01 Jan 2022 00:00:00 +" + "9" * 30}]
)
def test_odd_headers_do_no_harm(server: Server, headers: dict[str, str | None]) -> None:
    server.etag = None
    server.faults["/0.bin"] = [Fault(headers=headers)]
    assert fetch([request(f"{server.url}/0.bin")], "odd") == []
    assert fetch([request(f"{server.url}/1.bin")], "next") == []
    assert {entry.state for entry in manifest.read(project.downloads()).values()} == {"done"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=302, headers={"Location": "http://[::1/x"}), "no address"),
        (Fault(status=304), "HTTP 304"),
        (Fault(status=403), "HTTP 403"),
    ],
)
def test_an_odd_answer_fails_one_file_and_not_the_run(server: Server, fault: Fault, reason: str) -> None:
    server.faults["/0.bin"] = [fault] * 5
    (failure,) = fetch([request(f"{server.url}/{number}.bin") for number in range(3)], "odd")
    assert reason in failure.reason
    assert sorted(stored()) == ["1.bin", "2.bin"]


def test_a_check_that_breaks_down_ends_the_run(server: Server) -> None:
    def broken(_: Path) -> str | None:
        raise MemoryError

    with pytest.raises(MemoryError):
        fetch([request(f"{server.url}/0.bin", broken)], "broken")


def test_row_24_a_stored_file_of_another_size_is_fetched_again(server: Server) -> None:
    asked = request(f"{server.url}/0.bin", lambda _: None)
    assert fetch([asked], "first") == []
    asked.target.write_bytes(b"short")
    server.etag = '"2"'
    assert fetch([asked], "second") == []
    assert stored() == {"0.bin": CONTENT + b"\0"}


def test_row_23_a_picture_that_was_cut_and_declared_whole() -> None:
    whole = jpeg(1)
    assert cut_fault(whole) is None
    assert cut_fault(whole + b"trailing bytes") is None
    assert cut_fault(whole[: len(whole) // 2 + 200]) == "a JPEG without its end"
