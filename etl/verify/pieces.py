"""Binary cells put together out of pieces: one take over a pool of pieces, since that copies fastest.

Invariant: what comes out is, cell by cell, the pieces in their order; a null piece is an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

POOLED_BYTES = 8 << 20  # the pool is a copy: of large cells it would be one too many
REMEMBERED = 8  # orders of pieces, of megabytes each where tables are wide: those of a table and of its neighbours


def interleaved(pieces: Sequence[pa.Array], count: int) -> pa.Array:
    """Binary arrays of ``count`` cells each as one: the first cell of all of them, then the second of all …

    Of an array of twice as many cells every other one is left out, beginning with the second.
    """
    steps = tuple(len(piece) // count if count else 1 for piece in pieces)
    if steps == (1,):
        return pieces[0]
    if sum(piece.nbytes for piece in pieces) > POOLED_BYTES:
        empty = pa.scalar(b"", pa.binary())
        pairs = zip(pieces, steps, strict=True)
        whole = (piece if step == 1 else piece.take(_interleaving((step,), count)) for piece, step in pairs)
        return pc.binary_join_element_wise(*whole, empty, null_handling="replace", null_replacement=b"")
    taken = pc.take(pa.concat_arrays(pieces), _interleaving(steps, count), boundscheck=False)
    return every(taken, len(pieces))


@lru_cache(maxsize=REMEMBERED)
def _interleaving(steps: tuple[int, ...], count: int) -> pa.Array:
    widths = np.array(steps, np.int32)
    first = (np.cumsum(widths, dtype=np.int32) - widths) * np.int32(count)
    return pa.array((first + np.arange(count, dtype=np.int32)[:, None] * widths).ravel())


def every(pieces: pa.Array, count: int) -> pa.Array:
    """Each ``count`` neighbouring cells as one; the array must begin where its buffers do."""
    offsets: NDArray[np.int32] = np.frombuffer(pieces.buffers()[1], np.int32)[: len(pieces) + 1]
    edges = pa.py_buffer(np.ascontiguousarray(offsets[::count]))
    return pa.Array.from_buffers(pa.binary(), len(pieces) // count, [None, edges, pieces.buffers()[2]])
