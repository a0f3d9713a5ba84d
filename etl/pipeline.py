"""READ THIS FIRST: all stages of a run on one page.

    extract          transform           load                      verify
    snapshot ──┐     plan ──┐            staging schema ──┐        both sides again
    pages ─────┴──►  coerce ┴──► encode ─► COPY … FREEZE ─┴─ keys ──► compare ──► publish

One table is one expression over async generators: ``copy(encode(ahead(coerce(ahead(read)))))``. This is the only
module that knows all four stages; ``inspection.py`` is what goes before: plan, survey, decisions.

Invariant: outside the staging schema nothing changes before verification has passed, and then in one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace

import tenacity

from etl.ahead import ahead
from etl.clock import Clock
from etl.errors import ExitStatus, RefusedValueError, TargetLostError
from etl.extract.reader import Reader
from etl.extract.snapshot import Snapshot, open_snapshot
from etl.inspection import decide_beforehand, finish_survey, make_plan, read, survey_and_decide, with_tables
from etl.load.address import parse_address
from etl.load.build import analyze, build_all, create_tables, ensure_loaded, reset_sequences
from etl.load.connect import Connections, guarded
from etl.load.copy import copy_table
from etl.load.encode import TableEncoder
from etl.load.journal import Staging, sweep_dead_runs
from etl.load.publish import check_target, publish
from etl.load.session import Session, open_session, staged
from etl.model import (
    Difference,
    LoadedTable,
    Plan,
    Slice,
    SourcePage,
    Statement,
    TablePlan,
    TargetPage,
    Verdict,
    VerifiedTable,
)
from etl.options import Options
from etl.progress import Progress
from etl.report import Report
from etl.report import Sequence as SequenceState
from etl.tasks import to_the_end, together
from etl.threads import in_thread
from etl.transform.rows.columns import coerce_page
from etl.transform.rows.tally import Tally
from etl.transform.schema import ddl
from etl.transform.schema.broken_checks import without_checks
from etl.transform.schema.decide import DoubtfulTypeError, changed_columns, decision_notes, is_doubted, may_be_cured
from etl.transform.schema.describe import describe
from etl.verify.compare import verify_table
from etl.verify.found import fit_plan
from etl.verify.objects import compare_objects, read_columns

PAGES_AHEAD = 2  # a page is about 2 MB; more pages cost memory and win no time
LOAD_ATTEMPTS = 8  # about 20 seconds: a server that restarts is back by then


async def migrate(options: Options, progress: Progress) -> Report:
    """Move the source into the target; raises EtlError with the target as before, or returns what was done."""
    address = parse_address(options.target)
    clock = Clock(progress)
    async with open_snapshot(options.source, options.jobs) as snapshot:
        plan = await decide_beforehand(snapshot, await make_plan(snapshot, options), options, clock)
        report = Report("migrate", str(options.source), str(address), plan, ExitStatus.DONE)
        if options.dry_run:
            return replace(report, notes=(describe(plan),))
        try:
            async with open_session(address, options.jobs) as session:
                report = await build_beside(report, snapshot, session, options, clock)
                return replace(report, phases=clock.seconds, server_version=session.server_version)
        except RefusedValueError as refused:
            raise await finish_survey(snapshot, plan, options, clock, refused) from refused


async def build_beside(report: Report, snapshot: Snapshot, session: Session, options: Options, clock: Clock) -> Report:
    """Build everything in a staging schema, and publish it when the verification has passed."""
    plan = report.plan
    await check_target(session.control, plan, options.force)
    for schema in await sweep_dead_runs(session.control):
        clock.progress.note(f"dropped {schema}, which a run that was killed had left behind")
    async with staged(session, plan.schema) as staging:
        report = await fill_staging(report, snapshot, session, staging, options, clock)
        snapshot.ensure_held()
        if report.status is not ExitStatus.DIFFERENT:
            with clock.phase("publish"):
                await to_the_end(publish(session.connections, staging, report.plan, options.force))
    return report


async def verify(options: Options, progress: Progress) -> Report:
    """Compare source and target as they are now; nothing is written anywhere."""
    address = parse_address(options.target)
    clock = Clock(progress)
    async with open_snapshot(options.source, options.jobs) as snapshot:
        plan = await make_plan(snapshot, options)
        async with open_session(address, options.jobs) as session:
            found = await read_columns(session.control, plan.schema, [table.name for table in plan.tables])
            plan, absent = fit_plan(plan, found)
            report = Report("verify", str(options.source), str(address), plan, ExitStatus.DONE)
            report = await compare(report, snapshot, session, plan.schema, clock, absent)
            return replace(report, phases=clock.seconds, server_version=session.server_version)


async def fill_staging(
    report: Report, snapshot: Snapshot, session: Session, staging: Staging, options: Options, clock: Clock
) -> Report:
    """Load, build and verify inside the staging schema."""
    plan = report.plan
    await create_tables(session.connections, staging, ddl.create_tables(plan, staging.schema))
    with clock.phase("load", plan.rows_estimate):
        checking = asyncio.create_task(snapshot.quick_check())
        try:
            plan, loaded = await load_all(snapshot, session, staging, options, plan, clock.progress)
            await checking
        finally:
            checking.cancel()
        await ensure_loaded(session.connections, staging, plan, loaded)
    with clock.phase("build"):
        plan = await build(session.connections, staging, plan, clock.progress)
        sequences = await reset_sequences(session.connections, staging, plan)
    report = replace(
        report,
        plan=plan,
        loaded=tuple(loaded),
        sequences=tuple(SequenceState(*state) for state in sequences),
        index_count=sum(len(table.indexes) for table in plan.tables),
        foreign_key_count=sum(len(table.foreign_keys) for table in plan.tables),
    )
    if options.verify != "none":
        report = await compare(report, snapshot, session, staging.schema, clock, ())
    attention = any(thing.needs_attention for thing in plan.untranslated) and not options.accept_untranslated
    if report.status is ExitStatus.DONE and attention:
        report = replace(report, status=ExitStatus.UNTRANSLATED)
    return report


# --- load ----------------------------------------------------------------------------------------------------------


async def load_all(
    snapshot: Snapshot, session: Session, staging: Staging, options: Options, plan: Plan, progress: Progress
) -> tuple[Plan, Sequence[LoadedTable]]:
    """Every table, several at once; returns the plan as their values asked for it."""

    async def load(table: TablePlan) -> tuple[TablePlan, LoadedTable]:
        async with snapshot.reader() as reader:
            progress.start_table(table.source.name, table.source.rows_estimate)
            result = await load_table(snapshot, reader, session.connections, staging, table, options, progress)
            progress.finish_table(table.source.name)
            return result

    loaded = await together(*(load(table) for table in plan.largest_first))
    return with_tables(plan, (table for table, _ in loaded)), [account for _, account in loaded]


async def load_table(
    snapshot: Snapshot,
    reader: Reader,
    connections: Connections,
    staging: Staging,
    table: TablePlan,
    options: Options,
    progress: Progress,
) -> tuple[TablePlan, LoadedTable]:
    """The declared types are tried first; values that contradict them are surveyed once, and the table begins anew."""
    try:
        return table, await load_rows(snapshot, reader, connections, staging, table, options.page_bytes, progress)
    except (RefusedValueError, DoubtfulTypeError) as contradiction:
        if isinstance(contradiction, RefusedValueError) and not may_be_cured(table, contradiction.refusals):
            raise
        decided, _ = await survey_and_decide(snapshot, reader, table, options, progress)
        if isinstance(contradiction, RefusedValueError) and not changed_columns(table, decided):
            raise
    for note in decision_notes(table, decided):
        progress.note(note)
    async with connections.borrow() as connection:
        (statement,) = ddl.create_tables(Plan(staging.schema, (decided,)), staging.schema)
        await guarded(connection, staging.execute_anew(connection, statement))
    return decided, await load_rows(snapshot, reader, connections, staging, decided, options.page_bytes, progress)


async def load_rows(
    snapshot: Snapshot,
    reader: Reader,
    connections: Connections,
    staging: Staging,
    table: TablePlan,
    page_bytes: int,
    progress: Progress,
) -> LoadedTable:
    """One table from end to end, tried again from its start when the server goes away and comes back."""

    def on_slice(piece: Slice) -> None:
        progress.advance(table.source.name, piece.row_count, piece.source_bytes)

    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(TargetLostError),
        wait=tenacity.wait_exponential_jitter(initial=0.3, max=5),
        stop=tenacity.stop_after_attempt(LOAD_ATTEMPTS),
        reraise=True,
    ):
        with attempt:
            tally = Tally()
            async with connections.borrow() as connection:
                slices = slices_of(read(snapshot, reader, table, page_bytes), table, tally)
                loaded = await guarded(connection, copy_table(connection, staging, table, slices, on_slice))
            return replace(loaded, coercions=tally.coercions())
    raise TargetLostError(f"{table.name}: the server went away {LOAD_ATTEMPTS} times")  # not reached: reraise


def slices_of(pages: AsyncGenerator[SourcePage], table: TablePlan, tally: Tally) -> AsyncGenerator[Slice]:
    """What becomes of a table's pages: each stage runs while the next one works."""
    return encode(ahead(coerce(ahead(pages, PAGES_AHEAD), table, tally), PAGES_AHEAD), table)


