"""Put large cells into a COPY stream as they lie in the page, without a copy of them.

Invariant: the stream is, byte for byte, the one that the encoder would have written with the cells in their place. It
encodes the rows with an empty cell in their stead, and the bytes follow what it wrote there (nothing, or jsonb's
version byte), their number added to the length word.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

ROW_BYTES = 1 << 20  # on the average of a page: then it has few rows, and they are walked at no cost
LENGTH = struct.Struct(">i")
COUNT_BYTES = 2  # of the fields, before each row


def large_columns(batch: pa.RecordBatch) -> dict[int, pa.Array]:
    """The columns that hold the bytes of a page of large rows, by their place; none where the rows are small."""
    if batch.nbytes < ROW_BYTES * max(1, batch.num_rows):
        return {}
    return {
        place: array
        for place, array in enumerate(batch.columns)
        if (pa.types.is_string(array.type) or pa.types.is_binary(array.type)) and array.nbytes >= ROW_BYTES
    }


def with_empty_cells(batch: pa.RecordBatch, columns: Mapping[int, pa.Array]) -> pa.RecordBatch:
    """The batch with an empty cell for every one of these columns that is not NULL."""
    arrays = [_emptied(array) if place in columns else array for place, array in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def spliced(stream: bytes | memoryview, columns: Mapping[int, pa.Array], column_count: int) -> Iterator[memoryview]:
    """The rows of the stream, whose cells of these columns are empty, with the cells put in; views alone."""
    view, start, at = memoryview(stream), 0, 0
    for row in range(len(next(iter(columns.values())))):
        at += COUNT_BYTES
        for place in range(column_count):
            (written,) = LENGTH.unpack_from(stream, at)
            end = at + LENGTH.size + max(written, 0)
            if place in columns and written >= 0:
                cell = memoryview(columns[place][row].as_buffer())
                yield view[start:at]
                yield memoryview(LENGTH.pack(written + len(cell)))
                yield view[at + LENGTH.size : end]
                yield cell
                start = end
            at = end
    yield view[start:]


def _emptied(array: pa.Array) -> pa.Array:
    nothing = pa.array([b""] * len(array), pa.binary()).cast(array.type)
    return pc.if_else(array.is_valid(), nothing, pa.scalar(None, array.type))
