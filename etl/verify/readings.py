"""How a column is read so that its storage classes are proven, and the SELECT that does it.

Invariant: the first row of every SELECT is a sample, which settles the Arrow types (ADBC infers them from the first
batch alone); where ADBC would take another class without a word, the SELECT itself fails at the first row that has a
cell of another class than it is read as. Rows of a few kilobytes are read *lightly*: texts too as bytes, for which ADBC
refuses numbers, but in its first batch; `numbers_sql` looks at that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import pyarrow as pa
import pyarrow.compute as pc

from etl.model import Affinity, ColumnPlan, StorageClass, TablePlan
from etl.verify.values.wire import DOCUMENT_TYPES, TEXT_TYPES

NUMERIC_TARGETS = frozenset({"numeric", "double precision", "real"})
GROUPED = 100  # conditions: SQLite nests expressions 1,000 deep at most
CLASSES = (StorageClass.INTEGER, StorageClass.REAL, StorageClass.TEXT, StorageClass.BLOB)
_ARROW = {
    StorageClass.INTEGER: pa.int64(),
    StorageClass.REAL: pa.float64(),
    StorageClass.TEXT: pa.string(),
    StorageClass.BLOB: pa.binary(),
}
_SAMPLE = {
    StorageClass.INTEGER: "0",
    StorageClass.REAL: "0.0",
    StorageClass.TEXT: "'x'",
    StorageClass.BLOB: "x'00'",
}


class Reading(Enum):
    """How a column is read."""

    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BLOB = "blob"
    NUMBER = "number"  # INTEGER up to 2^53 and REAL, where the target does not tell 5 from 5.0
    SPLIT = "split"  # four columns, one a storage class


_LEAST_TEXT, _LEAST_BLOB = "''", "x''"  # numbers < texts < blobs
_BEYOND = {Reading.TEXT: f">= {_LEAST_BLOB}", Reading.BLOB: f"< {_LEAST_BLOB}"}


def quoted(name: str) -> str:
    """An identifier of SQLite or PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def guess_reading(column: ColumnPlan, classes: tuple[str, ...]) -> Reading:
    """How to read a column whose first rows hold these classes; only a guess, every batch proves it."""
    textual = column.type.name in TEXT_TYPES or column.type.name in DOCUMENT_TYPES
    textual |= column.type.name == "boolean" and column.reading.how is not None  # words: 1 is one, 1.0 is none
    mixed = column.source.affinity is not Affinity.REAL and not textual
    match classes:
        case ():
            return _usual_reading(column.source.affinity, textual)
        case ("integer",):
            return Reading.NUMBER if mixed and column.type.name in NUMERIC_TARGETS else Reading.INTEGER
        case ("real",):
            return Reading.NUMBER if mixed else Reading.REAL
        case ("integer", "real"):
            return Reading.NUMBER if mixed else Reading.SPLIT
        case (one,):
            return Reading(one)
        case _:
            return Reading.SPLIT


def _usual_reading(affinity: Affinity, textual: bool) -> Reading:
    if affinity is Affinity.NUMERIC:
        return Reading.SPLIT if textual else Reading.NUMBER
    return Reading(affinity.value)


def fits(reading: Reading, classes: tuple[str, ...]) -> bool:
    if reading is Reading.SPLIT:
        return True
    allowed = {"integer", "real"} if reading is Reading.NUMBER else {reading.value}
    return set(classes) <= allowed


def storage_of(reading: Reading) -> StorageClass:
    return StorageClass.REAL if reading is Reading.NUMBER else StorageClass(reading.value)


def is_guarded(reading: Reading, affinity: Affinity) -> bool:
    """Whether ADBC could take something else for what is read, without a word.

    It refuses everything but an INTEGER in an int64 column, and a TEXT or a BLOB in a double one; an INTEGER there
    is what NUMBER means, and what a column of REAL affinity never holds. Anything becomes text or bytes.
    """
    if reading in (Reading.SPLIT, Reading.INTEGER, Reading.NUMBER):
        return False
    return reading is not Reading.REAL or affinity is not Affinity.REAL


def select_rows_sql(table: TablePlan, readings: Sequence[Reading], inner: str, *, light: bool = False) -> str:
    """The SELECT with its sample row in front; it fails at the first row with a cell of another class than read.

    ``light``: a number in a text may still hide in its first batch.
    """
    samples, terms, misfits = [], [], []
    for column, reading in zip(table.columns, readings, strict=True):
        name = quoted(column.source.name)
        if reading is Reading.SPLIT:
            samples += [_SAMPLE[storage] for storage in CLASSES]
            terms += [f"iif(typeof({name})='{storage}',{name},null)" for storage in CLASSES]
            continue
        samples.append(_SAMPLE[_held_as(reading, light)])
        terms.append(name)
        if is_guarded(reading, column.source.affinity):
            misfits.append(_misfit(name, reading, light))
    if misfits:
        terms[0] = _failing_at(misfits, terms[0], quoted(table.columns[0].source.name))
    return f"select {', '.join(samples)} union all select {', '.join(terms)} from {inner}"


def _held_as(reading: Reading, light: bool) -> StorageClass:
    return StorageClass.BLOB if light and reading is Reading.TEXT else storage_of(reading)


def _misfit(name: str, reading: Reading, light: bool) -> str:
    """The condition for a cell that ADBC would take for something else."""
    if light and reading in _BEYOND:
        # a comparison costs a third of typeof(); the plus keeps an affinity from trying whether a text is a number
        return f"+{name} collate binary {_BEYOND[reading]}"
    return f"(typeof({name})<>'{reading.value}' and {name} is not null)"


def numbers_sql(table: TablePlan, readings: Sequence[Reading], inner: str) -> str | None:
    """How many rows of ``inner`` have a number where texts are read; None where none are."""
    pairs = zip(table.columns, readings, strict=True)
    names = [quoted(column.source.name) for column, reading in pairs if reading is Reading.TEXT]
    if not names:
        return None
    return f"select count(*) from {inner} where {_any([f'+{name} collate binary < {_LEAST_TEXT}' for name in names])}"


def _failing_at(misfits: Sequence[str], term: str, column: str) -> str:
    """``term``, and an error instead where one of the conditions holds: cheaper than a column that tells of them."""
    # abs() of the least integer is the error; the comparison, always true, keeps SQLite from computing it beforehand
    return f"case when {_any(misfits)} then abs(-9223372036854775807-(typeof({column})<>'')) else {term} end"


def _any(conditions: Sequence[str]) -> str:
    groups = [conditions[start : start + GROUPED] for start in range(0, len(conditions), GROUPED)]
    return " or ".join(f"({' or '.join(group)})" for group in groups)


def wrong_types(readings: Sequence[Reading], schema: pa.Schema, *, light: bool = False) -> list[int]:
    """Columns whose first batch was taken for something else than the sample row's type."""
    wrong, at = [], 0
    for place, reading in enumerate(readings):
        wanted = [_ARROW[s] for s in CLASSES] if reading is Reading.SPLIT else [_ARROW[_held_as(reading, light)]]
        if [schema.field(at + k).type for k in range(len(wanted))] != wanted:
            wrong.append(place)
        at += len(wanted)
    return wrong


def reaches(array: pa.Array, bound: float) -> bool:
    extremes = pc.min_max(array)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    return low is not None and (low <= -bound or high >= bound)
