"""The report of a move as plain text: the whole of stdout."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from etl.move.move_report import MoveReport
from etl.move.step_outcome import DONE, FAILED, NOT_ASKED, NOT_REACHED, SKIPPED, StepOutcome
from etl.redaction import mask_dsn
from etl.shell.closing import render
from etl.shell.units import duration

MARKS = {DONE: "✓", SKIPPED: "-", FAILED: "✗", NOT_REACHED: " "}
LONGEST_LIST = 40


def render_move(report: MoveReport) -> str:
    """The whole text, without a trailing newline."""
    width = shutil.get_terminal_size(fallback=(160, 24)).columns
    parts = [
        f"move {report.source} → {mask_dsn(report.target) or 'the target of the PG* variables'}  ({report.plan})",
        *(_step(step) for step in report.steps if step.state != NOT_ASKED),
        render(report.transfer, width) if report.transfer is not None else "",
        _intentions(report),
        _originals(report),
        "\n".join(report.way_back),
        report.verdict,
    ]
    return "\n\n".join(part for part in parts if part)


def _step(step: StepOutcome) -> str:
    took = f"  {duration(step.seconds)}" if step.seconds else ""
    head = f"{MARKS[step.state]} {step.name}: {step.state}{took}"
    return "\n".join([head, *_indented(step.lines)])


def _indented(lines: Iterable[str]) -> list[str]:
    every = [f"    {line}" for text in lines for line in text.splitlines()]
    rest = len(every) - LONGEST_LIST
    return every if rest <= 0 else [*every[:LONGEST_LIST], f"    … and {rest:,} more lines, all of them in --report"]


def _intentions(report: MoveReport) -> str:
    return "\n".join(["would be done:", *(f"    {line}" for line in report.intentions)]) if report.intentions else ""


def _originals(report: MoveReport) -> str:
    changed = [original.path for original in report.originals if not original.is_unchanged]
    if changed:
        return "\n".join(["ORIGINALS THAT CHANGED while the move ran:", *(f"    {path}" for path in changed)])
    if not report.originals:
        return ""
    return f"originals: {len(report.originals)} are byte for byte as they were (SHA-256 before and after in --report)"
