"""How the C library keeps memory that was freed, for processes that make and drop large blocks over and over."""

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 256 << 20
"""Freed memory at the end of the heap that stays with the process."""
_MAPPED_FROM_BYTES: Final = 1 << 30


def keep_freed_memory() -> bool:
    """Take blocks below a GiB from the heap and keep up to KEPT_BYTES of it once freed; False where libc cannot.

    By default each large block is mapped anew, and the kernel clears its pages again for each one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES) and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
