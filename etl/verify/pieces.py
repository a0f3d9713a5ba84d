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


def interleaved(pieces: Sequence[pa.Array]) -> pa.Array:
    """Binary arrays of n cells each as one of n cells: the first cell of all of them, then the second of all …"""
    if len(pieces) == 1:
        return pieces[0]
    if sum(piece.nbytes for piece in pieces) > POOLED_BYTES:
        empty = pa.scalar(b"", pa.binary())
        return pc.binary_join_element_wise(*pieces, empty, null_handling="replace", null_replacement=b"")
    taken = pa.concat_arrays(pieces).take(_interleaving(len(pieces), len(pieces[0])))
    return every(taken, len(pieces))


@lru_cache(maxsize=REMEMBERED)
def _interleaving(count: int, length: int) -> pa.Array:
    return pa.array(np.arange(count * length, dtype=np.int32).reshape(count, length).T.ravel())


def every(pieces: pa.Array, count: int) -> pa.Array:
    """Each ``count`` neighbouring cells as one; the array must begin where its buffers do."""
    offsets: NDArray[np.int32] = np.frombuffer(pieces.buffers()[1], np.int32)[: len(pieces) + 1]
    edges = pa.py_buffer(np.ascontiguousarray(offsets[::count]))
    return pa.Array.from_buffers(pa.binary(), len(pieces) // count, [None, edges, pieces.buffers()[2]])
