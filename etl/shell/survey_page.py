"""An inspection as one HTML page: nothing is loaded from anywhere, and it prints.

Invariant: every text of the source is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from etl.model import ColumnPlan, ColumnSurvey, Problem, TablePlan, TableSurvey
from etl.shell.page_frame import frame, listed, tabled
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
from etl.shell.units import count
from etl.survey_report import Inspection

_TITLES = {"lost": "Already lost, by SQLite itself", "risk": "May go wrong", "advice": "Could be better"}


def render_page(inspection: Inspection) -> str:
    """The whole document."""
    title = f"Inspection of {inspection.source}"
    is_good = not inspection.problems and not inspection.in_the_way
    return frame(title, inspection.verdict, is_good, _body(inspection))


def _body(inspection: Inspection) -> Iterator[str]:
    if inspection.is_sample:
        yield f'<p class="sample">A sample: {escape(inspection.scope)} were read.</p>'
    yield from _problems(inspection)
    for kind, heading in _TITLES.items():
        found = [remark for remark in inspection.remarks if remark.kind == kind]
        yield from listed(
            heading,
            (
                f"<code>{escape(remark.table)}.{escape(remark.column)}</code>: {escape(remark.text)}"
                + (f" — <code>{escape(remark.hint)}</code>" if remark.hint else "")
                for remark in found
            ),
        )
    for plan, survey in zip(inspection.plan.tables, inspection.surveys, strict=True):
        yield from _table(plan, survey, inspection.plan.schema)
    pending = [thing for thing in inspection.plan.untranslated if thing.needs_attention]
    yield from listed("Not translated", (escape(f"{thing.kind} {thing.name}: {thing.reason}") for thing in pending))
    yield from listed("Notes", map(escape, inspection.plan.notes))


def _problems(inspection: Inspection) -> Iterator[str]:
    if inspection.in_the_way:
        yield from listed("In the way in the target", map(escape, inspection.in_the_way))
    yield from _problem_table("Stops the run", inspection.problems)
    yield from _problem_table("May stop the run, as only the server can tell", inspection.uncertain)


def _problem_table(heading: str, problems: Sequence[Problem]) -> Iterator[str]:
    if not problems:
        return
    yield f"<h2>{heading}</h2>"
    rows = (
        f"<tr><td><code>{escape(problem.table)}.{escape(problem.column)}</code>"
        f'<td class="number">{count(problem.count) if problem.count else ""}<td class="value">{escape(problem.key)}'
        f'<td class="value">{escape(problem.reason)}<td><code>{escape(problem.hint)}</code></tr>'
        for problem in problems
    )
    yield from tabled(("column", "times", "first", "reason", "solved by"), rows)


def _table(plan: TablePlan, survey: TableSurvey, schema: str) -> Iterator[str]:
    yield f"<h2>{escape(table_line(plan, survey, schema))}</h2>"
    pairs = zip(plan.columns, survey.columns, strict=True)
    yield from tabled(HEADINGS, (_row(*pair, survey.rows) for pair in pairs))


def _row(plan: ColumnPlan, survey: ColumnSurvey, rows: int) -> str:
    said = [escape(line) for line in facts(plan, survey)]
    said += [f"coerced, {escape(line)}" for line in coercions(survey)]
    said += [
        f'<span class="refused">refused: {escape(line)}</span> — <code>{escape(hint)}</code>'
        for line, hint in refusals(survey)
    ]
    more = f"<ul>{''.join(f'<li>{line}</li>' for line in said)}</ul>" if said else ""
    return (
        f"<tr><td><code>{escape(survey.name)}</code><td>{escape(plan.source.declared or 'no type')}"
        f'<td>{escape(type_words(plan))}<td class="number">{rows - survey.value_count:,}'
        f'<td>{escape(classes_words(survey))}<td><span class="value">{escape(span_words(survey))}</span>{more}</tr>'
    )