async def coerce(pages: AsyncGenerator[SourcePage], table: TablePlan, tally: Tally) -> AsyncGenerator[TargetPage]:
    async with aclosing(pages):
        async for page in pages:
            coerced = await in_thread(coerce_page, page, table)
            if is_doubted(table, coerced.coercions):
                raise DoubtfulTypeError(table.name)
            tally.add(coerced.coercions)
            yield coerced


async def encode(pages: AsyncGenerator[TargetPage], table: TablePlan) -> AsyncGenerator[Slice]:
    encoder = TableEncoder(table)
    async with aclosing(pages):
        async for page in pages:
            yield await in_thread(encoder.encode_page, page)


# --- build, verify -------------------------------------------------------------------------------------------------


async def build(connections: Connections, staging: Staging, plan: Plan, progress: Progress) -> Plan:
    """Keys first (foreign keys need them), then indexes and statistics, then foreign keys.

    Returns the plan without the CHECKs that the source's own rows contradict.
    """

    def on_built(statement: Statement) -> None:
        progress.finish_table(statement.name)

    broken = await build_all(connections, staging, ddl.create_keys(plan, staging.schema), on_built)
    await build_all(connections, staging, ddl.create_indexes(plan, staging.schema), on_built)
    await analyze(connections, staging, plan.tables)
    for statement in ddl.create_foreign_keys(plan, staging.schema):  # each locks two tables: one after the other
        await build_all(connections, staging, [statement], on_built)
    return without_checks(plan, broken)


async def compare(
    report: Report,
    snapshot: Snapshot,
    session: Session,
    schema: str,
    clock: Clock,
    absent: Iterable[Difference],
) -> Report:
    """Verify every row of every table, and every object; the report's status says what came out."""
    progress = clock.progress

    async def compare_table(table: TablePlan) -> VerifiedTable:
        async with snapshot.reader() as reader, session.connections.borrow() as connection:
            name = table.source.name
            progress.start_table(name, table.source.rows_estimate)
            work = verify_table(
                reader.connection, connection, table, schema, lambda rows, size: progress.advance(name, rows, size)
            )
            result = await guarded(connection, work)
            progress.finish_table(name)
            return result

    with clock.phase("verify", report.plan.rows_estimate):
        verified = await together(*(compare_table(table) for table in report.plan.largest_first))
        async with session.connections.borrow() as connection:
            differences = (*absent, *await compare_objects(connection, report.plan, schema))
    equal = not differences and all(table.verdict is Verdict.EQUAL for table in verified)
    return replace(
        report,
        verified=tuple(verified),
        differences=differences,
        status=report.status if equal else ExitStatus.DIFFERENT,
    )
