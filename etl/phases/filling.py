"""Fill the tables that the target has already: the whole of it, inside the transaction of the fill.

    lock, take down ─► COPY table by table ─► put back, sequences ─► (publish of what was created) ─► compare ─► commit

Invariant: everything from the first lock to the COMMIT runs on one connection; whatever ends it before leaves the rows
and the definitions of the target's tables as they were.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import ExitStatus
from etl.load.build import execute
from etl.load.connect import guarded, named_errors
from etl.load.fill import Fill, filling
from etl.load.journal import Staging
from etl.load.privileges import settle_privileges
from etl.load.publish import move_tables
from etl.phases.comparison import compare
from etl.phases.inspection import with_tables
from etl.phases.loading import load_all
from etl.phases.orphan_search import orphans_named, refuse_orphans
from etl.phases.restoring import RestoredConstraints
from etl.phases.run import Run
from etl.phases.view_building import build_views
from etl.report import Report, with_account, with_differences, with_part
from etl.tasks import beside, to_the_end, together
from etl.transform.schema import ddl
from etl.transform.schema.adoption import in_waves, split_foreign_keys, with_listed
from etl.verify.compare import refuse_unknown_types
from etl.verify.found import fit_plan
from etl.verify.schema.definitions import compare_definitions, read_definitions
from etl.verify.schema.kept_definitions import keep_definitions
from etl.verify.schema.objects import compare_objects, read_columns


async def fill_tables(run: Run, report: Report, staging: Staging | None) -> Report:
    """Fill what the target has and publish what was created, all at once or table by table."""
    way = fill_table_by_table if run.options.per_table else fill
    async with orphans_named(run.snapshot, report.plan):
        return await way(run, report, staging)


async def fill_table_by_table(run: Run, report: Report, staging: Staging | None) -> Report:
    """Fill each table in a transaction of its own, several at once, parents before children (--per-table).

    Tables whose foreign keys go round share one. What was created is published at last, for its foreign keys may lead
    to tables that are filled. Whatever fails, the tables that were through before stay filled.
    """
    plan = report.plan
    run.progress.note(
        "--per-table: every table is committed by itself; when a run fails, those that were through stay filled"
    )
    if staging is None:  # else it was done before
        async with beside(refuse_orphans(run.snapshot, plan, run.options)):
            await run.snapshot.quick_check()
    bare = replace(plan, views=(), source_views=())
    for wave in in_waves(plan.filled):
        fills = (fill(run, report.of(replace(bare, tables=group)), None, alone=True) for group in wave)
        for part in await together(*fills):
            report = with_part(report, part)
        if report.status is ExitStatus.DIFFERENT:
            return replace(report, committed=tuple(run.standing.committed))
    if staging is None and not plan.views:
        return report
    last = await fill(run, report.of(replace(report.plan, tables=plan.created.tables)), staging, alone=True)
    report = with_part(report, last)
    committed = tuple(run.standing.committed) if report.status is ExitStatus.DIFFERENT else ()
    return replace(report, plan=replace(report.plan, views=last.plan.views), committed=committed)


async def fill(run: Run, report: Report, staging: Staging | None, *, alone: bool = False) -> Report:
    """Fill the application's own tables in one transaction, which publishes what was created too.

    ``alone``: some tables of several that are filled at once; the foreign keys to the others stay where they are.
    """
    plan = report.plan.filled
    names = [table.name for table in plan.tables]
    async with (
        run.connections.borrow() as connection,
        filling(connection, plan, run.options.may_empty, alone=alone) as filled,
    ):
        types = await read_columns(connection, plan.schema, names)
        if run.options.verify != "none":
            for table in fit_plan(plan, types)[0].tables:
                refuse_unknown_types(table)
        only = run.on(connection)
        before = await read_definitions(connection, plan.schema, names)
        await guarded(connection, filled.take_down())
        with run.clock.phase("load", plan.rows_estimate):
            async with beside(nothing() if alone else refuse_orphans(run.snapshot, plan, run.options)):
                tables, loaded = await load_all(only, filled, filled.in_order(plan.largest_first), at_once=False)
        with run.clock.phase("build"):
            constraints = RestoredConstraints(only, filled, replace(plan, tables=tuple(tables)), loaded)
            async with beside(nothing() if alone else run.snapshot.quick_check()):
                await constraints.build()
            sequences = await guarded(connection, filled.restart_sequences())
        whole = with_listed(with_tables(report.plan, constraints.plan.tables), constraints.plan.untranslated)
        report = with_account(report, whole, constraints.loaded, sequences)
        after = await read_definitions(connection, plan.schema, names)
        report = with_differences(report, compare_definitions(report.plan.filled, before, after))
        report = replace(report, definitions=await keep_definitions(connection, report.plan))
        report = await publish_beside(only, staging, filled, report)
        if run.options.verify != "none":
            fitted, absent = fit_plan(report.plan.filled, types)
            report = await compare(only, report, fitted, plan.schema, absent)
        if report.status is not ExitStatus.DIFFERENT:
            run.snapshot.ensure_held()
            with run.clock.phase("publish"):
                async with run.deciding(report.plan) as decision:
                    await to_the_end(filled.commit(run.connections.address, decision))
    return report


async def nothing() -> None:
    """What was done for all tables at once is not done again for each."""


async def publish_beside(run: Run, staging: Staging | None, filled: Fill, report: Report) -> Report:
    """Publish what was created in the transaction of the fill: tables, their keys onto the application's, views."""
    _, outward = split_foreign_keys(report.plan)
    if staging is not None:
        async with run.connections.borrow() as connection:
            with named_errors("publish"):
                await move_tables(connection, staging, replace(report.plan.created, views=()))  # those are made here
            await guarded(connection, execute(connection, ddl.create_foreign_keys(outward, outward.schema)))
    plan = await build_views(run, filled, report.plan)
    async with run.connections.borrow() as connection:
        await settle_privileges(connection, replace(plan, tables=()), schema_is_new=False)
        found = await compare_objects(connection, replace(outward, views=plan.views), plan.schema)
    return with_differences(replace(report, plan=plan), found)
