"""Compares one table of both sides, every row and every column: equal bytes are equal rows.

Invariant: the verdict depends on the multiset of rows alone. Load order makes it fast (a batch of the source against
as many bytes of the target's stream); rows that do not line up are matched by digest, in flat memory, in any order.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import asyncpg
import numpy as np
import pyarrow as pa

from etl.errors import PlanError, SourceError, TargetError
from etl.model import Difference, TablePlan, Verdict, VerifiedTable
from etl.verify.account import Digested, LargeRow, Tally, shift_at_end
from etl.verify.batches import Expected, expected_batches, in_thread
from etl.verify.document_rows import match_documents
from etl.verify.equivalents import has_rule
from etl.verify.every_difference import OnDifferences, every_difference
from etl.verify.findings import describe_findings, describe_repeated_keys
from etl.verify.kinds import underlying, with_underlying_types
from etl.verify.multiset import Unmatched
from etl.verify.read_as import is_known
from etl.verify.rows import (
    CHECKSUM_MODULUS,
    ExpectedRows,
    row_bytes,
    row_list,
    row_views,
    span_of,
    walk_rows,
)
from etl.verify.source import Connection, SourceTableReader
from etl.verify.target import Chunk, CopyStream, ahead_of, reading_transaction, select_rows

REPORTED_DIFFERENCES = 20
TAIL_BYTES = 1 << 20  # how much of a target that is longer than the source is walked at once


async def verify_table(
    source: Connection,
    target: asyncpg.Connection,
    table: TablePlan,
    schema: str,
    on_rows: Callable[[int, int], None],
    *,
    rejected: Sequence[int] = (),
    on_differences: OnDifferences | None = None,
) -> VerifiedTable:
    """Compare a table of the pinned source with the one in ``schema``: rows, values, checksums.

    ``source`` stays in its transaction, ``target`` ends as it began (its reads are rolled back). ``on_rows`` gets
    the rows and source bytes of each batch. Row counts in ``difference_counts`` are exact for each kind (missing,
    extra, different); ``differences`` has the first 20, one entry a differing column; ``on_differences`` gets all.

    ``rejected`` are the positions (from 0, in the order of a scan) of rows that were set aside: they must not be in
    the target, and neither ``source_rows`` nor the checksums count them.

    Raises `SourceError` when the file cannot be read to its end, `TargetError` when the table is not there,
    `PlanError` for a type without a rule.
    """
    refuse_unknown_types(table)
    table = with_underlying_types(table)
    started = time.perf_counter()
    left_out = np.unique(np.array(rejected, np.int64))
    reader = SourceTableReader(source, table, left_out)
    with Unmatched(keyed=bool(table.primary_key), keeps_all=on_differences is not None) as unmatched:
        async with reading_transaction(target):
            tally = Tally(table, unmatched)
            query = await select_rows(target, table, schema)
            async with CopyStream(target, query, ahead_of(table)) as stream:
                await _compare(reader, stream, tally, on_rows)
            counted = await in_thread(reader.count)
            if counted != reader.rows_read:
                raise SourceError(
                    f"{table.source.name}: {reader.rows_read} rows were read where SQLite counts {counted}",
                    "check the file with: sqlite3 FILE 'pragma integrity_check'",
                )
            settled = await in_thread(unmatched.settle)
            differences = await describe_findings(settled.findings, reader, target, query, table, in_thread)
            if on_differences is not None:
                async for some in every_difference(unmatched, source, left_out, target, query, table, in_thread):
                    on_differences(some)
            coercions = await in_thread(describe_repeated_keys, tally.repeated_keys, reader, table)
    account = _account(table, tally, settled.counts, differences, time.perf_counter() - started)
    return replace(account, coercions=tuple(coercions))


def refuse_unknown_types(table: TablePlan) -> None:
    """Raise `PlanError` for a column whose type has no rule: better no verdict than a wrong one."""
    for column in table.columns:
        if not has_rule(column.type):
            raise PlanError(
                f"{table.source.name}.{column.source.name}: verification has no rule for the type {column.type}",
                "leave the table out with --exclude, or move it with --verify none and compare this column by hand",
            )
        if not is_known(column.reading, underlying(column.type)):
            reading = f"{column.type}:{column.reading.how}"
            raise PlanError(
                f"{table.source.name}.{column.source.name}: verification cannot read {reading}",
                "docs/coercion.md lists the readings under Readings",
            )


async def _compare(
    reader: SourceTableReader,
    stream: CopyStream,
    tally: Tally,
    on_rows: Callable[[int, int], None],
) -> None:
    async with aclosing(expected_batches(reader, tally)) as batches:
        async for expected in batches:
            count, size = await _compare_batch(expected, stream, tally)
            on_rows(count, size)
            del expected  # or it would live on beside the next one
    while tail := b"".join(await stream.take(TAIL_BYTES)):
        rows, starts = await in_thread(walk_rows, tail, tally.table)
        if not rows and len(tail) < TAIL_BYTES:
            break  # the trailer
        while not rows:  # one row larger than that
            more = b"".join(await stream.take(len(tail)))
            if not more:
                raise TargetError(f"{tally.table.name}: the server's COPY stream ends within a row")
            tail += more
            rows, starts = await in_thread(walk_rows, tail, tally.table)
        stream.put_back(tail[starts[-1] :])
        await in_thread(tally.add_extra, rows)


async def _compare_batch(expected: Expected, stream: CopyStream, tally: Tally) -> tuple[int, int]:
    """One batch against the stream; returns its rows and the bytes that the source has for them."""
    if isinstance(expected, LargeRow):
        if not await _large_row_is_next(expected, stream, tally):
            await _match_rows(expected, expected.byte_count, stream, tally)
        return len(expected), expected.source_bytes
    if not await _lines_up(expected, stream, tally):
        source = await in_thread(_digested_source, expected)
        await _match_rows(source, expected.byte_count, stream, tally)
    return len(expected.rows), expected.source_bytes


async def _large_row_is_next(expected: LargeRow, stream: CopyStream, tally: Tally) -> bool:
    """Whether the stream goes on with the row; if so it is taken and counted on both sides."""
    chunks = await stream.take(expected.byte_count)
    if await in_thread(expected.equals, chunks):
        tally.add_equal_sum(expected.digests[0], 1)
        stream.discard(chunks)
        return True
    while chunks:
        stream.put_back(chunks.pop())
    return False


async def _lines_up(expected: ExpectedRows, stream: CopyStream, tally: Tally) -> bool:
    """Whether the stream goes on with exactly these rows; if so they are taken and counted on both sides."""
    if expected.sent is not None:
        chunks = await stream.take(expected.byte_count)
        if await in_thread(_equal, expected.sent, chunks):
            await in_thread(tally.add_equal, row_views(expected.rows))
            return True
        stream.put_back(b"".join(chunks))
    if not expected.documents:
        return False
    return await _documents_line_up(expected, stream, tally)


async def _documents_line_up(expected: ExpectedRows, stream: CopyStream, tally: Tally) -> bool:
    """The same where the server may spell documents in any way."""
    wanted = expected.byte_count
    data = b"".join(await stream.take(wanted))
    while True:
        try:
            end = await in_thread(match_documents, data, expected, tally.versioned)
            break
        except struct.error:
            more = await stream.take(wanted // 4 + 64)
            if not more:
                end = None
                break
            data += b"".join(more)
    stream.put_back(data if end is None else data[end:])
    if end is None:
        return False
    await in_thread(tally.add_equal, row_list(expected.rows))
    return True


def _equal(sent: pa.Array, chunks: list[Chunk]) -> bool:
    """Compare the chunks with the rows, memory against memory."""
    if sum(map(len, chunks)) != span_of(sent):
        return False
    whole, at = row_bytes(sent), 0
    for chunk in chunks:
        if not whole.slice(at, len(chunk)).equals(pa.py_buffer(chunk)):
            return False
        at += len(chunk)
    return True


async def _match_rows(source: Digested, byte_count: int, stream: CopyStream, tally: Tally) -> None:
    """Match the rows of a batch that does not line up; leaves the stream where the next batch is likely to begin."""
    data = b"".join(await stream.take(byte_count))
    target, starts, shift = await in_thread(_walk_and_align, data, source, len(source), tally.table)
    if shift > 0:  # the target has rows more: the batch's last rows may follow
        data += b"".join(await stream.take(source.bytes_of_last(shift) * 5 // 4 + 64))
        limit = len(source) + shift
        target, starts, shift = await in_thread(_walk_and_align, data, source, limit, tally.table)
    if shift < 0:  # the target lacks rows: its last ones belong to the next batch
        target, starts = target.first(shift), starts[:shift]
    stream.put_back(data[starts[-1] :])
    await in_thread(tally.add_batch, source, target)


def _digested_source(expected: ExpectedRows) -> Digested:
    return Digested(row_list(expected.rows))


def _walk_and_align(data: bytes, source: Digested, limit: int, table: TablePlan) -> tuple[Digested, list[int], int]:
    rows, starts = walk_rows(data, table, limit)
    target = Digested(rows)
    return target, starts, shift_at_end(source, target)


def _account(
    table: TablePlan, tally: Tally, counts: dict[str, int], differences: list[Difference], seconds: float
) -> VerifiedTable:
    return VerifiedTable(
        name=table.source.name,
        target_name=table.name,
        source_rows=tally.source_rows,
        target_rows=tally.target_rows,
        source_checksum=f"{tally.source_sum % CHECKSUM_MODULUS:032x}",
        target_checksum=f"{tally.target_sum % CHECKSUM_MODULUS:032x}",
        verdict=Verdict.DIFFERENT if counts else Verdict.EQUAL,
        seconds=seconds,
        difference_counts=counts,
        differences=tuple(differences[:REPORTED_DIFFERENCES]),
    )
