"""What a move says when it is over: one value, and its JSON form (format 1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from etl.errors import EtlError, ExitStatus
from etl.move.originals import Original
from etl.move.step_outcome import DONE, FAILED, NOT_ASKED, SKIPPED, StepOutcome
from etl.redaction import mask_dsn
from etl.report import Report, document, document_head


@dataclass(frozen=True, slots=True)
class MoveReport:
    """The whole move. ``failure`` ended it; ``transfer`` is the migration's own report."""

    plan: str
    source: str
    target: str  # without password
    steps: tuple[StepOutcome, ...]
    originals: tuple[Original, ...] = ()
    transfer: Report | None = None
    failure: EtlError | None = None
    way_back: tuple[str, ...] = ()
    intentions: tuple[str, ...] = ()  # of a dry run
    dry_run: bool = False
    seconds: float = field(default=0.0)

    @property
    def status(self) -> ExitStatus:
        """That of what failed; else the transfer's, which may be 3 or 5."""
        if self.failure is not None:
            return self.failure.status
        return ExitStatus.DONE if self.transfer is None else self.transfer.status

    @property
    def verdict(self) -> str:
        """One sentence."""
        asked = [step for step in self.steps if step.state != NOT_ASKED]
        done = f"{sum(step.state in (DONE, SKIPPED) for step in asked)} of {len(asked)} steps are done"
        changed = [original.path for original in self.originals if not original.is_unchanged]
        if changed:
            return f"ORIGINAL CHANGED: {', '.join(changed)}"
        if self.failure is not None:
            failed = next((step.name for step in self.steps if step.state == FAILED), "before the first step")
            return f"failed: {failed}; {done}"
        if self.dry_run:
            return "dry run: nothing stands in the way; nothing was done"
        verb = "moved" if len(asked) == len(self.steps) else "done"
        return f"{verb}: {done}, the originals are as they were"


def move_document(report: MoveReport) -> dict[str, Any]:
    """The JSON report as plain values."""
    return {
        **document_head("move", report.verdict, report.status),
        "plan": report.plan,
        "source": report.source,
        "target": mask_dsn(report.target),
        "dry_run": report.dry_run,
        "steps": [
            {
                "name": step.name,
                "state": step.state,
                "seconds": round(step.seconds, 3),
                "lines": list(step.lines),
                "changed": list(step.changed),
                "data": dict(step.data),
            }
            for step in report.steps
        ],
        "originals": [{**asdict(original), "unchanged": original.is_unchanged} for original in report.originals],
        "transfer": None if report.transfer is None else document(report.transfer),
        "error": None if report.failure is None else {"message": report.failure.message, "hint": report.failure.hint},
        "way_back": list(report.way_back),
        "intentions": list(report.intentions),
        "seconds": round(report.seconds, 3),
    }
