"""Files of a catalogue on a server, or on a mirror that may hold a smaller version of them.

What is fetched stays in the store, below the name of its server. What the catalogue describes by a
digest is not asked for again. A mirror's own files may change under the same name: the server is
asked whether they have, and is believed to be as it was when it does not answer.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from capflow import project
from capflow.data import archives
from capflow.data.download import obtain
from capflow.data.request import Request
from capflow.errors import CapflowError
from capflow.files import digest
from capflow.params import Count
from capflow.sections import Section

logger = logging.getLogger(__name__)

Address = Annotated[str, Field(pattern=r"^https?://[^\s?#]+$"), AfterValidator(lambda url: url.rstrip("/"))]
Host = Annotated[str, Field(pattern=r"^[\w.-]+(:\d+)?$")]
PlainPath = Annotated[str, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$")]

# Addresses that a folder's name tells apart when their `:` and `/` become `_`: the plain ones.
_PLAIN = re.compile(
    r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(?!/\d+(/|$))(/[A-Za-z0-9.-]+)*"
    r"|http://[a-z0-9.-]+:\d+(/[A-Za-z0-9.-]+)*"
)
# The most that files may have where the catalogue does not say, in bytes.
_ZIP_CAP, _JSON_CAP = 64 << 30, 1 << 30


def folder_of(base: str) -> str:
    """The name of a server's folder in the store: readable, and not that of any other address.

    Usual addresses, of public servers by https and of mirrors by http and port, have their own
    letters alone; others, such as ``https://a.org/b_c`` beside ``https://a.org/b/c``, a digest as well.
    """
    readable = re.sub(r"[^\w.-]+", "_", base.partition("://")[2], flags=re.ASCII)
    if _PLAIN.fullmatch(base):
        return readable
    return f"{readable[:100]}@{hashlib.sha256(base.encode()).hexdigest()[:16]}"


class RemoteFile(Section):
    """A ZIP or JSON file below the base address; its size in bytes and its MD5 where they are known."""

    path: PlainPath
    size: Count | None = None
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None


class Remote:
    """A server that holds the files of a catalogue.

    Args:
        base: the address that all paths are below.
        mirror: whether it is somebody's mirror. There a file of another size than the catalogue's
            is taken for a smaller version and needs to be sound only; a file of the same size
            must have the same digest. COCO's own server must have the catalogue's files exactly.
        hosts: the hosts that the server may redirect to.
    """

    def __init__(self, base: str, *, mirror: bool, hosts: Iterable[str] = ()) -> None:
        self.base = base
        self.hosts = frozenset(hosts)
        self._mirror = mirror
        self._known: dict[str, Path | None] = {}
        self.store = project.downloads() / folder_of(base)

    def get(self, file: RemoteFile) -> Path | None:
        """The place of a file in the store, fetched if need be; None when the server has no such file.

        Raises:
            CapflowError: the server does not answer, or sends something else.
        """
        if file.path not in self._known:
            self._known[file.path] = self._fetch(file)
        return self._known[file.path]

    def _fetch(self, file: RemoteFile) -> Path | None:
        request = self._request(file)
        path = request.target
        failure = obtain(request, path.name)
        if failure and failure.absent:
            return None
        if failure:
            if not path.exists() or self._fault(path, file):
                raise CapflowError(
                    f"{request.url}: {failure.reason}; check the network and `mirror` of the data set, "
                    "then run again."
                )
            logger.warning("%s: %s; what it sent before is used", request.url, failure.reason)
        size = path.stat().st_size
        if file.size not in (None, size):
            logger.warning("%s: the mirror's own file (%d bytes), not the catalogue's", path, size)
        return path

    def _request(self, file: RemoteFile) -> Request:
        path = self.store / file.path
        return Request(
            f"{self.base}/{file.path}",
            path,
            lambda came: self._fault(came, file),
            cap=_ZIP_CAP if path.suffix == ".zip" else _JSON_CAP,
            size=None if self._mirror else file.size,
            edition=self._edition(path, file),
            hosts=self.hosts,
        )

    def _edition(self, path: Path, file: RemoteFile) -> str | None:
        """The digest that the catalogue has; without one a mirror is asked each time (None)."""
        if file.md5 and not (path.exists() and self._is_another(path, file)):
            return file.md5
        return None if self._mirror else ""

    def _is_another(self, path: Path, file: RemoteFile) -> bool:
        """Whether it is a mirror's own version of a file."""
        return self._mirror and file.size not in (None, path.stat().st_size)

    def _fault(self, path: Path, file: RemoteFile) -> str | None:
        size = path.stat().st_size
        if file.md5 is None or self._is_another(path, file):
            return _unsound(path, file)
        if file.size not in (None, size):
            return f"{size:,} bytes came instead of {file.size:,}"
        md5 = digest(path, "md5")
        return None if md5 == file.md5 else f"its MD5 is {md5} instead of {file.md5}"


def _unsound(path: Path, file: RemoteFile) -> str | None:
    if file.path.endswith(".zip"):
        return archives.zip_fault(path)
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"not valid JSON ({error})"
    return None
