"""Verification on both sides: all that `etl verify` does, and what a migration does before it publishes.

Invariant: source and target are read by ``etl.verify`` alone, which shares no code with what wrote the target.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from etl.difference_log import logged
from etl.errors import ExitStatus
from etl.extract.snapshot import open_snapshot
from etl.load.address import parse_address
from etl.load.connect import guarded, refusals_named
from etl.load.session import open_session
from etl.model import Difference, Plan, TablePlan, Verdict, VerifiedTable
from etl.options import Options
from etl.phases.clock import Clock
from etl.phases.inspection import make_plan, meet_target
from etl.phases.run import Run
from etl.phases.view_comparison import compare_views, with_views_there
from etl.plan_record import PlanRecord, flags_of, read_record
from etl.progress import Progress, TableProgress
from etl.report import Report
from etl.tasks import together
from etl.transform.schema.generation import with_virtual_columns
from etl.verify.compare import verify_table
from etl.verify.digest import digest_table
from etl.verify.found import fit_plan, type_differences
from etl.verify.row_counts import count_table
from etl.verify.schema.kept_definitions import keep_definitions, with_validated
from etl.verify.schema.objects import compare_objects, read_columns

WAYS = {"full": verify_table, "digest": digest_table, "count": count_table}


async def verify(options: Options, progress: Progress) -> Report:
    """Compare source and target as they are now; nothing is written anywhere."""
    address = parse_address(options.target)
    clock = Clock(progress)
    record = None if options.plan is None else read_record(options.plan)
    options = options if record is None else record.options(options)
    async with (
        open_snapshot(options.source, options.jobs) as snapshot,
        open_session(address, options.jobs) as session,
    ):
        made = await make_plan(snapshot, options)
        plan = await as_filled(session.control, replace(made, views=()), options, record)
        plan = plan if record is None else record.apply(plan)
        found = await read_columns(session.control, plan.schema, [table.name for table in plan.tables])
        plan, absent = fit_plan(plan, found)
        plan = with_virtual_columns(plan, session.control.get_server_version().major)
        if record is None:
            absent += type_differences(made, plan, integers_fit=options.integers == "fit")
        else:
            absent += record.type_differences(plan)
        wanted = record.views if record is not None else () if plan.filled.tables or plan.kept else None
        plan = replace(plan, source_views=made.source_views)
        plan, unseen = await with_views_there(session.control, plan, wanted)
        plan = await with_validated(session.control, plan)
        report = Report("verify", str(options.source), str(address), plan, ExitStatus.DONE, flags=flags_of(options))
        with logged(options) as log:
            run = Run(snapshot, session, options, clock, differences=log)
            report = await compare(run, report, plan, plan.schema, (*absent, *unseen))
            report = with_compared(report, (), await compare_views(run, plan))
            if log is not None:
                log.keep(report.differences)
        kept = await guarded(session.control, keep_definitions(session.control, plan))
        return replace(report, phases=clock.seconds, server_version=session.server_version, definitions=kept)


async def as_filled(control: asyncpg.Connection, plan: Plan, options: Options, record: PlanRecord | None) -> Plan:
    """The plan with the tables that the run had filled as the target has them: their rows alone are compared."""
    everything = frozenset(table.source.name for table in plan.tables)
    filled = record.filled if record is not None else everything if options.mode == "fill" else frozenset[str]()
    kept = record.kept if record is not None else options.keep
    if not filled and not kept:
        return plan
    matched, _ = await meet_target(control, plan, replace(options, mode="auto", keep=kept))
    planned = {table.source.name: table for table in plan.tables}
    tables = (table if table.source.name in filled else planned[table.source.name] for table in matched.tables)
    return replace(plan, tables=tuple(tables))


async def compare(run: Run, report: Report, plan: Plan, schema: str, absent: Iterable[Difference] = ()) -> Report:
    """Verify every row of every table of ``plan``, and every object, as they are in ``schema``.

    What comes out is added to the report, whose status becomes DIFFERENT where something differs or is ``absent``.
    """
    with run.clock.phase("verify", plan.rows_estimate):
        verified = await compare_rows(run, plan, schema, run.progress)
        return await with_verdict(run, report, plan, schema, verified, absent)


async def compare_rows(
    run: Run,
    plan: Plan,
    schema: str,
    progress: TableProgress,
    readable: Callable[[TablePlan], Awaitable[None]] | None = None,
) -> list[VerifiedTable]:
    """Every row of every table, several tables at once; each from the moment on that it is ``readable``."""
    if run.options.verify == "none":
        return []

    async def compare_table(table: TablePlan) -> VerifiedTable:
        name = table.source.name
        if readable is not None:
            await readable(table)
        rejected = [] if run.rejects is None else run.rejects.file_of(name).ordinals
        async with run.snapshot.reader() as reader, run.connections.borrow() as connection:
            progress.start_table(name, table.source.rows_estimate)

            def on_rows(rows: int, source_bytes: int) -> None:
                progress.advance(name, rows, source_bytes)

            more: dict[str, Any] = {"rejected": rejected} if rejected else {}
            if run.differences is not None:
                more["on_differences"] = run.differences.write
            work = WAYS[run.options.verify](reader.connection, connection, table, schema, on_rows, **more)
            with refusals_named(f"{schema}.{table.name}"):
                result = await guarded(connection, work)
            progress.finish_table(name)
            return result

    compared = () if run.options.schema_only else plan.largest_first  # then there are no rows, on purpose
    return await together(*(compare_table(table) for table in compared))


async def with_verdict(
    run: Run,
    report: Report,
    plan: Plan,
    schema: str,
    verified: Sequence[VerifiedTable],
    absent: Iterable[Difference] = (),
) -> Report:
    """The report with what came out for the rows, and now for the objects."""
    async with run.connections.borrow() as connection:
        with refusals_named(f"the objects of {schema}"):
            found = await compare_objects(connection, plan, schema)
        differences = (*absent, *found)
    return with_compared(report, verified, differences)


def with_compared(report: Report, verified: Sequence[VerifiedTable], differences: Sequence[Difference]) -> Report:
    """The report with what came out for some rows and objects; DIFFERENT where anything differs."""
    equal = not differences and all(table.verdict is not Verdict.DIFFERENT for table in verified)
    return replace(
        report,
        verified=(*report.verified, *verified),
        differences=(*report.differences, *differences),
        status=report.status if equal else ExitStatus.DIFFERENT,
    )
