"""READ THIS FIRST: all stages of a run on one page.

    extract          transform           load                      verify
    snapshot ──┐     plan ──┐            staging schema ──┐        both sides again
    pages ─────┴──►  coerce ┴──► encode ─► COPY … FREEZE ─┴─ keys ──► compare ──► publish

One table is one expression over async generators, ``copy(ahead(encode(ahead(coerce(ahead(read))))))``: it stands in
``phases/loading.py``. ``phases/inspection.py`` is what goes before (plan, survey, decisions), ``phases/comparison.py``
the verification of both sides. This page and the phases alone know the stages.

Tables that the target has already are filled instead, in one transaction on one connection; what is created beside
them is published by the same COMMIT.

Invariant: outside the staging schema nothing is visible before verification has passed, and then by one COMMIT.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from functools import partial

from etl.coercion_log import CoercionLog
from etl.counted_nouns import counted
from etl.difference_log import logged
from etl.errors import ExitStatus, OrphansError, RefusedValueError, TargetOccupiedError
from etl.extract.snapshot import Snapshot, open_snapshot
from etl.load.address import TargetAddress, parse_address
from etl.load.build import create_collations, create_tables, ensure_loaded, reset_sequences
from etl.load.circumstances import check_locks
from etl.load.fill import refuse_occupied
from etl.load.fill_rights import check_fill_rights
from etl.load.journal import Staging, claim_target, target_lock
from etl.load.leftovers import Leftover
from etl.load.publish import check_target, publish
from etl.load.rejects import RejectFolder
from etl.load.session import open_session, staged
from etl.model import LoadedTable, Plan
from etl.options import Options
from etl.phases.clock import Clock
from etl.phases.comparison import compare_rows, with_verdict
from etl.phases.constraints import Constraints
from etl.phases.filling import fill_tables, refuse_orphans_in_place
from etl.phases.inspection import decide_beforehand, finish_survey, make_plan, meet_target, with_tables
from etl.phases.loading import load_all
from etl.phases.orphan_search import refuse_orphans
from etl.phases.resuming import Kept, resumed_or_swept
from etl.phases.run import Run
from etl.phases.view_building import build_views
from etl.plan_record import flags_of
from etl.progress import HeldProgress, Progress
from etl.report import Report, status_of, with_account
from etl.standing import Standing
from etl.tasks import beside, to_the_end
from etl.transform.schema import ddl
from etl.transform.schema.adoption import leads_to_others, split_foreign_keys, with_created
from etl.transform.schema.describe import describe
from etl.transform.schema.matching import check_per_table
from etl.transform.survey.key_values import is_left_to_server
from etl.verify.compare import refuse_unknown_types


async def migrate(
    options: Options, progress: Progress, standing: Standing | None = None, snapshot: Snapshot | None = None
) -> Report:
    """Move the source into the target, or raise EtlError with the target as before; returns what was done.

    ``snapshot`` is the source's, where whoever calls has opened it already, and closes it.
    ``standing`` follows what was committed. Where that is something when the run fails (--per-table; a COMMIT of which
    nobody knows), the error says so.
    """
    standing = standing or Standing()
    address = parse_address(options.target)
    clock = Clock(progress)
    rejects = RejectFolder(options.rejects) if options.rejects_rows else None
    opened = open_snapshot(options.source, options.jobs) if snapshot is None else nullcontext(snapshot)
    async with standing.told(keeps=options.per_table), opened as snapshot:
        plan = await make_plan(snapshot, options)
        try:
            if options.dry_run and not options.target:  # a plan needs no server
                plan = await decide_beforehand(snapshot, plan, options, clock)
                return dry_report(options, address, plan)
            async with open_session(address, options.jobs) as session:
                plan, occupied = await meet_target(session.control, plan, options)
                check_per_table(plan, options)
                if options.schema_only and plan.filled.tables:
                    raise TargetOccupiedError(
                        f"--schema-only: {plan.filled.tables[0].name} is there already",
                        "--mode replace makes tables anew; --tables or --exclude choose others",
                    )
                plan = await decide_beforehand(snapshot, plan, options, clock)
                if options.dry_run:
                    return dry_report(options, address, plan)
                refuse_occupied(occupied)
                report = Report(
                    "migrate", str(options.source), str(address), plan, ExitStatus.DONE, flags=flags_of(options)
                )
                with logged(options) as log:
                    coercion_log = CoercionLog(options.coercion_log) if options.coercion_log else None
                    run = Run(snapshot, session, options, clock, rejects, coercion_log, log, standing)
                    try:
                        report = await create_and_fill(run, report)
                    finally:
                        run.close_files()
                    if log is not None:
                        log.keep(report.differences)
                return replace(report, phases=clock.seconds, server_version=session.server_version)
        except (RefusedValueError, OrphansError) as refused:
            await finish_survey(snapshot, plan, options, clock, refused, standing)
            raise


def dry_report(options: Options, address: TargetAddress, plan: Plan) -> Report:
    said = describe(plan, target_asked=bool(options.target))
    return Report("migrate", str(options.source), str(address), plan, ExitStatus.DONE, notes=(said,))


async def create_and_fill(run: Run, report: Report) -> Report:
    """Create what the target has not, fill what it has: all of it becomes visible by one COMMIT, or nothing does."""
    plan, control = report.plan, run.session.control
    if run.options.verify != "none":
        for table in plan.created.tables:  # now, not after hours
            refuse_unknown_types(table)
    await check_target(control, plan, run.replacing, run.options.staging_schema)
    at_once = plan.created if run.options.per_table else plan
    await check_locks(control, at_once, replace=run.replacing.tables)
    await check_fill_rights(control, plan.filled, run.options.may_empty)
    await refuse_orphans_in_place(run, plan)
    await claim_target(control, plan.schema)
    await run.session.locks.hold(target_lock(plan.schema))
    earlier, kept = await resumed_or_swept(run, plan.created)
    if plan.filled.tables and not plan.created.tables:
        report = await fill_tables(run, report, None)
    else:
        async with staged(
            run.session,
            str(run.options.source.resolve()),
            plan.schema,
            earlier,
            None if run.options.no_keep or run.options.staging_schema else partial(tell_kept, run),
            run.options.staging_schema,
        ) as staging:
            report = await create(run, staging, report, kept)
            run.snapshot.ensure_held()
            if report.status is ExitStatus.DIFFERENT:
                return report
            if leads_to_others(plan):
                report = await fill_tables(run, report, staging)
            else:
                with run.clock.phase("publish"):
                    async with run.deciding(report.plan) as decision:
                        await to_the_end(publish(run.connections, staging, report.plan, run.replacing, decision))
    return replace(report, status=status_of(report, accept_untranslated=run.options.accept_untranslated))


def tell_kept(run: Run, leftover: Leftover) -> None:
    """Say what a failed run has left in the target, and the two ways on."""
    finished = counted(len(leftover.finished), "finished table")
    run.progress.advise(
        f"kept in {leftover.schema}: {finished}, {leftover.bytes / 1e6:,.0f} MB."
        " The same command with --resume goes on from there; etl clean drops it"
    )


async def create(run: Run, staging: Staging, report: Report, kept: Kept) -> Report:
    """Load, build and verify the tables of the run's own in the staging schema; ``kept`` ones are loaded already."""
    plan = report.plan.created
    new = replace(plan, tables=tuple(table for table in plan.tables if table.name not in kept))
    await create_collations(run.connections, staging, ddl.create_collations(plan, staging.schema))
    await create_tables(run.connections, staging, ddl.create_tables(new, staging.schema))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(beside(run.snapshot.quick_check()))
        loaded: Sequence[LoadedTable] = ()
        if not run.options.schema_only:
            plan, loaded = await load(run, staging, report.plan, new, kept)
        inner, _ = split_foreign_keys(plan)
        constraints = Constraints(run, staging, inner, loaded)
        held = HeldProgress(run.progress)
        with run.clock.phase("build"):
            comparing = None
            # where no row goes any more, they are compared meanwhile, if the server has room for us
            if run.options.verify != "none" and run.rejects is None and await run.session.spare.fill():
                constraints.work_on(run.apart)
                rows = compare_rows(run, inner, staging.schema, held, constraints.keys_of)
                comparing = await stack.enter_async_context(beside(rows))
                constraints.before_refusal = comparing.cancel
            await constraints.build_keys()
            await constraints.build_on_keys()
            sequences = await reset_sequences((run.apart if comparing else run).connections, staging, constraints.plan)
            if run.options.verify == "none":
                built = await build_views(run, staging, constraints.plan)
                return with_account(report, with_created(plan, built), constraints.loaded, sequences)
        with run.clock.phase("verify", max(plan.rows_estimate - held.rows, 0)):
            held.release()
            verified = await (comparing or compare_rows(run, constraints.plan, staging.schema, held))
            built = await build_views(run, staging, constraints.plan)
            report = with_account(report, with_created(plan, built), constraints.loaded, sequences)
            return await with_verdict(run, report, built, staging.schema, verified)


async def load(run: Run, staging: Staging, whole: Plan, new: Plan, kept: Kept) -> tuple[Plan, Sequence[LoadedTable]]:
    """Load the tables of ``new``; the plan of these and the ``kept`` ones, as their values asked for it."""
    with run.clock.phase("load", whole.created.rows_estimate), run.snapshot.check_paused():
        async with beside(refuse_orphans(run.snapshot, whole, run.options)):
            # keys that only the server can judge first: it is asked as soon as their table is there
            in_order = sorted(new.largest_first, key=lambda table: not is_left_to_server(table))
            tables, loaded = await load_all(run, staging, in_order)
        plan = with_tables(whole, (*tables, *(table for table, _ in kept.values())))
        everything = (*loaded, *(account for _, account in kept.values()))
        await ensure_loaded(run.connections, staging, plan, everything)
    return plan, everything
