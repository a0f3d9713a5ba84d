"""Write a page as CSV, for tables with a column that no binary encoder is right for: slower, and exact.

Invariant: what is written is text that the column's input function reads as the value meant; NULL is an empty field,
the empty text a quoted one.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

OPTIONS = csv.WriteOptions(include_header=False, quoting_style="all_valid")
FIRST_US, END_US = -62_135_596_800_000_000, 253_402_300_800_000_000  # years 1 to 9999, which Arrow prints as ISO 8601
DAY_US = 86_400_000_000
CYCLE_YEARS, CYCLE_DAYS, DAYS_BEFORE_1970 = 400, 146_097, 719_162  # of the Gregorian calendar; since 0001-01-01


def write_csv(batch: pa.RecordBatch) -> bytes:
    """The rows of the batch as CSV without a header."""
    texts = [as_text(array) for array in batch.columns]
    sink = io.BytesIO()
    csv.write_csv(pa.RecordBatch.from_arrays(texts, names=batch.schema.names), sink, OPTIONS)
    return sink.getvalue()


def as_text(array: pa.Array) -> pa.Array:
    """Each value as its type's input function reads it."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([None if value is None else value.hex() for value in array.to_pylist()], pa.string())
    if pa.types.is_binary(kind):
        return pa.array([None if value is None else f"\\x{value.hex()}" for value in array.to_pylist()], pa.string())
    if pa.types.is_date32(kind):
        return moment_texts(array, pa.int32(), DAY_US, date_text)
    if pa.types.is_timestamp(kind):
        return moment_texts(array, pa.int64(), 1, partial(timestamp_text, zone="" if kind.tz is None else "Z"))
    return array.cast(pa.string())


def moment_texts(array: pa.Array, integer: pa.DataType, unit_us: int, text: Callable[[int], str]) -> pa.Array:
    """Dates or times as Arrow prints them, or each by ``text`` where one lies outside the years that Arrow prints."""
    numbers = array.cast(integer)
    edges = pc.min_max(numbers)
    low, high = edges["min"].as_py(), edges["max"].as_py()
    if low is None or (low * unit_us >= FIRST_US and high * unit_us < END_US):
        return array.cast(pa.string())
    return pa.array([None if number is None else text(number) for number in numbers.to_pylist()], pa.string())


def date_text(days: int) -> str:
    """A date since 1970 as PostgreSQL reads it, whatever its year."""
    day, era = _day_and_era(days)
    return day + era


def timestamp_text(micros: int, zone: str = "") -> str:
    """A timestamp since 1970 as PostgreSQL reads it, whatever its year."""
    days, rest = divmod(micros, DAY_US)
    day, era = _day_and_era(days)
    seconds, fraction = divmod(rest, 1_000_000)
    return f"{day} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:06d}{zone}{era}"


def _day_and_era(days: int) -> tuple[str, str]:
    cycles, rest = divmod(days + DAYS_BEFORE_1970, CYCLE_DAYS)
    day = date.fromordinal(rest + 1)  # within the years 1 to 400, after which the calendar begins anew
    year = day.year + CYCLE_YEARS * cycles
    shown, era = (year, "") if year > 0 else (1 - year, " BC")
    return f"{shown:04d}-{day.month:02d}-{day.day:02d}", era
