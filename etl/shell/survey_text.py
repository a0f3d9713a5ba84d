"""An inspection as plain text for a person: the whole of stdout of ``etl inspect``.

Invariant: it needs no terminal and no colours, and says of a sample that it is one, at the beginning and at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.counted_nouns import counted
from etl.model import Problem, TablePlan, TableSurvey
from etl.shell.survey_words import (
    HEADINGS,
    classes_words,
    coercions,
    facts,
    refusals,
    span_words,
    table_line,
    type_words,
)
from etl.survey_report import Inspection

_TITLES = {
    "lost": "already lost, by SQLite itself",
    "risk": "may go wrong",
    "advice": "could be better",
}


def render_survey(inspection: Inspection) -> str:
    """The whole text, without a trailing newline."""
    pairs = zip(inspection.plan.tables, inspection.surveys, strict=True)
    parts = [
        _head(inspection),
        *("\n".join(_table(plan, survey, inspection.plan.schema)) for plan, survey in pairs),
        *("\n".join(part) for part in (_remarks(inspection), _untranslated(inspection), _notes(inspection)) if part),
        "\n".join(_problems(inspection)),
        f"verdict: {inspection.verdict}",
    ]
    return "\n\n".join(part for part in parts if part)


def _head(inspection: Inspection) -> str:
    tables = counted(len(inspection.surveys), "table")
    line = f"{inspection.source}: {tables}, {counted(inspection.rows, 'row')} read"
    return f"{line}\nA SAMPLE: {inspection.scope} were read" if inspection.is_sample else line


def _table(plan: TablePlan, survey: TableSurvey, schema: str) -> Iterator[str]:
    yield table_line(plan, survey, schema)
    rows = [
        (
            column.name or "''",
            plan_column.source.declared or "no type",
            type_words(plan_column),
            f"{survey.rows - column.value_count:,}",
            classes_words(column),
            span_words(column),
        )
        for plan_column, column in zip(plan.columns, survey.columns, strict=True)
    ]
    widths = [max(len(row[place]) for row in (HEADINGS, *rows)) for place in range(len(HEADINGS))]
    yield _line(HEADINGS, widths)
    yield "  " + "  ".join("─" * width for width in widths)
    for row, plan_column, column in zip(rows, plan.columns, survey.columns, strict=True):
        yield _line(row, widths)
        yield from (f"      {line}" for line in facts(plan_column, column))
        yield from (f"    ~ {line}" for line in coercions(column))
        for line, hint in refusals(column):
            yield f"    ✗ REFUSED {line}"
            yield f"      solved by: {hint}"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        cell.rjust(width) if place == 3 else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"  {'  '.join(cells)}".rstrip()


def _remarks(inspection: Inspection) -> list[str]:
    lines = []
    for kind, title in _TITLES.items():
        found = [remark for remark in inspection.remarks if remark.kind == kind]
        if found:
            lines.append(f"{title}:")
        for remark in found:
            hint = f" ({remark.hint})" if remark.hint else ""
            lines.append(f"  {remark.table}.{remark.column}: {remark.text}{hint}")
    return lines


def _untranslated(inspection: Inspection) -> list[str]:
    pending = [thing for thing in inspection.plan.untranslated if thing.needs_attention]
    return (
        ["not translated, left for you:", *(f"  {thing.kind} {thing.name}: {thing.reason}" for thing in pending)]
        if pending
        else []
    )


def _notes(inspection: Inspection) -> list[str]:
    return [f"note: {note}" for note in inspection.plan.notes]


def _problems(inspection: Inspection) -> Iterator[str]:
    yield from _listed_problems("stops the run:", inspection.problems)
    yield from _listed_problems("may stop the run, as only the server can tell:", inspection.uncertain)
    if inspection.in_the_way:
        yield f"in the way in the target ({inspection.target}): {', '.join(inspection.in_the_way)}"
        yield "  solved by: --force or --keep for tables with rows; --mode replace; or another --target-schema"


def _listed_problems(heading: str, problems: Sequence[Problem]) -> Iterator[str]:
    if problems:
        yield heading
    for problem in problems:
        first = f", first {problem.key}" if problem.key else ""
        times = f"{counted(problem.count, 'time')}{first}: " if problem.count else ""
        yield f"  {problem.table}.{problem.column}: {times}{problem.reason}"
        yield f"    solved by: {problem.hint}"
