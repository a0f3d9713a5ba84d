"""What a survey says of a column, in words: the same for the terminal and for the page.

Invariant: every fact of the census that is not trivial is said, and every coercion and refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.counted_nouns import counted
from etl.model import ColumnPlan, ColumnSurvey, Spelling, StorageClass, TablePlan, TableSurvey
from etl.shell.units import count, size

HEADINGS = ("column", "declared", "becomes", "NULL", "stored", "from … to")
MOST_FORMS = 6
MANY_DECIMALS = 9  # as the survey counts: so many or more
_NAMES = {
    StorageClass.INTEGER: "integer",
    StorageClass.REAL: "real",
    StorageClass.TEXT: "text",
    StorageClass.BLOB: "blob",
}


def table_line(plan: TablePlan, survey: TableSurvey, schema: str) -> str:
    """The table, its size, its key and what becomes of it."""
    key = ", ".join(plan.source.primary_key) or "none"
    rows = counted(survey.rows, "row") if survey.complete else f"the first {counted(survey.rows, 'row')}"
    return f"{survey.name}: {rows}, {size(survey.source_bytes)}, key {key}, becomes {schema}.{plan.name}"


def type_words(plan: ColumnPlan) -> str:
    """``timestamp:epoch-s not null``."""
    how = f":{plan.reading.how}" if plan.reading.how else ""
    identity = " identity" if plan.identity else ""
    return f"{plan.type}{how}{identity}{' not null' if plan.not_null and not plan.identity else ''}"


def classes_words(survey: ColumnSurvey) -> str:
    """What SQLite stores: ``98 text, 2 integer``; no values at all: ``-``."""
    classes = survey.census.classes
    told = [f"{count(classes[storage])} {name}" for storage, name in _NAMES.items() if classes.get(storage)]
    return ", ".join(told) or "-"


def span_words(survey: ColumnSurvey) -> str:
    """The smallest and the largest value, as stored; of dates as they become."""
    census = survey.census
    spans = [survey.converted] if survey.converted else [census.numbers, census.texts]
    return "; ".join(f"{span.low} … {span.high}" if span.low != span.high else span.low for span in spans if span)


def facts(plan: ColumnPlan, survey: ColumnSurvey) -> Iterator[str]:
    """What else is known of the values, a line each."""
    census = survey.census
    if plan.note:
        yield plan.note
    if census.longest_characters > 1:
        yield f"longest text: {counted(census.longest_characters, 'character')}"
    if census.longest_bytes > 1 and census.longest_bytes != census.longest_characters:
        yield f"longest value: {counted(census.longest_bytes, 'byte')}"
    if census.digits_after or (plan.type.name == "numeric" and census.digits_before):
        after = f"{census.digits_after}{' or more' if census.digits_after == MANY_DECIMALS else ''}"
        yield f"digits before and after the point: {census.digits_before} and {after}"
    if census.dates:
        yield f"written as {_forms(census.dates)}"
    if census.uuids:
        yield f"written in {_forms(census.uuids)}"
    if census.epochs:
        told = ", ".join(f"{count(number)} {how}" for how, number in census.epochs.items())
        yield f"numbers by the window that tells their unit: {told}"
    if census.with_nul:
        yield f"{counted(census.with_nul, 'text')} with a NUL character"
    if census.not_utf8:
        yield f"{counted(census.not_utf8, 'text')} with bytes that are not UTF-8"


def coercions(survey: ColumnSurvey) -> Iterator[str]:
    """The named rules at work, with the first sample."""
    for coercion in survey.coercions:
        line = f"{coercion.rule}: {counted(coercion.count, 'value')}"
        if coercion.samples:
            key, before, after = coercion.samples[0]
            line += f", first {key}: {before} → {after}"
        yield line


def refusals(survey: ColumnSurvey) -> Iterator[tuple[str, str]]:
    """What is refused, and what solves it."""
    for values in survey.refused:
        yield f"{counted(values.count, 'value')}, first {values.first.key}: {values.first.reason}", values.first.hint


def _forms(spellings: Sequence[Spelling]) -> str:
    told = [f"{spelling.form} ({count(spelling.count)}, {spelling.sample})" for spelling in spellings[:MOST_FORMS]]
    left = spellings[MOST_FORMS:]
    if left:
        told.append(f"{len(left)} other ways ({count(sum(spelling.count for spelling in left))})")
    return ", ".join(told)
