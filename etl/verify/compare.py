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

from etl.errors import PlanError, SourceError
from etl.model import Difference, TablePlan, Verdict, VerifiedTable
from etl.verify.account import Digested, LargeRows, Tally, shift_at_end
from etl.verify.batches import Expected, expected_batches, in_thread, in_worker
from etl.verify.document_rows import match_documents
from etl.verify.every_difference import OnDifferences, every_difference
from etl.verify.findings import describe_findings, describe_repeated_keys
from etl.verify.multiset import Unmatched
from etl.verify.rows import (
    CHECKSUM_MODULUS,
    ExpectedRows,
    row_bytes,
    row_list,
    row_views,
    span_of,
    viewed,
    walk_rows,
    whole_rows,
)
from etl.verify.source import Connection, SourceTableReader
from etl.verify.target import Chunk, CopyStream, ahead_of, reading_transaction, select_rows
from etl.verify.values.equivalents import has_rule
from etl.verify.values.kinds import underlying, with_underlying_types
from etl.verify.values.read_as import is_known

REPORTED_DIFFERENCES = 20


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
    while rows := await stream.take_rows():
        await in_worker(_add_extra, rows, tally)
        stream.discard([rows])


def _add_extra(rows: Chunk, tally: Tally) -> None:
    tally.add_extra(whole_rows(rows, tally.table))


async def _compare_batch(expected: Expected, stream: CopyStream, tally: Tally) -> tuple[int, int]:
    """One batch against the stream; returns its rows and the bytes that the source has for them."""
    if isinstance(expected, LargeRows):
        if not await _large_rows_are_next(expected, stream, tally):
            await _match_rows(expected, expected.byte_count, stream, tally)
        return len(expected), expected.source_bytes
    if not await _lines_up(expected, stream, tally):
        source = await in_worker(_digested_source, expected)
        await _match_rows(source, expected.byte_count, stream, tally)
    return len(expected.rows), expected.source_bytes


async def _large_rows_are_next(expected: LargeRows, stream: CopyStream, tally: Tally) -> bool:
    """Whether the stream goes on with these rows; if so they are taken and counted on both sides."""
    if not await in_worker(expected.equals, await stream.peek(expected.byte_count)):
        return False
    tally.add_equal_sum(sum(expected.digests), len(expected))
    stream.advance(expected.byte_count)
    return True


async def _lines_up(expected: ExpectedRows, stream: CopyStream, tally: Tally) -> bool:
    """Whether the stream goes on with exactly these rows; if so they are taken and counted on both sides."""
    if expected.sent is not None and await in_worker(_equal, expected.sent, await stream.peek(expected.byte_count)):
        await in_worker(tally.add_equal, row_views(expected.rows))
        stream.advance(expected.byte_count)
        return True
    if not expected.documents:
        return False
    return await _documents_line_up(expected, stream, tally)


async def _documents_line_up(expected: ExpectedRows, stream: CopyStream, tally: Tally) -> bool:
    """The same where the server may spell documents in any way."""
    wanted, end = expected.byte_count, None
    while True:
        data = b"".join(await stream.peek(wanted))
        try:
            end = await in_worker(match_documents, data, expected, tally.versioned)
            break
        except struct.error:
            if len(data) < wanted:
                break
            wanted += wanted // 4 + 64
    if end is None:
        return False
    await in_worker(tally.add_equal, row_list(expected.rows))
    stream.advance(end)
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
    chunks = await stream.peek_chunks(byte_count)
    target, end, shift = await in_worker(_walk_and_align, chunks, source, len(source), tally.table)
    if shift > 0:  # the target has rows more: the batch's last rows may follow
        chunks = await stream.peek_chunks(sum(map(len, chunks)) + source.bytes_of_last(shift) * 5 // 4 + 64)
        target, end, _ = await in_worker(_walk_and_align, chunks, source, len(source) + shift, tally.table)
    await in_worker(tally.add_batch, source, target)
    del chunks, target  # with the views that they are
    stream.advance(end)


def _digested_source(expected: ExpectedRows) -> Digested:
    return Digested(row_list(expected.rows))


def _walk_and_align(
    chunks: Sequence[Chunk], source: Digested, limit: int, table: TablePlan
) -> tuple[Digested, int, int]:
    """The rows, where they end, and `shift_at_end`; without those at their end that belong to the next batch."""
    rows: list[bytes] = []
    ends = [0]
    for chunk in chunks:
        some, starts = walk_rows(viewed(chunk), table, limit - len(rows))
        rows += some
        ends += [ends[-1] + start for start in starts[1:]]
    target = Digested(rows)
    shift = shift_at_end(source, target)
    return (target.first(shift), ends[shift - 1], shift) if shift < 0 else (target, ends[-1], shift)


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
