"""Whole columns by vector rules; the odd cells one by one through ``values``, and filled back.

Invariant: a page is converted as if every cell had gone through ``convert_value``: same outcome, same value, same rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import PlanError, RefusedValueError
from etl.model import (
    Coercion,
    ColumnPlan,
    PgType,
    PlainColumn,
    Refusal,
    SourcePage,
    SourceValues,
    StorageClass,
    TablePlan,
    TargetPage,
)
from etl.transform.rows.buffers import Rows, as_binary, fixed_array, fixed_values, valid_mask
from etl.transform.rows.date_vectors import DATE_RULES
from etl.transform.rows.json_vectors import JSON_RULES
from etl.transform.rows.number_vectors import NUMBER_RULES
from etl.transform.rows.numerals import DECIMAL128_DIGITS
from etl.transform.rows.outcomes import Refused, TargetValue
from etl.transform.rows.rendering import SourceValue, render_source, render_target
from etl.transform.rows.row_names import refusal_of, row_key
from etl.transform.rows.text_vectors import TEXT_RULES
from etl.transform.rows.values import convert_value
from etl.transform.rows.vectors import VectorRule, all_odd

SAMPLE_COUNT = 5  # of each rule in each column
REFUSAL_COUNT = 20  # of each column of a page: enough to see what is wrong with it

_VECTOR_RULES: dict[StorageClass, dict[str, VectorRule]] = {
    **NUMBER_RULES,
    StorageClass.TEXT: {**TEXT_RULES[StorageClass.TEXT], **DATE_RULES, **JSON_RULES},
    StorageClass.BLOB: TEXT_RULES[StorageClass.BLOB],
}
_ARROW_TYPES: dict[str, pa.DataType] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
    "text": pa.string(),
    "varchar": pa.string(),
    "char": pa.string(),
    "json": pa.string(),
    "jsonb": pa.string(),
    "uuid": pa.binary(16),
    "bytea": pa.binary(),
}
_STORAGE_OF_ARROW = {
    pa.int64(): StorageClass.INTEGER,
    pa.float64(): StorageClass.REAL,
    pa.string(): StorageClass.TEXT,
    pa.binary(): StorageClass.BLOB,
}
# To these an integral number goes the same way whether SQLite stored it as INTEGER or as REAL.
_INDIFFERENT = frozenset(("numeric", "double precision", "real"))


def target_arrow_type(type: PgType) -> pa.DataType:  # noqa: A002 - the name that the contract of the stages gives it
    """The Arrow type whose arrays the encoder takes for a PostgreSQL type.

    ``numeric`` without a precision, or with one over 38, is a string of its exact digits. Raises PlanError for a type
    that has no conversion.
    """
    if type.name == "numeric":
        if type.precision is None or type.precision > DECIMAL128_DIGITS:
            return pa.string()
        return pa.decimal128(type.precision, type.scale or 0)
    if type.name not in _ARROW_TYPES:
        raise PlanError(f"there is no conversion to {type}", "--cast the column to one of the types that have one")
    return _ARROW_TYPES[type.name]


def coerce_page(page: SourcePage, table: TablePlan) -> TargetPage:
    """Convert a page to the types of its target, every cell exactly or by a named rule.

    Raises RefusedValueError with what the target types cannot hold, in the order of the rows, at most 20 a column.
    """
    arrays: list[pa.Array] = []
    coercions: list[Coercion] = []
    refused: list[tuple[int, Refusal]] = []
    for values, column in zip(page.columns, table.columns, strict=True):
        work = ColumnWork(parts_of(values, column.type), column.type, page.row_count, REFUSAL_COUNT)
        array = work.convert(not_null=column.not_null)
        arrays.append(array)
        refused.extend(_refusals(work, page, table, column))
        if not refused:
            coercions.extend(coercions_of(work, array, page, column))
    if refused:
        refused.sort(key=lambda numbered: numbered[0])
        raise RefusedValueError([refusal for _, refusal in refused])
    return TargetPage(
        number=page.number,
        row_count=page.row_count,
        batch=pa.RecordBatch.from_arrays(arrays, names=[column.name for column in table.columns]),
        coercions=tuple(coercions),
        first_key=row_key(page, 0),
        last_key=row_key(page, page.row_count - 1),
        source_bytes=page.source_bytes,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The cells of one storage class in a column; null elsewhere."""

    storage: StorageClass
    array: pa.Array
    integral_is_integer: bool = False  # a double without a fraction stands for an INTEGER

    def cells(self, rows: Rows) -> Iterator[tuple[SourceValue, StorageClass]]:
        """The values at some rows, as the specification takes them."""
        array = as_binary(self.array) if self.storage is StorageClass.TEXT else self.array
        for value in array.take(pa.array(rows)).to_pylist():
            if self.integral_is_integer and value is not None and float(value).is_integer():
                yield int(value), StorageClass.INTEGER
            else:
                yield value, self.storage


def parts_of(values: SourceValues, target: PgType) -> list[_Part]:
    """A column by storage class, without the classes that it does not hold."""
    if isinstance(values, PlainColumn):
        parts = _plain_parts(values, target)
    else:
        parts = [
            _Part(StorageClass.INTEGER, values.integers),
            _Part(StorageClass.REAL, values.reals),
            _Part(StorageClass.TEXT, values.texts),
            _Part(StorageClass.BLOB, values.blobs),
        ]
    return [part for part in parts if part.array.null_count < len(part.array)]


