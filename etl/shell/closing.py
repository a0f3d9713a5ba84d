"""The closing table and what goes with it, as plain text for a person: the whole of stdout.

Invariant: the text says everything that a user must know to trust or distrust the run, and nothing else; it needs no
terminal and no colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from etl.counted_nouns import counted, some
from etl.errors import ExitStatus
from etl.model import Difference, Proof, Verdict
from etl.report import Report, TableOutcome, outcomes, verdict
from etl.shell.units import count, duration, short_count, size

_HEADINGS = ("table", "rows", "bytes", "time", "rows/s", "coerced", "rejected", "checksum", "verdict")
_LEFT = (0, 7, 8)  # columns of words; the others are of figures and lean right
_LONGEST_NAME = 28
_LONGEST_VALUE = 60
_LONGEST_DEFINITION = 400  # of a schema object: what differs often stands at its end
_LISTED_DIFFERENCES = 20


def render(report: Report, width: int = 80, sample_count: int | None = 1) -> str:
    """The whole closing text, without a trailing newline.

    ``width`` in characters only chooses the gaps; ``sample_count`` values are shown of each rule in each column, None
    shows all that the report holds.
    """
    parts = [
        _table(report, width),
        _coerced(report, sample_count),
        _spans(report),
        _warnings(report),
        _untranslated(report),
        _object_differences(report),
        *(_row_differences(outcome) for outcome in outcomes(report)),
        _notes(report),
        verdict_line(report),
    ]
    return "\n\n".join(part for part in parts if part)


def verdict_line(report: Report) -> str:
    """One sentence: what was proven, and what is left to do."""
    told = outcomes(report)
    rows = sum((outcome.source_rows or 0) - outcome.rejected_rows for outcome in told)
    what = f"{counted(len(told), 'table')}, {counted(rows, 'row')}"
    found = verdict(report)
    if found is Verdict.DIFFERENT:
        fate = f"the target differs from {report.against or 'the source'}"
        if report.command == "migrate":
            fate = f"{some(report.committed)} committed before" if report.committed else "nothing was published"
        return f"verdict: DIFFERENT: {what}; {fate}"
    if report.flags.get("schema_only"):
        return f"verdict: schema only: {counted(len(told), 'table')} as planned, without rows"
    if found is Verdict.NOT_VERIFIED:
        return f"verdict: not verified: {what}"
    if found is Verdict.COUNTED:
        line = f"verdict: counts equal: {what}; as many rows on both sides, no value was compared"
    else:
        line = f"verdict: equal: {what}, {_proof(told)}"
    if rejected := sum(outcome.rejected_rows for outcome in told):
        line += f"; {counted(rejected, 'row')} rejected to files"
    if report.status is ExitStatus.UNTRANSLATED:
        pending = sum(skipped.needs_attention for skipped in report.plan.untranslated)
        line += f"; {counted(pending, 'schema object')} left for you (listed above)"
    return line


def _proof(told: Sequence[TableOutcome]) -> str:
    """What the verdict rests on: the weakest proof of any table."""
    proofs = {outcome.verified.proof for outcome in told if outcome.verified is not None}
    if Proof.CHECKSUM in proofs:
        return "every row of the target in the checksums of the report; the source was not read"
    if Proof.DIGEST in proofs:
        return "every row compared by its SHA-256"
    return "every value compared"


# --- the table -------------------------------------------------------------------------------------------------------


def _table(report: Report, width: int) -> str:
    rows = [_row(outcome) for outcome in outcomes(report)]
    total = _total(report)
    cells = [_HEADINGS, *rows, total]
    widths = [max(len(row[place]) for row in cells) for place in range(len(_HEADINGS))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= width else " "
    rule = gap.join("─" * wide for wide in widths)
    lines = [_line(row, widths, gap) for row in cells]
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], _wall(report)])


def _line(row: Sequence[str], widths: Sequence[int], gap: str) -> str:
    padded = [
        text.ljust(wide) if place in _LEFT else text.rjust(wide)
        for place, (text, wide) in enumerate(zip(row, widths, strict=True))
    ]
    return gap.join(padded).rstrip()


def _row(outcome: TableOutcome) -> tuple[str, ...]:
    rows, seconds = outcome.source_rows, outcome.seconds
    checksum = (outcome.verified.source_checksum or "-")[:8] if outcome.verified is not None else "-"
    return (
        _cut(outcome.name, _LONGEST_NAME),
        count(rows) if rows is not None else "-",
        size(outcome.bytes) if outcome.loaded is not None else "-",
        duration(seconds),
        _rate(rows or 0, _load_seconds(outcome)),
        count(sum(coercion.count for coercion in outcome.coercions)),
        count(outcome.rejected_rows),
        checksum,
        outcome.verdict.value,
    )


def _total(report: Report) -> tuple[str, ...]:
    told = outcomes(report)
    rows = sum(outcome.source_rows or 0 for outcome in told)
    return (
        "total",
        count(rows),
        size(sum(outcome.bytes for outcome in told)) if report.loaded else "-",
        duration(sum(outcome.seconds for outcome in told)),
        _rate(rows, report.phases.get("load") or sum(_load_seconds(outcome) for outcome in told)),
        count(sum(coercion.count for outcome in told for coercion in outcome.coercions)),
        count(sum(outcome.rejected_rows for outcome in told)),
        "",
        verdict(report).value,
    )


def _load_seconds(outcome: TableOutcome) -> float:
    """The seconds that a rate is about: the load's, or the verification's where nothing was loaded."""
    return outcome.loaded.seconds if outcome.loaded is not None else outcome.seconds


def _rate(rows: int, seconds: float) -> str:
    return short_count(rows / seconds) if seconds > 0 and rows else "-"


def _wall(report: Report) -> str:
    """Wall time and where it went; the tables' own times overlap, so they add up to more."""
    phases = ", ".join(f"{name} {duration(seconds)}" for name, seconds in report.phases.items() if name != "total")
    wall = report.phases.get("total", sum(report.phases.values()))
    return f"wall time {duration(wall)} ({phases})" if phases else ""


