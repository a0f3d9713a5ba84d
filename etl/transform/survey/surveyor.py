"""Survey one table page by page: what its columns hold, and what the plan would make of them.

Invariant: memory does not grow with the rows; every value that the load would coerce or refuse is counted as that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import pyarrow as pa

from etl.model import (
    ColumnPlan,
    ColumnSurvey,
    PlainColumn,
    RefusedValues,
    SourcePage,
    SourceValues,
    SplitColumn,
    TablePlan,
    TableSurvey,
)
from etl.transform.rows.extremes import TEMPORAL, extremes, rendered, wider
from etl.transform.rows.tally import Tally
from etl.transform.survey.facts import ColumnFacts
from etl.transform.survey.trial import MOST_REASONS, Trial, try_column

INTEGERS = frozenset({"smallint", "integer", "bigint"})


class Surveyor:
    """Takes page after page of a table; ``result`` is the survey of what it was given."""

    def __init__(self, table: TablePlan) -> None:
        self.table = table
        self.rows = 0
        self.source_bytes = 0
        self._columns = [_Column(column) for column in table.columns]

    def add(self, page: SourcePage) -> None:
        """Count one page in."""
        for values, column in zip(page.columns, self._columns, strict=True):
            column.add(values, page, self.table)
        self.rows += page.row_count
        self.source_bytes += page.source_bytes

    def result(self, seconds: float, *, complete: bool) -> TableSurvey:
        """What was found; ``complete`` says whether the pages were the whole table."""
        return TableSurvey(
            name=self.table.source.name,
            rows=self.rows,
            source_bytes=self.source_bytes,
            seconds=seconds,
            complete=complete,
            columns=tuple(column.result() for column in self._columns),
        )


class _Column:
    def __init__(self, plan: ColumnPlan) -> None:
        self._plan = plan
        self._facts = ColumnFacts(plan)
        self._tally = Tally()
        self._refused: dict[tuple[str, str], RefusedValues] = {}
        self._span: tuple[int, int] | None = None  # of the target's values

    def add(self, values: SourceValues, page: SourcePage, table: TablePlan) -> None:
        self._facts.add(values, page.row_count)
        trial = try_column(values, page, table, self._plan)
        self._tally.add(trial.coercions)
        self._note_refused(trial.refused)
        self._widen(trial)

    def _note_refused(self, found: Iterable[RefusedValues]) -> None:
        for values in found:
            kind = (values.first.storage.value, values.first.hint)
            if kind not in self._refused and len(self._refused) >= MOST_REASONS:
                kind = next(reversed(self._refused))
            known = self._refused.get(kind, replace(values, count=0))
            self._refused[kind] = replace(known, count=known.count + values.count)

    def _widen(self, trial: Trial) -> None:
        name = self._plan.type.name
        if (name not in TEMPORAL and name not in INTEGERS) or trial.array.null_count == len(trial.array):
            return
        if pa.types.is_string(trial.array.type):  # a type that travels as text
            return
        self._span = wider(self._span, extremes(trial.array))

    def result(self) -> ColumnSurvey:
        temporal = self._plan.type.name in TEMPORAL
        return ColumnSurvey(
            name=self._plan.source.name,
            census=self._facts.census(),
            coercions=self._tally.coercions(),
            refused=tuple(self._refused.values()),
            converted=rendered(self._span, self._plan.type) if temporal and self._span else None,
            converted_integers=None if temporal else self._span,
        )


def head(page: SourcePage, rows: int) -> SourcePage:
    """The first rows of a page."""
    if page.row_count <= rows:
        return page
    return replace(
        page,
        row_count=rows,
        columns=tuple(_head_of(values, rows) for values in page.columns),
        keys=tuple(key.slice(0, rows) for key in page.keys),
        source_bytes=page.source_bytes * rows // page.row_count,
    )


def _head_of(values: SourceValues, rows: int) -> SourceValues:
    if isinstance(values, PlainColumn):
        return replace(values, array=values.array.slice(0, rows))
    return SplitColumn(*(part.slice(0, rows) for part in (values.integers, values.reals, values.texts, values.blobs)))


def merge_surveys(whole: TableSurvey, again: TableSurvey, changed: Collection[str]) -> TableSurvey:
    """The survey with what a second one, under another plan, says of the columns that changed.

    The census of the first stays: it does not depend on the plan, but for the questions that only the first asked.
    """
    second = {column.name: column for column in again.columns}
    return replace(
        whole,
        seconds=whole.seconds + again.seconds,
        columns=tuple(
            replace(second[column.name], census=column.census) if column.name in changed else column
            for column in whole.columns
        ),
    )
