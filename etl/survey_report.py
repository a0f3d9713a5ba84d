"""What ``etl inspect`` says: one value, its exit status, and its JSON form (format 1).

Invariant: the status is the one that a migration of the same source would end with, as far as the source tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from etl.counted_nouns import counted
from etl.errors import ExitStatus
from etl.model import ColumnPlan, ColumnSurvey, Plan, Problem, Remark, TablePlan, TableSurvey
from etl.report import document_head


@dataclass(frozen=True, slots=True)
class Inspection:
    """The whole of an inspection. ``plan`` is as the values ask for it; ``surveys`` are in the order of its tables."""

    source: str
    target: str | None  # without password; None when no target was asked
    plan: Plan
    surveys: tuple[TableSurvey, ...]
    problems: tuple[Problem, ...] = ()
    uncertain: tuple[Problem, ...] = ()  # what may stop the run: only the server can tell
    remarks: tuple[Remark, ...] = ()
    in_the_way: tuple[str, ...] = ()  # relations of the target
    sample: int | None = None  # rows of each table; None for all
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def status(self) -> ExitStatus:
        """0 clean, 1 something stops the run, 5 clean but for objects that are not translated."""
        if self.problems or self.in_the_way:
            return ExitStatus.FAILED
        attention = any(thing.needs_attention for thing in self.plan.untranslated)
        return ExitStatus.UNTRANSLATED if attention else ExitStatus.DONE

    @property
    def rows(self) -> int:
        return sum(survey.rows for survey in self.surveys)

    @property
    def is_sample(self) -> bool:
        """Whether rows were left out."""
        return not all(survey.complete for survey in self.surveys)

    @property
    def scope(self) -> str:
        """Which rows were looked at, to be said wherever something is concluded from them."""
        return f"only the first {counted(self.sample or 0, 'row')} of each table" if self.is_sample else "every row"

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.problems:
            values = sum(problem.count for problem in self.problems)
            columns = len({(problem.table, problem.column) for problem in self.problems})
            refused = counted(values, "value or row", plural="values or rows")
            return f"stops: {refused} in {counted(columns, 'column')} would be refused ({self.scope} read)"
        if self.in_the_way:
            return f"stops: {counted(len(self.in_the_way), 'name is', plural='names are')} taken in the target"
        if self.is_sample:
            return f"clean as far as it was read: {self.scope}"
        if self.uncertain:
            keys = counted(len(self.uncertain), "key or index", plural="keys or indexes")
            return f"uncertain: all values would load, but of {keys} only the server can tell whether the rows fit"
        return f"clean: {counted(self.rows, 'row')} in {counted(len(self.surveys), 'table')} would load"


def document(inspection: Inspection) -> dict[str, Any]:
    """The JSON report as plain values."""
    return {
        **document_head("inspect", inspection.verdict, inspection.status),
        "source": inspection.source,
        "target": inspection.target,
        "sample": inspection.sample,
        "complete": not inspection.is_sample,
        "tables": [
            _table(plan, survey) for plan, survey in zip(inspection.plan.tables, inspection.surveys, strict=True)
        ],
        "problems": [asdict(problem) for problem in inspection.problems],
        "uncertain": [asdict(problem) for problem in inspection.uncertain],
        "remarks": [asdict(remark) for remark in inspection.remarks],
        "in_the_way": list(inspection.in_the_way),
        "untranslated": [asdict(thing) for thing in inspection.plan.untranslated],
        "notes": list(inspection.plan.notes),
        "phases": {name: round(seconds, 6) for name, seconds in inspection.phases.items()},
    }


def _table(plan: TablePlan, survey: TableSurvey) -> dict[str, Any]:
    return {
        "name": survey.name,
        "target_name": plan.name,
        "rows": survey.rows,
        "complete": survey.complete,
        "bytes": survey.source_bytes,
        "primary_key": list(plan.source.primary_key),
        "seconds": round(survey.seconds, 6),
        "columns": [_column(*pair) for pair in zip(plan.columns, survey.columns, strict=True)],
    }


def _column(plan: ColumnPlan, survey: ColumnSurvey) -> dict[str, Any]:
    census = survey.census
    return {
        "name": survey.name,
        "target_name": plan.name,
        "declared": plan.source.declared,
        "affinity": plan.source.affinity.value,
        "type": str(plan.type),
        "reading": plan.reading.how,
        "note": plan.note,
        "classes": {storage.value: count for storage, count in census.classes.items()},
        "numbers": _maybe(census.numbers),
        "texts": _maybe(census.texts),
        "longest_characters": census.longest_characters,
        "longest_bytes": census.longest_bytes,
        "with_nul": census.with_nul,
        "not_utf8": census.not_utf8,
        "dates": [asdict(spelling) for spelling in census.dates],
        "uuids": [asdict(spelling) for spelling in census.uuids],
        "epochs": dict(census.epochs),
        "digits_before": census.digits_before,
        "digits_after": census.digits_after,
        "looks_like": census.looks_like,
        "converted": _maybe(survey.converted),
        "coerced": {coercion.rule: coercion.count for coercion in survey.coercions},
        "samples": {coercion.rule: [list(sample) for sample in coercion.samples] for coercion in survey.coercions},
        "refused": [
            {
                "count": values.count,
                "key": values.first.key,
                "value": values.first.value,
                "reason": values.first.reason,
                "hint": values.first.hint,
            }
            for values in survey.refused
        ],
    }


def _maybe(value: Any) -> dict[str, Any] | None:
    return None if value is None else asdict(value)
