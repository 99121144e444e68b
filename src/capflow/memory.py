"""Memory that a process has had once stays with it."""

import ctypes

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep() -> None:
    """Tell glibc not to hand large blocks back to the system between two uses.

    Each layer of a network fills a block of megabytes. By default each is mapped, filled with zeros page
    by page, and unmapped again, which costs a quarter of the time that a network takes. The price is that
    memory never shrinks below what was used once. Without glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
