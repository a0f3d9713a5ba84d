"""The rows of a table on their way, from page to COPY; the heart of the pipeline.

    pages ─► ahead ─► coerce ─► ahead ─► encode ─► ahead ─► copy

One table is one expression over async generators: ``copy(ahead(encode(ahead(coerce(ahead(read))))))``. ``ahead`` is the
bounded queue, the only one: each stage runs while the next one works.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace

from etl.ahead import ahead
from etl.coercion_log import CoercionLog
from etl.errors import RefusedValueError, TargetError, TargetLostError
from etl.extract.reader import Reader
from etl.load.careful import CarefulCopy, named_row, refuses_a_row
from etl.load.connect import guarded, is_beyond_its_type, named_errors, quote, retrying
from etl.load.copy import Destination, copy_table
from etl.load.encode import TableEncoder
from etl.load.journal import Staging
from etl.load.rejects import RejectFile
from etl.model import Coercion, LoadedTable, Plan, Slice, SourcePage, TablePlan, TargetPage, Way
from etl.phases.constraints import check_keys
from etl.phases.inspection import decide_again
from etl.phases.key_watch import KeyWatch, watched
from etl.phases.rejections import refused_error, set_aside
from etl.phases.resuming import note_of
from etl.phases.run import Run
from etl.phases.source_pages import read
from etl.tasks import together
from etl.threads import Turn, in_turn
from etl.transform.rows.columns import SAMPLE_COUNT, coerce_page
from etl.transform.rows.extremes import Extremes
from etl.transform.rows.rejection import coerce_or_reject
from etl.transform.rows.tally import Tally
from etl.transform.schema import ddl
from etl.transform.schema.decide import DoubtfulTypeError, is_doubted
from etl.transform.schema.generation import with_plain_columns
from etl.transform.schema.server_checks import is_refusal, left_to_server
from etl.transform.survey.problems import load_warnings

LOGGER = logging.getLogger(__name__)
PAGES_AHEAD = 2  # a page is about 2 MB; more pages cost memory and win no time
SLICES_AHEAD = 1  # so that the server never waits for the encoder
LARGE_BYTES = 32 << 20  # a page of so many, which is a single row, is on its way alone


async def load_all(
    run: Run, destination: Destination, tables: Sequence[TablePlan], *, at_once: bool = True
) -> tuple[Sequence[TablePlan], Sequence[LoadedTable]]:
    """Every table, several at once or one after the other; returns them as their values asked for it."""

    async def load(table: TablePlan) -> tuple[TablePlan, LoadedTable]:
        async with run.snapshot.reader() as reader:
            run.progress.start_table(table.source.name, table.source.rows_estimate)
            try:
                decided, account = await load_table(run, destination, reader, table)
            except TargetError as error:
                if refused := named_row(error, table.loaded):
                    raise await refused_error(run, reader, table, [refused]) from error
                raise
            if isinstance(destination, Staging):  # a table that was there has its keys while it is filled
                account = await check_keys(run, destination, reader, decided, account)
                await note_finished(run, destination, table, decided, account)
            run.progress.finish_table(table.source.name)
            return decided, account

    loaded = await together(*map(load, tables)) if at_once else [await load(table) for table in tables]
    return [table for table, _ in loaded], [account for _, account in loaded]


async def note_finished(
    run: Run, staging: Staging, planned: TablePlan, decided: TablePlan, account: LoadedTable
) -> None:
    """Leave a note of the finished table, for a run that has to go on from here."""
    if note := note_of(run, planned, decided, account):
        async with run.connections.borrow() as connection:
            await guarded(connection, staging.note_finished(connection, decided.name, note))


async def load_table(
    run: Run, destination: Destination, reader: Reader, table: TablePlan
) -> tuple[TablePlan, LoadedTable]:
    """The declared types are tried first; values that contradict them are surveyed once, and the table begins anew."""
    try:
        account = await load_as_planned(run, destination, reader, table.loaded)
        await compute_virtual_columns(run, destination, table)
        return table, account
    except (RefusedValueError, DoubtfulTypeError) as contradiction:
        decided = await decide_again(run.snapshot, reader, table, run.options, run.progress, contradiction)
    except TargetError as error:
        if is_not_computed(table, error):
            decided = with_plain_columns(table)
        elif run.options.on_error == "reject" and refuses_a_row(error):
            decided = table
        else:
            raise
    try:
        return decided, await load_anew(run, destination, reader, decided)
    except TargetError as error:
        if not is_not_computed(decided, error):
            raise
    plain = with_plain_columns(decided)
    return plain, await load_anew(run, destination, reader, plain)


def is_not_computed(table: TablePlan, error: TargetError) -> bool:
    """Whether an expression of the table has no value where SQLite has one."""
    return table.way is Way.CREATE and table.loaded is not table and is_beyond_its_type(error)


async def load_anew(run: Run, destination: Destination, reader: Reader, table: TablePlan) -> LoadedTable:
    """The table from its start as the first attempt has decided it; without the rows that may be set aside."""
    run.progress.start_table(table.source.name, table.source.rows_estimate)
    if isinstance(destination, Staging):
        async with run.connections.borrow() as connection:
            (statement,) = ddl.create_tables(Plan(destination.schema, (table,)), destination.schema)
            await guarded(connection, destination.execute_anew(connection, statement))
    rejects = run.rejects.file_of(table.source.name) if run.rejects and run.options.on_error == "reject" else None
    account = await load_rows(run, destination, reader, table.loaded, rejects)
    await compute_virtual_columns(run, destination, table)
    return account


async def compute_virtual_columns(run: Run, destination: Destination, table: TablePlan) -> None:
    """Let the server compute every virtual column of every row. Raises TargetError where one has no value."""
    names = [quote(column.name) for column in table.columns if column.virtual]
    if names:
        async with run.connections.borrow() as connection:
            with named_errors(table.name):
                counts = ", ".join(f"count({name})" for name in names)
                rows = f"only {quote(destination.schema)}.{quote(table.name)}"
                await guarded(connection, connection.fetch(f"select {counts} from {rows}"))


async def load_as_planned(run: Run, destination: Destination, reader: Reader, table: TablePlan) -> LoadedTable:
    """Documents are left to the server; when it refuses a value, they are loaded again with our own eyes."""
    unread = left_to_server(table) if run.counts_in_verification else table
    if unread is not table:
        try:
            return await load_rows(run, destination, reader, unread, None)
        except TargetError as error:
            if not is_refusal(error):
                raise
        run.progress.start_table(table.source.name, table.source.rows_estimate)
    return await load_rows(run, destination, reader, table, None)


async def load_rows(
    run: Run, destination: Destination, reader: Reader, table: TablePlan, rejects: RejectFile | None
) -> LoadedTable:
    """One table from end to end; with ``rejects`` without the rows that are refused, be it by us or by the server."""
    try:
        return await copy_rows(run, destination, reader, table, rejects)
    except TargetError as error:
        if rejects is None or not refuses_a_row(error):
            raise
    careful = CarefulCopy(table)
    loaded = await copy_rows(run, destination, reader, table, rejects, careful)
    return await set_aside(run, reader, table, careful.refused, rejects, loaded)


async def copy_rows(
    run: Run,
    destination: Destination,
    reader: Reader,
    table: TablePlan,
    rejects: RejectFile | None,
    careful: CarefulCopy | None = None,
) -> LoadedTable:
    """All rows of a table, tried again from its start when the server goes away and comes back."""

    def on_slice(piece: Slice) -> None:
        run.progress.advance(table.source.name, piece.row_count, piece.source_bytes)

    async for attempt in retrying():
        with attempt:
            tally, extremes = Tally(), Extremes(table.columns)
            if run.coercion_log is not None:
                run.coercion_log.begin_table(table.source.name)
            if careful is not None:
                careful.begin_again()
            async with run.connections.borrow() as connection, watched(run, table) as watch:
                pages = read(run.snapshot, reader, table, run.options.page_bytes)
                slices = slices_of(
                    pages,
                    table,
                    tally,
                    reject=rejects is not None,
                    log=run.coercion_log,
                    extremes=extremes,
                    keep_pages=careful is not None,
                    watch=watch,
                )
                work = copy_table(connection, destination, table, slices, on_slice, rejects, careful)
                loaded = await guarded(connection, work)
            loaded = replace(loaded, coercions=tally.coercions(), spans=extremes.spans())
            return replace(loaded, warnings=load_warnings(table, loaded))
    raise TargetLostError(f"{table.name}: the server went away too often")  # not reached: the last error is raised


def slices_of(
    pages: AsyncGenerator[SourcePage],
    table: TablePlan,
    tally: Tally,
    *,
    reject: bool = False,
    log: CoercionLog | None = None,
    extremes: Extremes | None = None,
    keep_pages: bool = False,
    watch: KeyWatch | None = None,
) -> AsyncGenerator[Slice]:
    """What becomes of a table's pages: each stage runs while the next one works."""
    read_ahead = ahead(pages, PAGES_AHEAD, is_large)
    coerced = coerce(read_ahead, table, tally, reject=reject, log=log, extremes=extremes, watch=watch)
    return ahead(encode(ahead(coerced, PAGES_AHEAD, is_large), table, keep_pages), SLICES_AHEAD, is_large)


