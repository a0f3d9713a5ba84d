"""Keep what the process holds near to what it uses.

Pages are freed as fast as they are made, by threads that come and go. glibc gives every thread an arena of its own and
hands little of them back, and Arrow's own allocator keeps what was freed for later: together a hundred megabytes that
nobody uses (measured: 372 MB of resident memory at the peak, 231 MB with the settings here, at the same speed).

One arena for all threads, so that what the load has freed is there for the verification. With two, a whole run peaked
at 254 to 294 MB, as the threads happened to share them, and at 227 to 241 MB with one, in the same time: the threads
that work on rows are few, small blocks come from a cache of each thread, and large ones are rare enough to wait for.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

M_ARENA_MAX = -8  # malloc.h
ARENAS = 1


def bound_allocators() -> None:
    """Call before pyarrow is imported and before threads start; does nothing where there is no glibc."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's; nothing here multiplies matrices, and threads spin
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_ARENA_MAX, ARENAS)


def import_without_collecting() -> None:
    """Call before the large imports: they make a hundred thousand objects and no garbage, which Python would look for.

    `settle` turns the collector on again. A tenth of a second of the half that the imports take.
    """
    gc.disable()


def settle() -> None:
    """Call when everything is imported: no collection need look at what lives to the end."""
    gc.freeze()
    gc.enable()
