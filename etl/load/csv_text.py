"""Write a page as CSV, for tables with a column that no binary encoder is right for: slower, and exact.

Invariant: what is written is text that the column's input function reads as the value meant; NULL is an empty field,
the empty text a quoted one.
"""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from etl.errors import PlanError

OPTIONS = csv.WriteOptions(include_header=False, quoting_style="all_valid")
FIRST_US, END_US = -62_135_596_800_000_000, 253_402_300_800_000_000  # years 1 to 9999, which Arrow prints as ISO 8601
DAY_US = 86_400_000_000


def write_csv(batch: pa.RecordBatch) -> bytes:
    """The rows of the batch as CSV without a header."""
    texts = [as_text(array, name) for array, name in zip(batch.columns, batch.schema.names, strict=True)]
    sink = io.BytesIO()
    csv.write_csv(pa.RecordBatch.from_arrays(texts, names=batch.schema.names), sink, OPTIONS)
    return sink.getvalue()


def as_text(array: pa.Array, column: str) -> pa.Array:
    """Each value as its type's input function reads it."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([None if value is None else value.hex() for value in array.to_pylist()], pa.string())
    if pa.types.is_binary(kind):
        return pa.array([None if value is None else f"\\x{value.hex()}" for value in array.to_pylist()], pa.string())
    if pa.types.is_date32(kind):
        ensure_printable(pc.multiply(array.cast(pa.int32()).cast(pa.int64()), DAY_US), column)
    elif pa.types.is_timestamp(kind):
        ensure_printable(array.cast(pa.int64()), column)
    return array.cast(pa.string())


def ensure_printable(micros: pa.Array, column: str) -> None:
    """Arrow prints years of four digits only."""
    edges = pc.min_max(micros)
    low, high = edges["min"].as_py(), edges["max"].as_py()
    if low is not None and (low < FIRST_US or high >= END_US):
        raise PlanError(
            f"{column}: a year before 1 or after 9999 cannot stand beside a column that is copied as text",
            "cast that other column to text",
        )
