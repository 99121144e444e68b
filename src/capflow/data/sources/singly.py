"""Pictures that are fetched one by one: into the download store, and from there into an archive.

On its way a picture is judged by its header and its end alone, so that the network is not kept waiting.
Here it is compared with its digest in the manifest, and decoded.
"""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from capflow import project
from capflow.data import archives, manifest
from capflow.data.download import discard, fetch
from capflow.data.headers import PictureError
from capflow.data.request import Request
from capflow.data.sources import Missing

CAP = 128 << 20  # bytes; COCO's largest picture has less than one megabyte


def pack(target: Path, requests: Mapping[str, Request], title: str) -> list[Missing]:
    """Fetch pictures that are not in the store yet, and write them to a stored ZIP.

    A picture that has rotted in the store, or cannot be decoded, is removed from it and fetched again,
    once; then the archive is written anew, so that its members keep their order.

    Args:
        target: the archive; written atomically.
        requests: by the file name of each picture, which its place in the store has, too.
        title: what to call it on the progress bar.

    Returns:
        The pictures that cannot be had, with the reason, in the order of ``requests``.
    """
    reasons: dict[str, str] = {}
    wanted = requests
    for _ in range(2):
        failures = fetch(list(wanted.values()), title)
        reasons |= {failure.request.target.name: failure.reason for failure in failures}
        wrong = _pack(target, requests, [name for name in requests if name not in reasons])
        if not wrong:
            break
        wanted = {name: requests[name] for name, _ in wrong}
        discard([request.target for request in wanted.values()], _fault)
    reasons |= dict(wrong)
    return [Missing(name, reasons[name]) for name in requests if name in reasons]


def _pack(target: Path, requests: Mapping[str, Request], names: Collection[str]) -> list[Missing]:
    folder = project.downloads()
    entries = manifest.read(folder)

    def read(name: str) -> bytes:
        path = requests[name].target
        return _content(path, entries.get(path.relative_to(folder).as_posix()))

    return archives.pack(target, names, read)


def _content(path: Path, recorded: manifest.Entry | None) -> bytes:
    content = path.read_bytes()
    if fault := manifest.rot(recorded, hashlib.sha256(content).hexdigest()):
        raise PictureError(fault)
    return content


def _fault(path: Path, recorded: manifest.Entry | None) -> str | None:
    found = archives.picture(path.name, lambda _: _content(path, recorded))
    return found.reason if isinstance(found, Missing) else None
