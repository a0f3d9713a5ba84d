"""Whole columns by vector rules; the odd cells one by one through ``values``, and filled back.

Invariant: a page is converted as if every cell had gone through ``convert_value``: same outcome, same value, same rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import RefusedValueError
from etl.model import (
    PLAIN_READING,
    Coercion,
    ColumnPlan,
    PgType,
    Reading,
    Refusal,
    SourcePage,
    StorageClass,
    TablePlan,
    TargetPage,
)
from etl.transform.rows.arrow_types import target_arrow_type, underlying
from etl.transform.rows.buffers import BoolMask, Rows, empty_cells, only, valid_mask
from etl.transform.rows.outcomes import Outcome, Refused, TargetValue
from etl.transform.rows.parts import Part, parts_of
from etl.transform.rows.rendering import SourceValue, render_source, render_target
from etl.transform.rows.row_names import refusal_of, row_key, row_keys
from etl.transform.rows.values import convert_value, is_nullable_when_empty
from etl.transform.rows.vector_rules import vector_rule

__all__ = ["ColumnWork", "coerce_page", "coercions_of", "parts_of", "target_arrow_type"]

SAMPLE_COUNT = 5  # of each rule in each column
REFUSAL_COUNT = 20  # of each column of a page: enough to see what is wrong with it


def coerce_page(page: SourcePage, table: TablePlan, sample_count: int | None = SAMPLE_COUNT) -> TargetPage:
    """Convert a page to the types of its target, every cell exactly or by a named rule.

    Of each rule at work in a column ``sample_count`` values are shown with before and after; None shows all.

    Raises RefusedValueError with what the target types cannot hold, in the order of the rows, at most 20 a column.
    """
    arrays: list[pa.Array] = []
    coercions: list[Coercion] = []
    refused: list[tuple[int, Refusal]] = []
    for values, column in zip(page.columns, table.columns, strict=True):
        work = ColumnWork(parts_of(values, column.type), column.type, page.row_count, REFUSAL_COUNT, column.reading)
        array = work.convert(not_null=column.not_null)
        arrays.append(array)
        refused.extend(_refusals(work, page, table, column))
        if not refused:
            coercions.extend(coercions_of(work, array, page, column, sample_count))
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


@dataclass(slots=True)
class ColumnWork:
    """One column on its way: what was coerced where, and what was refused (of which ``refusal_limit`` are kept)."""

    parts: list[Part]
    target: PgType
    row_count: int
    refusal_limit: int
    reading: Reading = PLAIN_READING
    coerced: dict[str, list[Rows]] = field(default_factory=dict)
    refused: list[tuple[int, SourceValue, StorageClass, Refused]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.target = underlying(self.target)

    def convert(self, *, not_null: bool) -> pa.Array:
        """The converted column; meaningless where something was refused."""
        arrow_type = target_arrow_type(self.target)
        arrays = [self._convert_part(part, arrow_type) for part in self.parts]
        if not arrays:
            array = pa.nulls(self.row_count, arrow_type)
        else:
            array = arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)
        if self.reading.null_as is not None and array.null_count:
            array = self._fill_nulls(array, self.reading.null_as)
        if not_null and array.null_count and len(self.refused) < self.refusal_limit:
            self._refuse_nulls(array)
        self.refused = sorted(self.refused, key=lambda refused: refused[0])[: self.refusal_limit]
        return array

    def _convert_part(self, part: Part, arrow_type: pa.DataType) -> pa.Array:
        array = self._without_empty(part)
        vector = vector_rule(part.storage, self.target, self.reading)(array, self.target, arrow_type)
        if vector.coerced:
            sure = valid_mask(array) if vector.odd is None else valid_mask(array) & ~vector.odd
            for name, mask in vector.coerced:
                self._note(name, np.flatnonzero(mask & sure))
        if vector.odd is None:
            return vector.values
        rows = np.flatnonzero(vector.odd)
        values = self._convert_odd(part, rows) if rows.size else []
        if len(values) < rows.size or not rows.size:
            return vector.values
        return pc.replace_with_mask(vector.values, pa.array(vector.odd), pa.array(values, arrow_type))

    def _without_empty(self, part: Part) -> pa.Array:
        """The part's cells, those that are '' as NULL where the user wants it so (``empty-null``)."""
        if not self.reading.empty_as_null or part.storage is not StorageClass.TEXT:
            return part.array
        empty = empty_cells(part.array) if is_nullable_when_empty(self.target) else None
        if empty is None:
            return part.array
        self._note("empty-null", np.flatnonzero(empty))
        return only(part.array, ~empty)

    def _convert_odd(self, part: Part, rows: Rows) -> list[TargetValue]:
        """The odd cells through the specification; gives up when the page is lost anyhow."""
        values: list[TargetValue] = []
        coerced: dict[str, list[int]] = {}
        enough = len(self.refused) + self.refusal_limit  # of each part, so that the first of the column are among them
        # What is odd in a column repeats: 'N/A', '', the same date. Not so of REAL, where 0.0 and -0.0 are one key.
        known: dict[SourceValue, Outcome] | None = None if part.storage is StorageClass.REAL else {}
        for row, (value, storage) in zip(rows.tolist(), part.cells(rows), strict=True):
            outcome = None if known is None else known.get(value)
            if outcome is None:
                outcome = convert_value(value, storage, self.target, self.reading)
                if known is not None:
                    known[value] = outcome
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

    def _fill_nulls(self, array: pa.Array, text: str) -> pa.Array:
        """The column with the value of ``text`` where it would be NULL (``owner-backfilled``)."""
        nulls = self._nulls(array)
        outcome = convert_value(text.encode(), StorageClass.TEXT, self.target, self.reading)
        if isinstance(outcome, Refused):
            rows = np.flatnonzero(nulls)[: self.refusal_limit].tolist()
            self.refused += [(row, None, StorageClass.NULL, outcome) for row in rows]
            return array
        self._note("owner-backfilled", np.flatnonzero(nulls))
        return pc.if_else(pa.array(nulls), pa.array([outcome.value], array.type)[0], array)

    def _nulls(self, array: pa.Array) -> BoolMask:
        """Where NULL stands, but for the cells that are empty because they were refused."""
        nulls = ~valid_mask(array)
        nulls[[row for row, *_ in self.refused]] = False
        return nulls

    def _refuse_nulls(self, array: pa.Array) -> None:
        nulls = self._nulls(array)
        for row in np.flatnonzero(nulls)[: self.refusal_limit].tolist():
            value, storage = self.source_cell(row)
            what = "NULL" if value is None else f"{render_source(value, storage)}, which becomes NULL,"
            refusal = Refused(f"{what} in a column that is NOT NULL in the target", "correct the row in SQLite")
            self.refused.append((row, value, storage, refusal))

    def source_cell(self, row: int) -> tuple[SourceValue, StorageClass]:
        """A cell as SQLite has it."""
        for part in self.parts:
            if part.array[row].is_valid:
                return next(part.cells(np.array([row], np.intp)))
        return None, StorageClass.NULL

    def source_cells(self, rows: Rows) -> list[tuple[SourceValue, StorageClass]]:
        """Some cells as SQLite has them."""
        cells: list[tuple[SourceValue, StorageClass]] = [(None, StorageClass.NULL)] * rows.size
        for part in self.parts:
            places = np.flatnonzero(valid_mask(part.array)[rows])
            for place, cell in zip(places.tolist(), part.cells(rows[places]), strict=True):
                cells[place] = cell
        return cells


