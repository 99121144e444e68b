"""The report of 5,000 pictures: how long it takes to build, how large it is, how quickly a browser answers.

The browser is Chromium, where there is one, asked over its DevTools protocol.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.inputs import photographs, to_score
from capflow.data.annotations import ImageRecord
from capflow.evaluation.examples import MOST, Album
from capflow.evaluation.page.browser import Browser
from capflow.evaluation.page.report import Report, build_report
from capflow.evaluation.page.sayings import Sayings

# Search for a word: until the list is there, and until it is painted.
SEARCH = """(async () => {
  const box = document.getElementById("find"), began = performance.now();
  box.value = "dog";
  box.dispatchEvent(new Event("input"));
  const listed = performance.now() - began;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return [listed, performance.now() - began, document.getElementById("count").textContent];
})()"""
PAINTED = "performance.getEntriesByType('paint')[0]?.startTime ?? 0"
READY = "document.readyState === 'complete' && !!document.getElementById('found')?.children.length"
LOADED = "performance.timing.domInteractive - performance.timing.navigationStart"


def main() -> None:
    """Build the page and open it."""
    files, origin = photographs()
    references, captions, _ = to_score()
    images = list(references)[:MOST]
    records: dict[int, ImageRecord] = {n: {"id": n, "file_name": f"{n}.jpg"} for n in images}
    held = {f"{n}.jpg": partial(bytes, files[place % len(files)]) for place, n in enumerate(images)}
    scores = {n: {"CIDEr": place / len(images)} for place, n in enumerate(images)}
    album = Album(held, records, references, captions, scores)
    began = time.perf_counter()
    tiles = album.tiles(images, seed=0)
    made = time.perf_counter()
    browser = Browser(tiles, len(tiles))
    told = Report("coco", "val", len(tiles), [], {}, {}, {}, [], [], {}, Sayings(), (), browser)
    page = build_report(told).encode()
    built = time.perf_counter()
    print(
        f"{len(tiles):,} pictures, {origin}: thumbnails {made - began:.1f} s, page {built - made:.1f} s, "
        f"{len(page) / 1e6:.1f} MB"
    )
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("there is no Chromium: how it answers is not measured")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "page.html")
        path.write_bytes(page)
        print(asyncio.run(opened(program, path)))


async def opened(program: str, page: Path) -> str:
    """What opening a page takes in a browser, in words."""
    profile = page.parent / "profile"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    with subprocess.Popen(  # noqa: S603 - it runs beside us
        [program, *options, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.DEVNULL
    ) as process:
        try:
            port = await asyncio.wait_for(_port(profile), 30)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    tabs = await answer.json()
                tab = next(tab for tab in tabs if tab["type"] == "page")
                async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    return await asyncio.wait_for(_measure(socket, page), 60)
        finally:
            process.terminate()


async def _port(profile: Path) -> str:
    """The port that the browser has chosen, once it is there."""
    file = profile / "DevToolsActivePort"
    while not file.exists() or "\n" not in (text := file.read_text()):
        await asyncio.sleep(0.05)
    return text.partition("\n")[0]


async def _measure(socket: aiohttp.ClientWebSocketResponse, page: Path) -> str:
    async def call(method: str, **params: Any) -> Any:
        await socket.send_json({"id": 1, "method": method, "params": params})
        while "id" not in (message := json.loads((await socket.receive()).data)):
            pass
        return message["result"]

    async def ask(code: str) -> Any:
        answer = await call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")

    await call("Page.navigate", url=page.as_uri())
    while not await ask(READY):
        await asyncio.sleep(0.02)
    painted, loaded = await ask(PAINTED), await ask(LOADED)
    listed, shown, count = await ask(SEARCH)
    return (
        f"Chromium: first paint after {painted:.0f} ms, all pictures searchable after {loaded:.0f} ms; "
        f"a search takes {listed:.0f} ms, {shown:.0f} ms until it is painted ({count})"
    )


if __name__ == "__main__":
    main()
