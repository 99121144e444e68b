"""Downloads: many files at a time, each complete and checked before it has its name, and when it is used.

What is in its place is not fetched again, what has begun is continued, and the manifest of the store
(:mod:`capflow.data.manifest`) knows the rest: what is missing, and why. One process at a time uses
the store.
"""

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from capflow import project
from capflow.data.crew import Crew, Failure, entry_of
from capflow.data.manifest import Entry, Manifest, read, rot
from capflow.data.request import Request
from capflow.errors import CapflowError
from capflow.files import digest

logger = logging.getLogger(__name__)

_CROWDED, _FOLDER = "allow more open files (`ulimit -n`)", "move the folder that is in a file's place away"
# What to do about errors of the system that neither room nor permissions help against.
_REMEDIES = {errno.EMFILE: _CROWDED, errno.ENFILE: _CROWDED, errno.EISDIR: _FOLDER, errno.ENOTEMPTY: _FOLDER}


def fetch(requests: Sequence[Request], title: str) -> list[Failure]:
    """Fetch what is not there yet.

    Passing failures are tried again with growing pauses, at most ``ATTEMPTS`` times without progress.
    Other processes that share the store wait for their turn. An interruption (Ctrl-C) lets the files
    that are on their way come, for some seconds; a second one ends the process at once. Both leave
    the store so that the next run goes on.

    Args:
        requests: what to fetch, and where to.
        title: what to call it on the progress bar, which is shown on a terminal only.

    Returns:
        What could not be had, in the order of ``requests``. A file of another edition is used, with a
        warning, where its server does not answer.

    Raises:
        CapflowError: the store cannot be written, or hardly any file may be open.
        KeyboardInterrupt: after an interruption, once everything is in order.
    """
    try:
        with _alone(), Manifest(project.downloads()) as manifest:
            wanted = [request for request in requests if not _is_there(request, manifest)]
            if not wanted:
                return []
            with tqdm(desc=title, unit="B", unit_scale=True, disable=None) as bar:
                crew = Crew(manifest, bar, len(wanted))
                asyncio.run(crew.fetch(wanted))
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "make room or correct the permissions")
        raise CapflowError(
            f"{project.downloads()}: cannot be used ({error}); {remedy}, then run again."
        ) from None
    _warn(crew.kept)
    if crew.interrupted:
        raise KeyboardInterrupt
    order = {request.url: place for place, request in enumerate(wanted)}
    return sorted(crew.failures, key=lambda failure: order[failure.request.url])


def _warn(kept: Sequence[Failure]) -> None:
    """Say on one line which files were used though nobody could ask whether they have changed."""
    if not kept:
        return
    others = f" and {len(kept) - 1:,} others" if kept[1:] else ""
    logger.warning("%s%s: %s; what it sent before is used", kept[0].request.url, others, kept[0].reason)


def obtain(request: Request, title: str) -> Failure | None:
    """Fetch one file that is to be used at once; what has rotted in the store is fetched again.

    Raises:
        CapflowError, KeyboardInterrupt: as :func:`fetch`.
    """
    failures = fetch([request], title)
    if request.target.exists():
        folder = project.downloads()
        recorded = read(folder).get(request.target.relative_to(folder).as_posix())
        if _rotten(request.target, recorded):
            discard([request.target], _rotten)
            failures = fetch([request], title)
    return failures[0] if failures else None


def discard(suspects: Iterable[Path], judge: Callable[[Path, Entry | None], str | None]) -> None:
    """Remove what is wrong from the store, and record what is wrong with it.

    Args:
        suspects: files that were found to be wrong while others may have used the store.
        judge: says what is wrong with a file that has this entry. It is asked once the store is ours
            alone, since another process may have found the same and fetched the file again.
    """
    with _alone(), Manifest(project.downloads()) as manifest:
        for path in suspects:
            entry = manifest.get(path)
            if (fault := judge(path, entry)) is None:
                continue
            logger.warning("%s: removed: %s", path, fault)
            path.unlink(missing_ok=True)
            if entry:
                manifest.note([entry._replace(state="failed", size=0, sha256="", reason=fault)])


def _rotten(path: Path, recorded: Entry | None) -> str | None:
    return rot(recorded, digest(path)) if path.exists() else None


@contextmanager
def _alone() -> Iterator[None]:
    lock = FileLock(project.store() / "downloads.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("%s: another process is downloading; waiting for it to end", lock.lock_file)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _is_there(request: Request, manifest: Manifest) -> bool:
    """Whether a file is in its place and need not be asked for; takes up files that are not recorded."""
    if not request.target.exists():
        return False
    entry = manifest.get(request.target)
    if entry is None or (entry.state == "begun" and not request.part.exists()):
        # Renamed, then killed before it was recorded; or the manifest is lost. Or it is the old file,
        # and the new one came to nothing.
        sha256 = digest(request.target)
        if (entry and sha256 == entry.sha256) or request.fault(request.target):
            return False
        size = request.target.stat().st_size
        entry = entry_of(request, manifest)._replace(state="done", size=size, sha256=sha256)
        manifest.note([entry])
    whole = entry.size == request.target.stat().st_size
    return entry.state == "done" and whole and request.edition in {"", entry.edition}
