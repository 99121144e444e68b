"""Row 50 on MLflow's real server: `mlflow models serve` as the documentation says."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.scoring_server import ScoringServer
from tests.served import body_of, packed, picture, unpacked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoringServer]:
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        model = unpacked(packed(folder))
    server = ScoringServer(str(model), folder)
    yield server
    server.stop()


def test_row_50_the_real_server_has_our_limits(server: ScoringServer) -> None:
    status, good = server.ask(body_of({"image": picture(0), "best": 2}))
    assert status == 200
    before = server.memory()
    status, told = server.ask(b"A" * (200 * 2**20))
    assert (status, "bytes" in told["error"]) == (413, True)
    status, told = server.ask(iter([b"A" * 2**20] * 100))
    assert (status, "bytes" in told["error"]) == (413, True)
    assert server.memory() < before + 100
    for image in ("/etc/hostname", "http://127.0.0.1:1/a.jpg", "AAAA"):
        status, told = server.ask(body_of({"image": image}))
        assert status == 400
        assert told["error"].startswith("picture 1: ")
    assert server.ask(body_of({"image": picture(0), "best": 2})) == (200, good)


def test_row_50_a_thousand_at_once(server: ScoringServer) -> None:
    body = body_of({"image": picture(1)})
    with ThreadPoolExecutor(1000) as pool:
        answers = list(pool.map(lambda _: server.ask(body), range(1000)))
    statuses = [status for status, _ in answers]
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= 100
    captions = {told["predictions"][0]["caption"] for status, told in answers if status == 200}
    assert len(captions) == 1
    assert server.lives()
