"""Fields of a batch joined to rows: whatever has one width lies in one matrix, and a NULL is closed up in it.

Invariant: a row is its fields' length words and payloads in their order; where the length is negative there is no
payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.verify.pieces import interleaved
from etl.verify.values.expected import Field, FixedField


class RowJoin:
    """Joins fields to rows: runs of fixed bytes as one matrix, payloads of varying width as they are."""

    def __init__(self, row_count: int) -> None:
        self._row_count = row_count
        self._pieces: list[pa.Array] = []
        self._fixed: list[tuple[np.dtype[Any], Any, NDArray[np.intp] | None]] = []  # and the rows that are without it

    def add_number(self, kind: str, number: int) -> None:
        """The same number in every row."""
        self._fixed.append((np.dtype(kind), number, None))

    def add_field(self, field: Field) -> None:
        if not isinstance(field, FixedField):
            self._fixed.append((np.dtype(">i4"), field.lengths, None))
            self._flush()
            self._pieces.append(field.payloads)
        elif field.lengths is None:
            self.add_number(">i4", field.values.dtype.itemsize)
            self._fixed.append((field.values.dtype, field.values, None))
        else:
            self._fixed.append((np.dtype(">i4"), field.lengths, None))
            self._fixed.append((field.values.dtype, field.values, np.flatnonzero(field.lengths < 0)))

    def rows(self) -> pa.Array:
        self._flush()
        if not self._pieces:
            return pa.array([b""] * self._row_count, pa.binary())
        return interleaved(self._pieces, self._row_count)

    def _flush(self) -> None:
        if not self._fixed:
            return
        names = [f"f{place}" for place in range(len(self._fixed))]
        dtype = np.dtype(list(zip(names, (kind for kind, _, _ in self._fixed), strict=True)))
        matrix = np.empty(self._row_count, dtype)
        for name, (_, values, _) in zip(names, self._fixed, strict=True):
            matrix[name] = values
        ends = np.cumsum([kind.itemsize for kind, _, _ in self._fixed]).tolist()
        absent = [
            _Absent(rows, end - kind.itemsize, kind.itemsize)
            for (kind, _, rows), end in zip(self._fixed, ends, strict=True)
            if rows is not None and len(rows)
        ]
        self._fixed = []
        self._pieces.append(_closed_up(matrix, absent) if absent else cells_of(matrix))


class _Absent(NamedTuple):
    """Bytes that some lines of a matrix are without."""

    rows: NDArray[np.intp]
    start: int
    size: int


def _closed_up(matrix: NDArray[Any], absent: Sequence[_Absent]) -> pa.Array:
    """The lines without these bytes, which are given in their order.

    Every other cell of what is returned is a line, the ones between are what is left over.
    """
    width = matrix.dtype.itemsize
    edges = np.arange(0, 2 * len(matrix) + 1, dtype=np.int32) // 2 * np.int32(width)
    edges[1::2] += width
    for rows, start, size in reversed(absent):  # from the last on, so that what follows has closed up already
        if rest := width - start - size:
            at, behind = (
                np.ndarray(len(matrix), f"V{rest}", matrix, place, (width,)) for place in (start, start + size)
            )
            at[rows] = behind[rows]
        edges[2 * rows + 1] -= size
    data = pa.py_buffer(matrix.view(np.uint8))
    return pa.Array.from_buffers(pa.binary(), 2 * len(matrix), [None, pa.py_buffer(edges), data])


def cells_of(values: NDArray[Any]) -> pa.Array:
    """Values of one width as a binary array over their own bytes."""
    offsets = _even_offsets(len(values), values.dtype.itemsize)
    return pa.Array.from_buffers(pa.binary(), len(values), [None, offsets, pa.py_buffer(values.view(np.uint8))])


@lru_cache(maxsize=64)
def _even_offsets(count: int, width: int) -> pa.Buffer:
    return pa.py_buffer(np.arange(0, (count + 1) * width, width, dtype=np.int32)[: count + 1])
