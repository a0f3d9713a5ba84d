"""Rows of fixed width: without text, and with few NULLs on this page. A page of them is one array of records.

Readings of sensors, positions and the like have no other rows, and many of them; written so, they cost a
fifth of what the encoder takes.

Invariant: the bytes are the encoder's own, for every type of the table below (``tests/unit/test_fixed_rows.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Records = npt.NDArray[np.void]
Places = npt.NDArray[np.intp]  # of bytes

EPOCH_DAYS = 10_957  # PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01
EPOCH_US = EPOCH_DAYS * 86_400_000_000
ROWS_A_NULL = 20
NULL = -1  # in place of a length


@dataclass(frozen=True, slots=True)
class Field:
    """A value in the stream, and in Arrow's buffer; what is to be taken away from it."""

    sent: str
    stored: str
    epoch: int = 0


FIELDS: dict[str, Field] = {
    "int16": Field(">i2", "<i2"),
    "int32": Field(">i4", "<i4"),
    "int64": Field(">i8", "<i8"),
    "float": Field(">u4", "<u4"),  # as bits: a NaN arrives as it is
    "double": Field(">u8", "<u8"),
    "date32[day]": Field(">i4", "<i4", EPOCH_DAYS),
    "time64[us]": Field(">i8", "<i8"),
    "timestamp[us]": Field(">i8", "<i8", EPOCH_US),
    "timestamp[us, tz=UTC]": Field(">i8", "<i8", EPOCH_US),
    "fixed_size_binary[16]": Field("V16", "V16"),
}


class FixedRows:
    """Writes the pages of a table whose columns have these Arrow types."""

    def __init__(self, fields: Sequence[Field]) -> None:
        parts = [("count", ">i2")]
        for place, field in enumerate(fields):
            parts += [(f"length{place}", ">i4"), (f"value{place}", field.sent)]
        self._fields = fields
        self._dtype = np.dtype(parts)
        ends = np.cumsum([self._dtype[place].itemsize for place in range(len(parts))]).tolist()
        self._spans = list(zip(ends[1::2], ends[2::2], strict=True))  # of the values in a record, in bytes
        self._blank = np.zeros(0, np.uint8)  # records with count and lengths, as many as the largest page so far

    def takes(self, batch: pa.RecordBatch) -> bool:
        """Whether it is quicker than the encoder: it writes all values, and cuts the NULLs out one by one."""
        nulls = sum(array.null_count for array in batch.columns)
        return bool(nulls * ROWS_A_NULL <= batch.num_rows)

    def stream(self, batch: pa.RecordBatch) -> memoryview:
        """The rows of a page as they stand in a COPY stream."""
        size = batch.num_rows * self._dtype.itemsize
        if size > len(self._blank):
            self._blank = self._blank_records(batch.num_rows).view(np.uint8)
        stream = self._blank[:size].copy()  # as bytes: numpy copies records field by field
        records = stream.view(self._dtype)
        for place, (field, array) in enumerate(zip(self._fields, batch.columns, strict=True)):
            values = stored_values(array, field)
            records[f"value{place}"] = values - field.epoch if field.epoch else values
        holes = self._mark_nulls(records, batch)
        if holes is not None:
            firsts, ends = holes
            kept = zip([0, *ends.tolist()], [*firsts.tolist(), size], strict=True)
            stream = np.concatenate([stream[first:end] for first, end in kept])
        return stream.data

    def _mark_nulls(self, records: Records, batch: pa.RecordBatch) -> tuple[Places, Places] | None:
        """Say of NULLs in their lengths that they are; where the bytes that they then lack begin and end."""
        firsts, ends = [], []
        for place, array in enumerate(batch.columns):
            if array.null_count:
                rows = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
                records[f"length{place}"][rows] = NULL
                first, end = self._spans[place]
                firsts.append(rows * self._dtype.itemsize + first)
                ends.append(rows * self._dtype.itemsize + end)
        return (np.sort(np.concatenate(firsts)), np.sort(np.concatenate(ends))) if firsts else None

    def _blank_records(self, count: int) -> Records:
        records = np.zeros(count, self._dtype)
        records["count"] = len(self._fields)
        for place, field in enumerate(self._fields):
            records[f"length{place}"] = np.dtype(field.sent).itemsize
        return records


def fixed_rows(schema: pa.Schema) -> FixedRows | None:
    """What writes pages of this schema; None where a column is of another kind."""
    fields = [FIELDS.get(str(column.type)) for column in schema]
    known = [field for field in fields if field is not None]
    return FixedRows(known) if len(known) == len(fields) else None


def stored_values(array: pa.Array, field: Field) -> npt.NDArray[Any]:
    """The values as Arrow has them, shape (n,)."""
    return np.frombuffer(array.buffers()[1], field.stored, count=array.offset + len(array))[array.offset :]
