"""Fill the tables that the target has already: the whole of it, inside the transaction of the fill.

    lock, take down ─► COPY table by table ─► put back, sequences ─► (publish of what was created) ─► compare ─► commit

Invariant: everything from the first lock to the COMMIT runs on one connection; whatever ends it before leaves the rows
and the definitions of the target's tables as they were.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import ExitStatus
from etl.load.connect import guarded, named_errors
from etl.load.fill import Fill, filling, keys_in_place
from etl.load.journal import Staging
from etl.load.privileges import settle_privileges
from etl.load.publish import move_tables
from etl.model import Plan
from etl.phases.comparison import compare, compare_rows, with_compared
from etl.phases.inspection import with_tables
from etl.phases.loading import load_all
from etl.phases.orphan_search import orphans_named, refuse_orphans, refuse_orphans_of
from etl.phases.outward_keys import OutwardKeys
from etl.phases.restoring import RestoredConstraints
from etl.phases.run import Run
from etl.phases.view_building import build_views
from etl.report import Report, with_account, with_differences, with_part
from etl.tasks import beside, to_the_end, together
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


async def refuse_orphans_in_place(run: Run, plan: Plan) -> None:
    """Raise OrphansError, before anything is loaded, for rows over whose foreign key --orphans can have no say.

    Those are keys that the role may not take away, and, table by table, those between tables that are filled apart.
    """
    if run.options.orphan_rule == "stop" or not plan.filled.tables:
        return  # then all are looked for, beside the load
    staying = await keys_in_place(run.session.control, plan.filled)
    if run.options.per_table:
        for group in (group for wave in in_waves(plan.filled) for group in wave):
            names = {table.name for table in group}
            keys = ((table.name, key) for table in group for key in table.foreign_keys)
            staying |= {(name, key.name) for name, key in keys if key.parent not in names}
    await refuse_orphans_of(run.snapshot, plan.filled, staying)


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
    checked = alone or staging is not None  # the source, once for all tables of the run
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
        with run.clock.phase("load", plan.rows_estimate), run.snapshot.check_paused():
            async with beside(nothing() if checked else refuse_orphans(run.snapshot, plan, run.options)):
                tables, loaded = await load_all(only, filled, filled.in_order(plan.largest_first), at_once=False)
        with run.clock.phase("build"):
            constraints = RestoredConstraints(only, filled, replace(plan, tables=tuple(tables)), loaded)
            async with beside(nothing() if checked else run.snapshot.quick_check()):
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
    if staging is not None:
        async with run.connections.borrow() as connection:
            with named_errors("publish"):  # views are made here
                await move_tables(connection, staging, replace(report.plan.created, views=()), run.replacing)
        report = await join_to_parents(run, filled, report)
    plan = await build_views(run, filled, report.plan)
    _, outward = split_foreign_keys(plan)
    async with run.connections.borrow() as connection:
        await settle_privileges(connection, replace(plan, tables=()), schema_is_new=False)
        found = await compare_objects(connection, replace(outward, views=plan.views), plan.schema)
    return with_differences(replace(report, plan=plan), found)


async def join_to_parents(run: Run, filled: Fill, report: Report) -> Report:
    """Make the foreign keys of created tables onto the application's; a table that loses rows is compared again."""
    created = report.plan.created
    names = {table.source.name for table in created.tables}
    keys = OutwardKeys(run, filled, created, [table for table in report.loaded if table.name in names])
    await keys.build()
    accounts = {table.name: table for table in keys.loaded}
    shrunk = keys.shrunk
    again = {table.source.name for table in shrunk}
    report = replace(
        report,
        plan=with_listed(with_tables(report.plan, keys.plan.tables), keys.plan.untranslated),
        loaded=tuple(accounts.get(table.name, table) for table in report.loaded),
        verified=tuple(table for table in report.verified if table.name not in again),
    )
    if not shrunk:
        return report
    verified = await compare_rows(run, replace(created, tables=tuple(shrunk)), created.schema, run.progress)
    return with_compared(report, verified, ())