def coercions_of(
    work: ColumnWork, array: pa.Array, page: SourcePage, column: ColumnPlan, sample_count: int | None = SAMPLE_COUNT
) -> Iterator[Coercion]:
    for rule in sorted(work.coerced):
        rows = np.sort(np.concatenate(work.coerced[rule]))
        yield Coercion(column.source.name, rule, len(rows), tuple(_samples(work, array, page, rows[:sample_count])))


def _samples(work: ColumnWork, array: pa.Array, page: SourcePage, rows: Rows) -> Iterator[tuple[str, str, str]]:
    """Key, before and after of coerced cells: all of a page, where somebody logs them."""
    cells = zip(row_keys(page, rows), work.source_cells(rows), _target_cells(array, rows), strict=True)
    for key, (value, storage), after in cells:
        yield key, render_source(value, storage), render_target(after, work.target)


def _target_cells(array: pa.Array, rows: Rows) -> Iterator[object]:
    """Target values as ``Converted`` has them: dates and times as integers, which Python's own cannot always hold."""
    is_temporal = pa.types.is_temporal(array.type)
    return (scalar.value if is_temporal else scalar.as_py() for scalar in array.take(pa.array(rows)))


def _refusals(
    work: ColumnWork, page: SourcePage, table: TablePlan, column: ColumnPlan
) -> Iterator[tuple[int, Refusal]]:
    for row, value, storage, refused in work.refused:
        yield row, refusal_of(page, table, column, row, value, storage, refused)
