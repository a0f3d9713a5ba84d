"""The views of a run: created beside the tables that they read, and kept only with the rows that SQLite shows.

Invariant: a view that the server refuses, or whose rows are others than in SQLite, is not there when the run
publishes, and neither is one that reads it; each is listed with its SQL and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from etl.counted_nouns import counted
from etl.errors import EtlError, TargetError
from etl.load.connect import guarded
from etl.load.journal import Workplace
from etl.model import Plan, Verdict, VerifiedTable, ViewPlan
from etl.phases.run import Run
from etl.phases.view_comparison import verify_view
from etl.transform.schema import ddl
from etl.transform.schema.views import readers_of, without_views


async def build_views(run: Run, place: Workplace, plan: Plan) -> Plan:
    """Create the views of the plan and compare their rows; returns the plan with those that stay."""
    plan = await _create(run, place, plan)
    if run.options.verify == "none" or run.options.schema_only:
        return plan
    reasons: dict[str, str] = {}
    for view in plan.views:
        reason = await _difference(run, place, view)
        if reason is not None:
            reasons[view.name] = f"{_with_other_rows(run, view) or 'translated differently'}: {reason}"
    reasons |= _for_readers(reasons, plan)
    names = [view.name for view in reversed(plan.views) if view.name in reasons]
    async with run.connections.borrow() as connection:
        await guarded(connection, place.drop_views(connection, names))
    return without_views(plan, reasons)


async def _create(run: Run, place: Workplace, plan: Plan) -> Plan:
    """One after the other: each may read those before it. What the server refuses is listed."""
    reasons: dict[str, str] = {}
    for view, statement in zip(plan.views, ddl.create_views(plan, place.schema), strict=True):
        if reasons.keys() & set(view.reads):
            reasons[view.name] = f"it reads {', '.join(sorted(reasons.keys() & set(view.reads)))}, which is not created"
            continue
        try:
            async with run.connections.borrow() as connection:
                await guarded(connection, place.execute(connection, [statement]))
        except TargetError as error:
            if error.sqlstate is None:
                raise
            reasons[view.name] = f"PostgreSQL refuses its translation: {error.message}"
    return without_views(plan, reasons)


async def _difference(run: Run, place: Workplace, view: ViewPlan) -> str | None:
    """Why the view is not what SQLite shows; None where it has the same rows."""
    try:
        found = await verify_view(run, view, place.schema)
    except EtlError as error:
        if isinstance(error, TargetError) and error.sqlstate is None:
            raise
        return error.message
    return None if found.verdict is Verdict.EQUAL else _shown(found)


def _with_other_rows(run: Run, view: ViewPlan) -> str | None:
    """Why a view may differ although its translation is right: rows that it shows in SQLite have gone to files."""
    if run.rejects is None:
        return None
    counts = {table: len(run.rejects.file_of(table).ordinals) for table in view.tables}
    rejected = [f"{counted(count, 'rejected row')} of {table}" for table, count in counts.items() if count]
    return f"cannot be compared, since SQLite shows {', '.join(rejected)}" if rejected else None


def _shown(found: VerifiedTable) -> str:
    counts = ", ".join(f"{counted(count, 'row')} {kind}" for kind, count in found.difference_counts.items())
    return f"{counts} of {found.source_rows:,}"


def _for_readers(reasons: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """A reason for every view that reads one which is not kept."""
    return dict.fromkeys(readers_of(reasons, plan.views), "it reads a view that is not created")
