"""What a run says when it is over: one value, and its JSON form (format 1).

Invariant: the JSON report is written whole or not at all, and holds no password.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from etl.difference_log import difference_document
from etl.errors import ExitStatus, writing
from etl.model import Coercion, Difference, LoadedTable, Plan, Span, TablePlan, Verdict, VerifiedTable
from etl.plan_record import record_of
from etl.redaction import mask_dsn

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """Where a sequence stands after the load: the next INSERT gets ``next_value``."""

    table: str
    column: str
    next_value: int


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run in one value. ``loaded`` is empty for ``etl verify``; ``verified`` for ``--verify none``."""

    command: str  # migrate | verify
    source: str
    target: str  # without password
    plan: Plan
    status: ExitStatus
    loaded: tuple[LoadedTable, ...] = ()
    verified: tuple[VerifiedTable, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    differences: tuple[Difference, ...] = ()  # of schema objects; those of rows stand in ``verified``
    index_count: int = 0
    foreign_key_count: int = 0
    phases: Mapping[str, float] = field(default_factory=dict)  # name → seconds, wall
    server_version: str = ""
    notes: tuple[str, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)  # those that shaped the plan
    against: str = ""  # the report that stood for the source
    definitions: Mapping[str, Any] = field(default_factory=dict)  # of filled tables, at the end of the run
    committed: tuple[str, ...] = ()  # target tables that stay filled although others differ (--per-table)

    def of(self, plan: Plan) -> Report:
        """The report of the same run on some of its tables, which says nothing of them yet."""
        return Report(self.command, self.source, self.target, plan, ExitStatus.DONE, flags=self.flags)


@dataclass(frozen=True, slots=True)
class TableOutcome:
    """The plan of one table with what the load and the verification say of it; either may be missing."""

    plan: TablePlan
    loaded: LoadedTable | None
    verified: VerifiedTable | None

    @property
    def name(self) -> str:
        return self.plan.source.name

    @property
    def source_rows(self) -> int | None:
        """Rows of the source: counted by the verification, else as many as were read."""
        if self.verified is not None:
            return self.verified.source_rows + self.rejected_rows  # it was told which rows to leave out
        return self.loaded.row_count + self.loaded.rejected_rows if self.loaded is not None else None

    @property
    def rejected_rows(self) -> int:
        return self.loaded.rejected_rows if self.loaded is not None else 0

    @property
    def bytes(self) -> int:
        return self.loaded.source_bytes if self.loaded is not None else 0

    @property
    def seconds(self) -> float:
        """Load and verification of this table, summed."""
        return sum(part.seconds for part in (self.loaded, self.verified) if part is not None)

    @property
    def coercions(self) -> tuple[Coercion, ...]:
        """What the load counted, and of the rules that it left to the server what the verification counted."""
        loaded = self.loaded.coercions if self.loaded is not None else ()
        known = {(coercion.column, coercion.rule) for coercion in loaded}
        verified = self.verified.coercions if self.verified is not None else ()
        return (*loaded, *(coercion for coercion in verified if (coercion.column, coercion.rule) not in known))

    @property
    def spans(self) -> Mapping[str, Span]:
        """Smallest and largest of the dates and times that were coerced, by source column."""
        return self.loaded.spans if self.loaded is not None else {}

    @property
    def verdict(self) -> Verdict:
        return self.verified.verdict if self.verified is not None else Verdict.NOT_VERIFIED


def outcomes(report: Report) -> tuple[TableOutcome, ...]:
    """One outcome a planned table, in the order of the plan."""
    loaded = {table.name: table for table in report.loaded}
    verified = {table.name: table for table in report.verified}
    return tuple(
        TableOutcome(plan, loaded.get(plan.source.name), verified.get(plan.source.name)) for plan in report.plan.tables
    )


def verdict(report: Report) -> Verdict:
    """EQUAL only when every planned table was verified equal and no schema object differs."""
    if report.status is ExitStatus.DIFFERENT or report.differences:
        return Verdict.DIFFERENT
    found = {outcome.verdict for outcome in outcomes(report)}
    if Verdict.DIFFERENT in found:
        return Verdict.DIFFERENT
    verified = report.command == "verify" or "verify" in report.phases  # an empty database is verified too
    if Verdict.NOT_VERIFIED in found or not (found or verified):
        return Verdict.NOT_VERIFIED
    if Verdict.COUNTED in found:
        return Verdict.COUNTED
    return Verdict.EQUAL


def with_account(
    report: Report, plan: Plan, loaded: Iterable[LoadedTable], sequences: Iterable[tuple[str, str, int]]
) -> Report:
    """The report with what the load of some of its tables says, and the plan as it has become."""
    return _counted(
        replace(
            report,
            plan=plan,
            loaded=(*report.loaded, *loaded),
            sequences=(*report.sequences, *(Sequence(*state) for state in sequences)),
        )
    )


def _counted(report: Report) -> Report:
    """With the numbers of indexes and foreign keys that its plan has by now."""
    tables = report.plan.tables
    return replace(
        report,
        index_count=sum(len(table.indexes) for table in tables),
        foreign_key_count=sum(len(table.foreign_keys) for table in tables),
    )


def with_part(report: Report, part: Report) -> Report:
    """The report with what another one says of some of its tables."""
    new = {table.source.name: table for table in part.plan.tables}
    plan = replace(
        report.plan,
        tables=tuple(new.get(table.source.name, table) for table in report.plan.tables),
        notes=tuple(dict.fromkeys((*report.plan.notes, *part.plan.notes))),
        untranslated=tuple(dict.fromkeys((*report.plan.untranslated, *part.plan.untranslated))),
    )
    joined = replace(
        report,
        plan=plan,
        loaded=(*report.loaded, *part.loaded),
        verified=(*report.verified, *part.verified),
        sequences=(*report.sequences, *part.sequences),
        differences=(*report.differences, *part.differences),
        definitions={**report.definitions, **part.definitions},
        status=part.status if part.status is ExitStatus.DIFFERENT else report.status,
    )
    return _counted(joined)


def with_differences(report: Report, differences: Iterable[Difference]) -> Report:
    """The report with differences of schema objects, which make it DIFFERENT."""
    found = tuple(differences)
    status = ExitStatus.DIFFERENT if found else report.status
    return replace(report, differences=(*report.differences, *found), status=status)


def status_of(report: Report, *, accept_untranslated: bool) -> ExitStatus:
    """A difference outweighs rejected rows, and they what was not translated."""
    if report.status is not ExitStatus.DONE:
        return report.status
    if any(table.rejected_rows for table in report.loaded):
        return ExitStatus.REJECTED
    attention = any(thing.needs_attention for thing in report.plan.untranslated)
    return ExitStatus.UNTRANSLATED if attention and not accept_untranslated else ExitStatus.DONE


def document_head(command: str, verdict: str, status: ExitStatus) -> dict[str, Any]:
    """What every JSON report begins with. Keys are only ever added; a change of meaning changes ``format``."""
    return {"format": FORMAT, "command": command, "verdict": verdict, "status": int(status)}


def document(report: Report) -> dict[str, Any]:
    """The JSON report as plain values."""
    return {
        **document_head(report.command, verdict(report).value, report.status),
        "source": report.source,
        "target": mask_dsn(report.target),
        "against": report.against or None,
        "server_version": report.server_version,
        "tables": [_table_document(outcome) for outcome in outcomes(report)],
        "schema": {
            "indexes": report.index_count,
            "foreign_keys": report.foreign_key_count,
            "views": len(report.plan.views),
            "untranslated": [asdict(skipped) for skipped in report.plan.untranslated],
        },
        "sequences": [asdict(sequence) for sequence in report.sequences],
        "phases": {name: round(seconds, 6) for name, seconds in report.phases.items()},
        "differences": [difference_document(difference) for difference in _all_differences(report)],
        "plan": record_of(report.plan, report.flags, report.definitions),
        "committed": list(report.committed),
        "notes": list(report.notes),
        "warnings": [warning for table in report.loaded for warning in table.warnings],
    }


def write_json(report: Report, path: Path) -> None:
    """Write the JSON report to ``path``."""
    write_whole(json_bytes(document(report)), path)


def json_bytes(content: dict[str, Any]) -> bytes:
    """The document as people and programs read it."""
    import orjson

    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write_whole(content: bytes, path: Path) -> None:
    """Write a report to ``path``: beside it first, then renamed over it, so that no reader sees a half."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with writing("--report", path):
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _table_document(outcome: TableOutcome) -> dict[str, Any]:
    coerced: dict[str, int] = {}
    for coercion in outcome.coercions:
        coerced[coercion.rule] = coerced.get(coercion.rule, 0) + coercion.count
    verified = outcome.verified
    return {
        "name": outcome.name,
        "target_name": outcome.plan.name,
        "source_rows": outcome.source_rows,
        "loaded_rows": _loaded_rows(outcome),
        "rejected_rows": outcome.rejected_rows,
        "coerced": coerced,
        "coercions": [_coercion_document(coercion) for coercion in outcome.coercions],
        "spans": {name: [span.low, span.high] for name, span in outcome.spans.items()},
        "bytes": outcome.bytes,
        "seconds": round(outcome.seconds, 6),
        "source_checksum": verified.source_checksum if verified is not None else None,
        "target_checksum": verified.target_checksum if verified is not None else None,
        "verdict": outcome.verdict.value,
        "proof": verified.proof.value if verified is not None else None,
        "difference_counts": dict(verified.difference_counts) if verified is not None else {},
    }


def _coercion_document(coercion: Coercion) -> dict[str, Any]:
    samples = [{"key": key, "before": before, "after": after} for key, before, after in coercion.samples]
    return {"column": coercion.column, "rule": coercion.rule, "count": coercion.count, "samples": samples}


def _loaded_rows(outcome: TableOutcome) -> int | None:
    if outcome.loaded is not None:
        return outcome.loaded.row_count
    return outcome.verified.target_rows if outcome.verified is not None else None


def _all_differences(report: Report) -> tuple[Difference, ...]:
    rows = (difference for table in report.verified for difference in table.differences)
    return (*report.differences, *rows)