def _plain_parts(column: PlainColumn, target: PgType) -> list[_Part]:
    array = column.array
    if array.null_count == len(array):
        return []
    storage = _STORAGE_OF_ARROW[array.type]
    if storage is not StorageClass.REAL or not column.integral_is_integer:
        return [_Part(storage, array)]
    if target.name in _INDIFFERENT:
        return [_Part(storage, array, integral_is_integer=True)]
    doubles, valid = fixed_values(array, np.float64), valid_mask(array)
    whole = np.rint(doubles) == doubles
    integers = np.where(whole & valid, doubles, 0).astype(np.int64)
    return [
        _Part(StorageClass.INTEGER, fixed_array(pa.int64(), integers, valid & whole)),
        _Part(StorageClass.REAL, fixed_array(pa.float64(), doubles, valid & ~whole)),
    ]


@dataclass(slots=True)
class ColumnWork:
    """One column on its way: what was coerced where, and what was refused (of which ``refusal_limit`` are kept)."""

    parts: list[_Part]
    target: PgType
    row_count: int
    refusal_limit: int
    coerced: dict[str, list[Rows]] = field(default_factory=dict)
    refused: list[tuple[int, SourceValue, StorageClass, Refused]] = field(default_factory=list)

    def convert(self, *, not_null: bool) -> pa.Array:
        """The converted column; meaningless where something was refused."""
        arrow_type = target_arrow_type(self.target)
        arrays = [self._convert_part(part, arrow_type) for part in self.parts]
        if not arrays:
            array = pa.nulls(self.row_count, arrow_type)
        else:
            array = arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)
        if not_null and array.null_count and len(self.refused) < self.refusal_limit:
            self._refuse_nulls(array)
        self.refused = sorted(self.refused, key=lambda refused: refused[0])[: self.refusal_limit]
        return array

    def _convert_part(self, part: _Part, arrow_type: pa.DataType) -> pa.Array:
        rule = _VECTOR_RULES[part.storage].get(self.target.name, all_odd)
        vector = rule(part.array, self.target, arrow_type)
        sure = valid_mask(part.array) if vector.odd is None else valid_mask(part.array) & ~vector.odd
        for name, mask in vector.coerced:
            self._note(name, np.flatnonzero(mask & sure))
        if vector.odd is None:
            return vector.values
        rows = np.flatnonzero(vector.odd)
        values = self._convert_odd(part, rows)
        if len(values) < rows.size or not rows.size:
            return vector.values
        return pc.replace_with_mask(vector.values, pa.array(vector.odd), pa.array(values, arrow_type))

    def _convert_odd(self, part: _Part, rows: Rows) -> list[TargetValue]:
        """The odd cells through the specification; gives up when the page is lost anyhow."""
        values: list[TargetValue] = []
        coerced: dict[str, list[int]] = {}
        enough = len(self.refused) + self.refusal_limit  # of each part, so that the first of the column are among them
        for row, (value, storage) in zip(rows.tolist(), part.cells(rows), strict=True):
            outcome = convert_value(value, storage, self.target)
            if isinstance(outcome, Refused):
                self.refused.append((row, value, storage, outcome))
                if len(self.refused) >= enough:
                    break
                values.append(None)
                continue
            values.append(outcome.value)
            if outcome.rule is not None:
                coerced.setdefault(outcome.rule, []).append(row)
        for name, numbers in coerced.items():
            self._note(name, np.array(numbers, np.intp))
        return values

    def _note(self, rule: str, rows: Rows) -> None:
        if rows.size:
            self.coerced.setdefault(rule, []).append(rows)

    def _refuse_nulls(self, array: pa.Array) -> None:
        refusal = Refused("NULL in a column that is NOT NULL in the target", "correct the row in SQLite")
        nulls = ~valid_mask(array)
        nulls[[row for row, *_ in self.refused]] = False  # nothing stands there because it was refused
        for row in np.flatnonzero(nulls)[: self.refusal_limit].tolist():
            self.refused.append((row, None, StorageClass.NULL, refusal))


def coercions_of(work: ColumnWork, array: pa.Array, page: SourcePage, column: ColumnPlan) -> Iterator[Coercion]:
    for rule in sorted(work.coerced):
        rows = np.sort(np.concatenate(work.coerced[rule]))
        samples = tuple(_sample(work, array, page, row) for row in rows[:SAMPLE_COUNT].tolist())
        yield Coercion(column.source.name, rule, len(rows), samples)


def _sample(work: ColumnWork, array: pa.Array, page: SourcePage, row: int) -> tuple[str, str, str]:
    """Key, before and after of one coerced cell."""
    part = next(part for part in work.parts if part.array[row].is_valid)
    ((value, storage),) = part.cells(np.array([row], np.intp))
    return row_key(page, row), render_source(value, storage), render_target(_target_cell(array, row), work.target)


def _target_cell(array: pa.Array, row: int) -> object:
    """A target value as ``Converted`` has it: dates and times as integers, which Python's own cannot always hold."""
    scalar = array[row]
    return scalar.value if pa.types.is_temporal(array.type) else scalar.as_py()


def _refusals(
    work: ColumnWork, page: SourcePage, table: TablePlan, column: ColumnPlan
) -> Iterator[tuple[int, Refusal]]:
    for row, value, storage, refused in work.refused:
        yield row, refusal_of(page, table, column, row, value, storage, refused)
