"""What of a survey stops the run, and what a user wants to know although it does not.

Invariant: a table without a problem here loads, and one with a problem does not (tests/property/test_inspection.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence

from etl.counted_nouns import counted
from etl.model import (
    Affinity,
    ColumnPlan,
    ColumnSurvey,
    LoadedTable,
    Orphans,
    Problem,
    Remark,
    Span,
    StorageClass,
    TablePlan,
    TableSurvey,
)
from etl.table_keys import LARGEST_INDEX_ENTRY, SURELY_SMALL_ENTRY, all_keys, columns_of, list_orphans
from etl.transform.rows.epochs import WINDOWS, likely_epoch
from etl.transform.rows.extremes import is_early

CAST_NOTE = "as --cast says"
TEXTS = frozenset({"text", "varchar", "char"})
TIME_WORDS = ("date", "time", "_at", "stamp", "created", "updated", "modified", "when")


def problems_of(
    tables: Sequence[TablePlan], surveys: Sequence[TableSurvey], orphans: Iterable[Orphans]
) -> tuple[Problem, ...]:
    """Everything that stops a run under this plan, in the order of the plan."""
    created = {
        (table.source.name, tuple(_source_name(table, name) for name in key.columns))
        for table in tables
        for key in table.foreign_keys
    }
    refused = (
        Problem(survey.name, column.name, values.count, values.first.reason, values.first.key, values.first.hint)
        for survey in surveys
        for column in survey.columns
        for values in column.refused
    )
    lonely = (
        Problem(
            lost.table,
            ", ".join(lost.columns),
            lost.count,
            f"has no parent in {lost.parent}, so that the foreign key cannot be created",
            lost.first_key,
            f"correct or delete these rows (`{list_orphans(lost.table)}` lists them), or set"
            " --orphans reject or --orphans not-valid",
        )
        for lost in orphans
        if (lost.table, lost.columns) in created
    )
    return (*refused, *lonely)


def remarks_of(tables: Sequence[TablePlan], surveys: Sequence[TableSurvey]) -> tuple[Remark, ...]:
    """What SQLite has lost already, what may still go wrong, and what could be better."""
    by_name = {survey.name: survey for survey in surveys}
    return tuple(
        remark
        for table in tables
        if table.source.name in by_name
        for column in table.columns
        for survey in [by_name[table.source.name]]
        for remark in _remarks(table, column, survey.column(column.source.name), survey.complete)
    )


def _remarks(table: TablePlan, column: ColumnPlan, survey: ColumnSurvey, complete: bool) -> Iterator[Remark]:
    place = (table.source.name, column.source.name)
    if lost := _already_lost(column, survey):
        yield Remark("lost", *place, lost)
    yield from (Remark("risk", *place, text, hint) for text, hint in _early_epochs(table, column, survey))
    if not complete:  # of all rows it is known, and no risk
        yield from (Remark("risk", *place, text, hint) for text, hint in _key_risks(table, column, survey))
    yield from (
        Remark("advice", *place, text, f"--cast {shlex.quote('.'.join(place) + '=' + cast)}")
        for text, cast in _advice(column, survey)
    )


def _already_lost(column: ColumnPlan, survey: ColumnSurvey) -> str | None:
    """NUMERIC affinity turns text that looks like a number into a number when it is written."""
    numbers = survey.census.classes[StorageClass.INTEGER] + survey.census.classes[StorageClass.REAL]
    by_declaration = column.source.affinity is Affinity.NUMERIC and not column.reading.how
    if not numbers or not by_declaration or column.type.name not in TEXTS | {"uuid", "jsonb", "json", "date", "time"}:
        return None
    declared = column.source.declared
    return (
        f"{counted(numbers, 'value is a number', plural='values are numbers')} although the column is declared"
        f" {declared}: SQLite itself stores '007' as 7 "
        "there, and what it changed is not in the file any more"
    )


def _early_epochs(table: TablePlan, column: ColumnPlan, survey: ColumnSurvey) -> Iterator[tuple[str, str]]:
    rules = {coercion.rule for coercion in survey.coercions}
    if (column.reading.how or "") in survey.census.epochs and (
        text := early_epoch(table, column, survey.converted, rules)
    ):
        yield text


def _key_risks(table: TablePlan, column: ColumnPlan, survey: ColumnSurvey) -> Iterator[tuple[str, str]]:
    """What the first rows of a table show of its keys."""
    longest = survey.census.longest_bytes
    keys = [index for index in all_keys(table) if column.name in columns_of(table, index)]
    if keys and longest > SURELY_SMALL_ENTRY:
        yield (
            f"the longest value has {longest:,} bytes; an index entry of PostgreSQL holds {LARGEST_INDEX_ENTRY:,} after"
            " compression",
            "drop the index, leave all of them out with --no-indexes, or set such rows aside with --on-error reject",
        )
    if survey.coercions and any(index.unique for index in keys):
        named = ", ".join(coercion.rule for coercion in survey.coercions)
        yield (
            f"a key whose values are coerced ({named}): two of them may become the same",
            "without --sample, inspect says which",
        )


def early_epoch(
    table: TablePlan, column: ColumnPlan, span: Span | None, rules: Collection[str]
) -> tuple[str, str] | None:
    """What makes the unit of a column of numbers doubtful, and the cast that would mend it."""
    if not is_early(span) or span is None or "epoch-zero" in rules:
        return None
    return (
        f"read as {column.reading.how}, the values begin in {span.low[:4]}",
        f"if they count from 2001: --cast {table.source.name}.{column.source.name}={column.type}:epoch-2001",
    )


def load_warnings(table: TablePlan, loaded: LoadedTable) -> tuple[str, ...]:
    """What a load has seen that may be wrong: numbers that were taken for dates, and begin too early for it."""
    return tuple(
        f"{table.source.name}.{column.source.name}: {': '.join(text)}"
        for column in table.columns
        if (column.reading.how or "") in {reading for *_, reading in WINDOWS} and column.note != CAST_NOTE
        for rules in [{coercion.rule for coercion in loaded.coercions if coercion.column == column.source.name}]
        if (text := early_epoch(table, column, loaded.spans.get(column.source.name), rules))
    )


def _advice(column: ColumnPlan, survey: ColumnSurvey) -> Iterator[tuple[str, str]]:
    """Casts that fit what was seen; nobody decides them but the user."""
    census = survey.census
    if column.decided and column.note == CAST_NOTE:
        return
    if census.looks_like and column.type.name in TEXTS:
        yield f"the first texts all look like {census.looks_like}", census.looks_like
    low, high = census.low_integer, census.high_integer
    if column.type.name not in {"smallint", "integer", "bigint"} or low is None or high is None or survey.refused:
        return
    how = likely_epoch(low)
    named = any(word in column.source.name.lower() for word in TIME_WORDS)
    if how is not None and how == likely_epoch(high) and named:
        yield f"every value lies where {how} does, from {low} to {high}", f"timestamptz:{how}"
    if "(1)" in column.source.declared and (low, high) == (0, 1):
        yield "every value is 0 or 1", "boolean"


def _source_name(table: TablePlan, target: str) -> str:
    return next(column.source.name for column in table.columns if column.name == target)
