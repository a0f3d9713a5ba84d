"""READ THIS FIRST: all stages of a run on one page.

    extract          transform           load                      verify
    snapshot ──┐     plan ──┐            staging schema ──┐        both sides again
    pages ─────┴──►  coerce ┴──► encode ─► COPY … FREEZE ─┴─ keys ──► compare ──► publish

One table is one expression over async generators: ``copy(ahead(encode(ahead(coerce(ahead(read))))))``. This is the only
module that knows all four stages; ``inspection.py`` is what goes before (plan, survey, decisions), ``comparison.py``
the verification of both sides.

Invariant: outside the staging schema nothing changes before verification has passed, and then in one transaction.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from etl.ahead import ahead
from etl.clock import Clock
from etl.coercion_log import CoercionLog
from etl.comparison import compare
from etl.errors import ExitStatus, RefusedValueError, TargetLostError
from etl.extract.reader import Reader
from etl.extract.snapshot import open_snapshot
from etl.inspection import decide_again, decide_beforehand, finish_survey, make_plan, read, with_tables
from etl.load.address import parse_address
from etl.load.build import build, create_tables, ensure_loaded, reset_sequences
from etl.load.connect import guarded, retrying
from etl.load.copy import copy_table
from etl.load.encode import TableEncoder
from etl.load.journal import Staging, sweep_dead_runs
from etl.load.publish import check_target, publish
from etl.load.rejects import RejectFile, RejectFolder
from etl.load.session import open_session, staged
from etl.model import LoadedTable, Plan, Slice, SourcePage, TablePlan, TargetPage
from etl.options import Options
from etl.progress import Progress
from etl.report import Report, status_of
from etl.report import Sequence as SequenceState
from etl.run import Run
from etl.tasks import beside, to_the_end, together
from etl.threads import in_thread
from etl.transform.rows.columns import SAMPLE_COUNT, coerce_page
from etl.transform.rows.rejection import coerce_or_reject
from etl.transform.rows.tally import Tally
from etl.transform.schema import ddl
from etl.transform.schema.broken_checks import without_checks
from etl.transform.schema.decide import DoubtfulTypeError, is_doubted
from etl.transform.schema.describe import describe
from etl.verify.compare import refuse_unknown_types

PAGES_AHEAD = 2  # a page is about 2 MB; more pages cost memory and win no time
SLICES_AHEAD = 1  # so that the server never waits for the encoder


async def migrate(options: Options, progress: Progress) -> Report:
    """Move the source into the target; raises EtlError with the target as before, or returns what was done."""
    address = parse_address(options.target)
    clock = Clock(progress)
    rejects = RejectFolder(options.rejects) if options.on_error == "reject" else None
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
        async with beside(run.snapshot.quick_check()):  # the server is at work, and nobody here
            broken = await build(
                run.connections,
                staging,
                plan.tables,
                keys=ddl.create_keys(plan, staging.schema),
                indexes=ddl.create_indexes(plan, staging.schema),
                foreign_keys=ddl.create_foreign_keys(plan, staging.schema),
                on_built=lambda built: run.progress.finish_table(built.name),
            )
        plan = without_checks(plan, broken)
        sequences = await reset_sequences(run.connections, staging, plan)
    report = replace(
        report,
        plan=plan,
        loaded=tuple(loaded),
        sequences=tuple(SequenceState(*state) for state in sequences),
        index_count=sum(len(table.indexes) for table in plan.tables),
        foreign_key_count=sum(len(table.foreign_keys) for table in plan.tables),
    )
    if run.options.verify != "none":
        report = await compare(run, report, staging.schema, ())
    return replace(report, status=status_of(report, accept_untranslated=run.options.accept_untranslated))


# --- load ----------------------------------------------------------------------------------------------------------


async def load_all(run: Run, staging: Staging, plan: Plan) -> tuple[Plan, Sequence[LoadedTable]]:
    """Every table, several at once; returns the plan as their values asked for it."""

    async def load(table: TablePlan) -> tuple[TablePlan, LoadedTable]:
        async with run.snapshot.reader() as reader:
            run.progress.start_table(table.source.name, table.source.rows_estimate)
            result = await load_table(run, staging, reader, table)
            run.progress.finish_table(table.source.name)
            return result

    loaded = await together(*(load(table) for table in plan.largest_first))
    return with_tables(plan, (table for table, _ in loaded)), [account for _, account in loaded]


async def load_table(run: Run, staging: Staging, reader: Reader, table: TablePlan) -> tuple[TablePlan, LoadedTable]:
    """The declared types are tried first; values that contradict them are surveyed once, and the table begins anew."""
    try:
        return table, await load_rows(run, staging, reader, table, None)
    except (RefusedValueError, DoubtfulTypeError) as contradiction:
        decided = await decide_again(run.snapshot, reader, table, run.options, run.progress, contradiction)
    async with run.connections.borrow() as connection:
        (statement,) = ddl.create_tables(Plan(staging.schema, (decided,)), staging.schema)
        await guarded(connection, staging.execute_anew(connection, statement))
    rejects = None if run.rejects is None else run.rejects.file_of(table.source.name)
    return decided, await load_rows(run, staging, reader, decided, rejects)


async def load_rows(
    run: Run, staging: Staging, reader: Reader, table: TablePlan, rejects: RejectFile | None
) -> LoadedTable:
    """One table from end to end, tried again from its start when the server goes away and comes back."""

    def on_slice(piece: Slice) -> None:
        run.progress.advance(table.source.name, piece.row_count, piece.source_bytes)

    async for attempt in retrying():
        with attempt:
            tally = Tally()
            if run.coercion_log is not None:
                run.coercion_log.begin_table(table.source.name)
            async with run.connections.borrow() as connection:
                pages = read(run.snapshot, reader, table, run.options.page_bytes)
                slices = slices_of(pages, table, tally, reject=rejects is not None, log=run.coercion_log)
                loaded = await guarded(connection, copy_table(connection, staging, table, slices, on_slice, rejects))
            return replace(loaded, coercions=tally.coercions())
    raise TargetLostError(f"{table.name}: the server went away too often")  # not reached: the last error is raised


def slices_of(
    pages: AsyncGenerator[SourcePage],
    table: TablePlan,
    tally: Tally,
    *,
    reject: bool = False,
    log: CoercionLog | None = None,
) -> AsyncGenerator[Slice]:
    """What becomes of a table's pages: each stage runs while the next one works."""
    coerced = coerce(ahead(pages, PAGES_AHEAD), table, tally, reject=reject, log=log)
    return ahead(encode(ahead(coerced, PAGES_AHEAD), table), SLICES_AHEAD)


async def coerce(
    pages: AsyncGenerator[SourcePage],
    table: TablePlan,
    tally: Tally,
    *,
    reject: bool = False,
    log: CoercionLog | None = None,
) -> AsyncGenerator[TargetPage]:
    samples = SAMPLE_COUNT if log is None else None
    ordinal = 0
    async with aclosing(pages):
        async for page in pages:
            if reject:
                coerced = await in_thread(coerce_or_reject, page, table, ordinal, samples)
            else:
                coerced = await in_thread(coerce_page, page, table, samples)
            ordinal += page.row_count
            if is_doubted(table, coerced.coercions):
                raise DoubtfulTypeError(table.name)
            if log is not None:
                log.write(table.source.name, coerced.coercions)
            tally.add(coerced.coercions)
            yield coerced


async def encode(pages: AsyncGenerator[TargetPage], table: TablePlan) -> AsyncGenerator[Slice]:
    encoder = TableEncoder(table)
    async with aclosing(pages):
        async for page in pages:
            yield await in_thread(encoder.encode_page, page)
