"""Memory stays with a process until it is told to hand it back; where it runs out, a sentence says so."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from capflow.errors import CapflowError

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep() -> None:
    """Tell glibc not to hand large blocks back to the system between two uses.

    Each layer of a network fills a block of megabytes. By default each is mapped, filled with zeros page
    by page, and unmapped again, which costs a quarter of the time that a network takes. The price is that
    memory never shrinks below what was used once, unless :func:`hand_back` is called. Without glibc nothing
    changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)


def hand_back() -> None:
    """Give the system all pages that nothing lies in now, as between training and validation.

    Each new shape of a product in bf16 leaves a compiled program of some 0.6 MB behind
    (:mod:`capflow.models.shapes`), which may lie in the middle of a place that a large block had. Large
    blocks then need places of their own, epoch after epoch, while the old ones stand empty.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


@contextmanager
def enough() -> Iterator[None]:
    """Work that may want more memory than there is, the processor's or a GPU's.

    Raises:
        CapflowError: it did; PyTorch says so in its words alone.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        told = str(error).lower()
        if isinstance(error, MemoryError) or "can't allocate memory" in told or "out of memory" in told:
            raise CapflowError(
                "memory ran out; in params.yaml lower the batch_size of train or generate, generate.drawn, "
                "generate.beam or tensors.size, or end other programs."
            ) from None
        raise