def is_large(page: SourcePage | TargetPage | Slice) -> bool:
    return page.source_bytes > LARGE_BYTES


async def coerce(
    pages: AsyncGenerator[SourcePage],
    table: TablePlan,
    tally: Tally,
    *,
    reject: bool = False,
    log: CoercionLog | None = None,
    extremes: Extremes | None = None,
    watch: KeyWatch | None = None,
) -> AsyncGenerator[TargetPage]:
    tells_all = log is not None or LOGGER.isEnabledFor(logging.DEBUG)
    samples = None if tells_all else SAMPLE_COUNT
    ordinal = 0
    async with aclosing(pages):
        async for page in pages:
            if reject:
                coerced = await in_turn(Turn.COERCE, coerce_or_reject, page, table, ordinal, samples)
            else:
                coerced = await in_turn(Turn.COERCE, coerce_page, page, table, samples)
            ordinal += page.row_count
            if is_doubted(table, page, coerced.coercions):
                raise DoubtfulTypeError(table.name)
            if watch is not None:
                await watch.see(coerced, ordinal - page.row_count)
            if log is not None:
                log.write(table.source.name, coerced.coercions)
            if tells_all:
                tell(table.source.name, coerced.coercions)
            if extremes is not None:
                extremes.add(coerced)
            tally.add(coerced.coercions)
            yield coerced
            del page, coerced  # or a large one would live on beside the next


def tell(table: str, coercions: Iterable[Coercion]) -> None:
    """Every coerced value of a page, for ``--log-level debug``."""
    for coercion in coercions:
        for key, before, after in coercion.samples:
            LOGGER.debug("%s.%s (%s): %s: %s → %s", table, coercion.column, key, coercion.rule, before, after)


async def encode(
    pages: AsyncGenerator[TargetPage], table: TablePlan, keep_pages: bool = False
) -> AsyncGenerator[Slice]:
    encoder = TableEncoder(table)
    async with aclosing(pages):
        async for page in pages:
            encoded = await in_turn(Turn.ENCODE, encoder.encode_page, page)
            yield replace(encoded, page=page) if keep_pages else encoded
            del page, encoded
