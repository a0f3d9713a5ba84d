"""The report of a move as one HTML page.

Invariant: every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from etl.errors import ExitStatus
from etl.move.move_report import MoveReport
from etl.move.originals import Original
from etl.move.step_outcome import NOT_ASKED, StepOutcome
from etl.redaction import mask_dsn
from etl.report import TableOutcome, outcomes
from etl.shell.page_frame import frame, listed, tabled
from etl.shell.units import count, duration


def render_move_page(report: MoveReport) -> str:
    """The whole document."""
    title = f"Move of {report.source}"
    return frame(title, report.verdict, report.status is ExitStatus.DONE, _body(report))


def _body(report: MoveReport) -> Iterator[str]:
    if report.failure is not None:
        hint = f" — <code>{escape(report.failure.hint)}</code>" if report.failure.hint else ""
        yield f'<p class="refused">{escape(report.failure.message)}{hint}</p>'
    yield f"<p>Plan <code>{escape(report.plan)}</code>, target <code>{escape(mask_dsn(report.target))}</code></p>"
    for step in (step for step in report.steps if step.state != NOT_ASKED):
        yield from _step(step)
    yield from _tables(report)
    yield from _originals(report)
    for heading, lines in (("Would be done", report.intentions), ("The way back", report.way_back)):
        yield from listed(heading, map(escape, lines))


def _step(step: StepOutcome) -> Iterator[str]:
    took = f", {duration(step.seconds)}" if step.seconds else ""
    yield f"<h2>{escape(step.name)}: {escape(step.state)}{took}</h2>"
    if step.lines:
        yield '<ul class="value">'
        yield from (f"<li>{escape(line)}" for line in step.lines)
        yield "</ul>"


def _tables(report: MoveReport) -> Iterator[str]:
    if report.transfer is None:
        return
    yield "<h2>Tables</h2>"
    yield from tabled(("table", "rows", "coerced", "checksum", "verdict"), map(_table_row, outcomes(report.transfer)))


def _table_row(outcome: TableOutcome) -> str:
    coerced = sum(coercion.count for coercion in outcome.coercions)
    checksum = outcome.verified.source_checksum or "" if outcome.verified is not None else ""
    return (
        f"<tr><td>{escape(outcome.name)}"
        f'<td class="number">{count(outcome.source_rows or 0)}<td class="number">{count(coerced)}'
        f'<td class="value">{checksum}<td>{escape(outcome.verdict.value)}</tr>'
    )


def _originals(report: MoveReport) -> Iterator[str]:
    if not report.originals:
        return
    yield "<h2>Originals</h2>"
    yield from tabled(("path", "SHA-256", "after"), map(_original_row, report.originals))


def _original_row(original: Original) -> str:
    after = "the same" if original.is_unchanged else f'<span class="refused">{escape(original.after)}</span>'
    return f'<tr><td>{escape(original.path)}<td class="value">{original.before}<td>{after}</tr>'
