"""A thread that brings journals to MLflow while others work, and a limit on how long these wait for it."""

import logging
import threading
import time
from types import TracebackType
from typing import Self

from capflow import tracking
from capflow.errors import CapflowError, sentence
from capflow.record.journal import Journal
from capflow.record.sending import Delivery, send_all
from capflow.tracking import Store, StoreError, UnusableError

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a training waits for a service in all ..."""
_BEGINNING = 2.5  # ... and, of these, for its first answer
_OWN_PATIENCE = 60.0  # for a store that is a file here
_PAUSE = 5.0  # between two looks at what there is to send
_SHORT_PAUSE = 0.2  # at the end, while another process is sending
_LONGEST_PAUSE = 60.0  # between two tries at a store that is away


class Postman:
    """Sends what waits from earlier, then a journal of this process, until that is at its end.

    What MLflow did not take when the block ends stays where it is, and a warning says so.
    """

    def __init__(self, journal: Journal, patience: float = PATIENCE) -> None:
        """Look after a journal; whoever has this waits for ``patience`` seconds at most in all."""
        self._journal, self._new = journal, not journal.size()
        own = not tracking.is_service()
        self._left = _OWN_PATIENCE if own else patience
        self._first_wait = _OWN_PATIENCE if own else _BEGINNING
        self._delivery: Delivery | None = None
        self._trouble: CapflowError | OSError | None = None
        self._ending, self._asked, self._done = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)

    def __enter__(self) -> Self:
        """Begin nothing yet."""
        tracking.load()
        return self

    def begin(self) -> None:
        """Begin to send, and wait a little for the first answer.

        Raises:
            UnusableError: there cannot be such a store; a journal that was begun for it is removed.
        """
        self._thread.start()
        self._wait(self._asked, self._first_wait)
        if isinstance(self._trouble, UnusableError):
            if self._new:
                self._journal.remove()
            raise self._trouble

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the end of the sending, but not for long."""
        self._ending.set()
        if self._thread.is_alive():
            self._wait(self._done, self._left)
            if self._journal.folder.exists():
                logger.warning(
                    "MLflow does not have all of this: the rest waits in %s; `capflow record` "
                    "sends it, or the next stage that records.",
                    self._journal.folder,
                )

    def _wait(self, event: threading.Event, most: float) -> None:
        began = time.monotonic()
        event.wait(min(most, self._left))
        self._left = max(0.0, self._left - (time.monotonic() - began))

    def _work(self) -> None:
        try:
            self._go_round()
        finally:  # nobody waits for a thread that an error of ours has ended
            self._asked.set()
            self._done.set()

    def _go_round(self) -> None:
        pause, last = _PAUSE, False
        while not last:
            last = self._ending.is_set()
            self._round()
            self._asked.set()
            if self._ending.is_set() and self._trouble:
                if not _is_passing(self._trouble):
                    return
                last = False
                time.sleep(_SHORT_PAUSE)
            pause = min(2 * pause, _LONGEST_PAUSE) if self._trouble else _PAUSE
            self._ending.wait(pause)

    def _round(self) -> None:
        before, trouble = self._trouble, None
        try:
            self._deliver()
        except (CapflowError, OSError) as error:
            trouble = error
            if not before and not self._ending.is_set() and not _is_passing(error):
                logger.warning("%s What is recorded waits here meanwhile.", sentence(error))
        else:
            if before:
                logger.info("MLflow takes the record again")
        self._trouble = trouble

    def _deliver(self) -> None:
        """All that waits, the first time that the store answers; then what this journal has got."""
        if not self._delivery:
            store = Store()
            send_all(self._journal.folder.parent, store)
            self._delivery = Delivery(self._journal, store)
        self._delivery.go_on()


def _is_passing(trouble: CapflowError | OSError) -> bool:
    """Whether another process is in the way, which will be done soon."""
    return isinstance(trouble, CapflowError) and not isinstance(trouble, StoreError)
