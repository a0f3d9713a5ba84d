"""An inspection as one HTML page: nothing is loaded from anywhere, and it prints.

Invariant: every text of the source is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from etl.model import ColumnPlan, ColumnSurvey, TablePlan, TableSurvey
from etl.shell.page_frame import frame
from etl.shell.survey_words import classes_words, coercions, facts, refusals, span_words, table_line, type_words
from etl.survey_report import Inspection

_TITLES = {"lost": "Already lost, by SQLite itself", "risk": "May go wrong", "advice": "Could be better"}


def render_page(inspection: Inspection) -> str:
    """The whole document."""
    title = f"Inspection of {inspection.source}"
    return frame(title, _body(inspection, title))


def _body(inspection: Inspection, title: str) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    bad = " bad" if inspection.problems or inspection.in_the_way else ""
    yield f'<p class="verdict{bad}">{escape(inspection.verdict)}</p>'
    if inspection.is_sample:
        yield f'<p class="sample">A sample: {escape(inspection.scope)} were read.</p>'
    yield from _problems(inspection)
    for kind, heading in _TITLES.items():
        found = [remark for remark in inspection.remarks if remark.kind == kind]
        yield from _list(
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
    yield from _list("Not translated", (escape(f"{thing.kind} {thing.name}: {thing.reason}") for thing in pending))
    yield from _list("Notes", map(escape, inspection.plan.notes))


def _problems(inspection: Inspection) -> Iterator[str]:
    if inspection.in_the_way:
        yield from _list("In the way in the target", map(escape, inspection.in_the_way))
    if not inspection.problems:
        return
    yield "<h2>Stops the run</h2>"
    yield "<table><thead><tr><th>column<th>times<th>first<th>reason<th>solved by</tr></thead><tbody>"
    for problem in inspection.problems:
        yield (
            f"<tr><td><code>{escape(problem.table)}.{escape(problem.column)}</code>"
            f'<td class="number">{problem.count:,}<td class="value">{escape(problem.key)}'
            f'<td class="value">{escape(problem.reason)}<td><code>{escape(problem.hint)}</code></tr>'
        )
    yield "</tbody></table>"


def _table(plan: TablePlan, survey: TableSurvey, schema: str) -> Iterator[str]:
    yield f"<h2>{escape(table_line(plan, survey, schema))}</h2>"
    yield "<table><thead><tr><th>column<th>declared<th>becomes<th>NULL<th>stored<th>from … to</tr></thead><tbody>"
    for plan_column, column in zip(plan.columns, survey.columns, strict=True):
        yield _row(plan_column, column, survey.rows)
    yield "</tbody></table>"


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


def _list(heading: str, items: Iterable[str]) -> Iterator[str]:
    listed = [f"<li>{item}</li>" for item in items]
    if listed:
        yield f"<h2>{escape(heading)}</h2><ul>{''.join(listed)}</ul>"
