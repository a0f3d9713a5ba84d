"""Freed memory that the allocator keeps: as much as a large row, beside the copies of it that are in use.

The driver collects a message in pieces of 256 KB, which lie on the heap; when they are freed, glibc keeps the heap as
long as anything stands behind them.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_trim: Callable[[int], int] | None = (
    getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
)


def give_back_free_memory() -> None:
    """Let the system have what is free; a few milliseconds, nothing where there is no glibc."""
    if _trim is not None:
        _trim(0)