# --- what a user should know -----------------------------------------------------------------------------------------


def _coerced(report: Report, sample_count: int | None) -> str:
    found = [(outcome.name, coercion) for outcome in outcomes(report) for coercion in outcome.coercions]
    if not found:
        return ""
    rows = [(f"{table}.{coercion.column}", coercion.rule, count(coercion.count)) for table, coercion in found]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    lines = [
        line
        for (name, rule, number), (_, coercion) in zip(rows, found, strict=True)
        for line in _samples(
            f"  {name.ljust(widths[0])}  {rule.ljust(widths[1])}  {number.rjust(widths[2])}",
            coercion.samples[:sample_count],
        )
    ]
    return "\n".join(["coerced by rule (docs/coercion.md):", *lines])


def _samples(heading: str, samples: Sequence[tuple[str, str, str]]) -> list[str]:
    """The heading with the first sample behind it, the others below that one."""
    told = [f"{key}: {_cut(before, _LONGEST_VALUE)} → {_cut(after, _LONGEST_VALUE)}" for key, before, after in samples]
    return [
        f"{heading}  {sample}" if not place else f"{' ' * len(heading)}  {sample}"
        for place, sample in enumerate(told or [""])
    ]


def _spans(report: Report) -> str:
    """What no comparison can prove is that a number counts seconds: the dates that came out tell a person."""
    lines = [
        f"  {outcome.name}.{column}  {span.low} to {span.high}"
        for outcome in outcomes(report)
        for column, span in outcome.spans.items()
    ]
    return "\n".join(["coerced dates and times lie between:", *lines]) if lines else ""


def _warnings(report: Report) -> str:
    return "\n".join(f"warning: {warning}" for table in report.loaded for warning in table.warnings)


def _untranslated(report: Report) -> str:
    lines = [
        f"  {skipped.kind} {skipped.name}: {skipped.reason}"
        for skipped in report.plan.untranslated
        if skipped.needs_attention
    ]
    return "\n".join(["not translated, needs you:", *lines]) if lines else ""


def _object_differences(report: Report) -> str:
    lines = [f"  {_difference(difference)}" for difference in report.differences]
    return "\n".join(["differences in the schema:", *lines]) if lines else ""


def _row_differences(outcome: TableOutcome) -> str:
    verified = outcome.verified
    if verified is None or not (verified.differences or verified.difference_counts):
        return ""
    counts = ", ".join(f"{count(number)} {kind}" for kind, number in verified.difference_counts.items() if number)
    heading = f"differences in {outcome.name}: {counts or len(verified.differences)}"
    if verified.source_rows != verified.target_rows:
        heading += f" (source {counted(verified.source_rows, 'row')}, target {count(verified.target_rows)})"
    shown = verified.differences[:_LISTED_DIFFERENCES]
    lines = [f"  {_difference(difference)}" for difference in shown]
    rest = sum(verified.difference_counts.values()) - len(shown)
    return "\n".join([heading, *lines, *([f"  … and {count(rest)} more"] if rest > 0 else [])])


def _difference(difference: Difference) -> str:
    where = difference.key if difference.column is None else f"{difference.key}  {difference.column}:"
    if difference.kind == "object":  # its key is its name, a column's too
        is_table = difference.key in (difference.table, f"table {difference.table}")
        where = f"{difference.key if is_table else f'{difference.table}.{difference.key}'}:"
    storage = f"{difference.storage} " if difference.storage is not None else ""
    longest = _LONGEST_DEFINITION if difference.kind == "object" else _LONGEST_VALUE
    told = [
        f"{label} {_cut(value, longest)}"
        for label, value in (
            (f"source {storage}".rstrip(), difference.source_value),
            ("expected", difference.expected),
            ("target", difference.actual),
        )
        if value is not None
    ]
    return f"{difference.kind:<9}  {where} {', '.join(told)}".rstrip()


def _notes(report: Report) -> str:
    return "\n".join(f"note: {note}" for note in (*report.plan.notes, *report.notes))


def listed(lines: Iterable[str], limit: int = 20) -> list[str]:
    """At most ``limit`` lines, and how many were left out."""
    every = list(lines)
    rest = len(every) - limit
    return every if rest <= 0 else [*every[:limit], f"… and {rest:,} more"]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
