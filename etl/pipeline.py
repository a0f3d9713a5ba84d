"""READ THIS FIRST: all stages of a run on one page.

    extract          transform           load                      verify
    snapshot ──┐     plan ──┐            staging schema ──┐        both sides again
    pages ─────┴──►  coerce ┴──► encode ─► COPY … FREEZE ─┴─ keys ──► compare ──► publish

One table is one expression over async generators, ``copy(ahead(encode(ahead(coerce(ahead(read))))))``: it stands in
``loading.py``. ``inspection.py`` is what goes before (plan, survey, decisions), ``comparison.py`` the verification of
both sides. These four alone know the stages.

Invariant: outside the staging schema nothing changes before verification has passed, and then in one transaction.
"""

from __future__ import annotations

from dataclasses import replace

from etl.clock import Clock
from etl.coercion_log import CoercionLog
from etl.comparison import compare
from etl.constraints import Constraints
from etl.errors import ExitStatus, RefusedValueError
from etl.extract.snapshot import open_snapshot
from etl.inspection import decide_beforehand, finish_survey, make_plan
from etl.load.address import parse_address
from etl.load.build import create_tables, ensure_loaded, reset_sequences
from etl.load.journal import Staging, sweep_dead_runs
from etl.load.publish import check_target, publish
from etl.load.rejects import RejectFolder
from etl.load.session import open_session, staged
from etl.loading import load_all
from etl.options import Options
from etl.progress import Progress
from etl.report import Report, status_of
from etl.report import Sequence as SequenceState
from etl.run import Run
from etl.tasks import beside, to_the_end
from etl.transform.schema import ddl
from etl.transform.schema.describe import describe
from etl.verify.compare import refuse_unknown_types
from etl.view_building import build_views


async def migrate(options: Options, progress: Progress) -> Report:
    """Move the source into the target; raises EtlError with the target as before, or returns what was done."""
    address = parse_address(options.target)
    clock = Clock(progress)
    rejects = RejectFolder(options.rejects) if options.rejects_rows else None
    coercion_log = CoercionLog(options.coercion_log) if options.coercion_log else None
    async with open_snapshot(options.source, options.jobs) as snapshot:
        plan = await decide_beforehand(snapshot, await make_plan(snapshot, options), options, clock)
        report = Report("migrate", str(options.source), str(address), plan, ExitStatus.DONE)
        if options.dry_run:
            return replace(report, notes=(describe(plan),))
        try:
            async with open_session(address, options.jobs) as session:
                run = Run(snapshot, session, options, clock, rejects, coercion_log)
                try:
                    report = await build_beside(run, report)
                finally:
                    run.discard_files()
                return replace(report, phases=clock.seconds, server_version=session.server_version)
        except RefusedValueError as refused:
            raise await finish_survey(snapshot, plan, options, clock, refused) from refused


async def build_beside(run: Run, report: Report) -> Report:
    """Build everything in a staging schema, and publish it when the verification has passed."""
    plan = report.plan
    if run.options.verify != "none":
        for table in plan.tables:  # now, not after hours
            refuse_unknown_types(table)
    await check_target(run.session.control, plan, run.options.force)
    for schema in await sweep_dead_runs(run.session.control):
        run.progress.note(f"dropped {schema}, which a run that was killed had left behind")
    async with staged(run.session, plan.schema) as staging:
        report = await fill_staging(run, staging, report)
        run.snapshot.ensure_held()
        if report.status is not ExitStatus.DIFFERENT:
            with run.clock.phase("publish"):
                await to_the_end(publish(run.connections, staging, report.plan, run.options.force))
            run.keep_files()
    return report


async def fill_staging(run: Run, staging: Staging, report: Report) -> Report:
    """Load, build and verify inside the staging schema."""
    plan = report.plan
    await create_tables(run.connections, staging, ddl.create_tables(plan, staging.schema))
    with run.clock.phase("load", plan.rows_estimate):
        plan, loaded = await load_all(run, staging, plan)
        await ensure_loaded(run.connections, staging, plan, loaded)
    with run.clock.phase("build"):
        constraints = Constraints(run, staging, plan, loaded)
        async with beside(run.snapshot.quick_check()):  # the server is at work, and nobody here
            await constraints.build()
        plan = constraints.plan
        sequences = await reset_sequences(run.connections, staging, plan)
        plan = await build_views(run, staging, plan)
    report = replace(
        report,
        plan=plan,
        loaded=constraints.loaded,
        sequences=tuple(SequenceState(*state) for state in sequences),
        index_count=sum(len(table.indexes) for table in plan.tables),
        foreign_key_count=sum(len(table.foreign_keys) for table in plan.tables),
    )
    if run.options.verify != "none":
        report = await compare(run, report, staging.schema, ())
    return replace(report, status=status_of(report, accept_untranslated=run.options.accept_untranslated))
