"""Texts and blobs out of a block of pages, without touching a cell from Python.

Arrow gathers variable-length values fast, but only from an array whose offsets ascend. So the cells of a column and
the gaps between them become the elements of such an array over the bytes of the block, in order of address, and every
second element is taken, in order of rows.

Invariant: offsets ascend, for Arrow reads what they say unchecked.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from etl.extract.database_file import Addresses, UnusualPageError
from etl.extract.records import Mask, Rows, StoredCells

SHORT_BYTES = 64  # up to here cells of one length are gathered by numpy


class CellTexts:
    """Gathers cells of some rows."""

    def __init__(self, rows: Rows) -> None:
        """Raises UnusualPageError where records overlap."""
        self._data = rows.block.data
        count = len(rows.records)
        starts, ends = rows.records, rows.records + rows.payloads
        self._order: npt.NDArray[np.intp] | None = None  # the rows by address; None where they descend
        places: npt.NDArray[np.intp] = np.arange(count - 1, -1, -1)
        if (ends[1:] > starts[:-1]).any():
            self._order = np.argsort(starts, kind="stable")  # quick for runs in order
            if (ends[self._order[:-1]] > starts[self._order[1:]]).any():
                raise UnusualPageError("records overlap")
            places[self._order] = np.arange(count)
        self._elements = pa.array(2 * places)  # of each row, among cells and gaps

    def array(self, arrow_type: pa.DataType, cells: StoredCells, valid: Mask | None) -> pa.Array:
        """The bytes of the cells as string or binary, null where not valid."""
        bitmap, nulls = bitmap_of(valid)
        starts, ends = cells.starts, cells.ends
        if valid is not None:
            ends = np.where(valid, ends, starts)
        lengths = ends - starts if cells.only_type is None else ends[:1] - starts[:1]
        longest = int(lengths.max(initial=0))
        if 0 < longest <= SHORT_BYTES and longest == lengths.min():
            offsets = np.arange(len(starts) + 1, dtype=np.int32) * longest
            content = np.ndarray((len(self._data) - longest + 1,), f"V{longest}", self._data, strides=(1,))[starts]
            buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(content)]
        else:
            buffers = [bitmap, *self._gather(starts, ends).buffers()[1:]]
        return pa.Array.from_buffers(arrow_type, len(starts), buffers, nulls)

    def _gather(self, starts: Addresses, ends: Addresses) -> pa.Array:
        if self._order is None:
            starts, ends = starts[::-1], ends[::-1]
        else:
            starts, ends = starts[self._order], ends[self._order]
        offsets = np.empty(2 * len(starts) + 1, np.int32)
        offsets[0:-1:2] = starts
        offsets[1::2] = ends
        offsets[-1] = len(self._data)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self._data)]
        return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers, 0).take(self._elements)


def bitmap_of(valid: Mask | None) -> tuple[pa.Buffer | None, int]:
    """Arrow's validity bitmap (None where all are valid) and the number of nulls."""
    if valid is None:
        return None, 0
    nulls = len(valid) - int(np.count_nonzero(valid))
    return (pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None), nulls
