"""Compares one table by digests that the server computes: `--verify digest`, for a network that is slow.

Invariant: a table is equal only when in every part both sides have as many rows and the same sums of their SHA-256
(row_hashes.py). The part of a row is told by its hash: neither the order of rows nor the size of pages matters. Rows
of parts that differ are read and compared as values.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import asyncpg
import numpy as np
from numpy.typing import NDArray

from etl.errors import SourceError
from etl.model import Difference, Proof, TablePlan, Verdict, VerifiedTable
from etl.verify.account import key_digest, key_places
from etl.verify.batches import in_thread
from etl.verify.compare import REPORTED_DIFFERENCES, refuse_unknown_types, verify_table
from etl.verify.every_difference import OnDifferences, every_difference
from etl.verify.findings import describe_findings
from etl.verify.multiset import SOURCE, TARGET, Unmatched
from etl.verify.readings import quoted
from etl.verify.row_hashes import PartSums, hash_rows, hashed_sql, part_sql, parts_of, type_numbers_of
from etl.verify.rows import digest, expect_rows, row_views, whole_rows
from etl.verify.source import Connection, SourceTableReader
from etl.verify.target import Chunk, CopyStream, ahead_of, reading_transaction, select_rows
from etl.verify.values.kinds import sent_as, with_underlying_types

OnRows = Callable[[int, int], None]

ROWS_PER_PART = 512
MOST_PARTS = 1 << 14
READ_ALL = 8  # where one part in so many differs, all rows are read
_NUMBER = "etl row number"
_NUMBER_BYTES = 12  # its length word and payload, at the end of a row
_TYPES = (
    "select a.attname::text as name, a.atttypid::bigint as number from pg_catalog.pg_attribute a"
    " join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped"
)


@dataclass(frozen=True, slots=True)
class _Side:
    """The target of one comparison: where it is read, by which SELECT, and the numbers of its columns' types."""

    connection: asyncpg.Connection
    query: str
    type_numbers: Sequence[int]


async def digest_table(
    source: Connection,
    target: asyncpg.Connection,
    table: TablePlan,
    schema: str,
    on_rows: OnRows,
    *,
    rejected: Sequence[int] = (),
    on_differences: OnDifferences | None = None,
) -> VerifiedTable:
    """As `verify_table`, over the network only what differs; without checksums, for they want every row's bytes.

    Raises what `verify_table` raises.
    """
    refuse_unknown_types(table)
    table = with_underlying_types(table)
    started = time.perf_counter()
    left_out = np.unique(np.array(rejected, np.int64))
    parts = parts_for(table.source.rows_estimate)
    async with reading_transaction(target):
        query = await select_rows(target, table, schema)
        side = _Side(target, query, await _type_numbers(target, table, schema))
        reader = SourceTableReader(source, table, left_out)
        ours, theirs = await _both_sums(reader, side, table, parts, on_rows)
        unequal = ours.unequal(theirs)
        if len(unequal) * READ_ALL <= parts or len(unequal) <= READ_ALL:
            account = await _compare_parts(source, left_out, side, table, unequal, parts, on_differences)
            return VerifiedTable(
                name=table.source.name,
                target_name=table.name,
                source_rows=int(ours.rows.sum()),
                target_rows=int(theirs.rows.sum()),
                source_checksum=None,
                target_checksum=None,
                verdict=Verdict.DIFFERENT if account[0] else Verdict.EQUAL,
                seconds=time.perf_counter() - started,
                difference_counts=account[0],
                differences=account[1],
                proof=Proof.DIGEST,
            )
    return await verify_table(
        source, target, table, schema, lambda rows, size: None, rejected=rejected, on_differences=on_differences
    )


def parts_for(rows: int) -> int:
    """Into how many parts a table is divided: a power of two; about `ROWS_PER_PART` rows a part."""
    return min(MOST_PARTS, 1 << max(4, (max(rows, 1) // ROWS_PER_PART).bit_length()))


async def _type_numbers(target: asyncpg.Connection, table: TablePlan, schema: str) -> list[int]:
    found = {row["name"]: row["number"] for row in await target.fetch(_TYPES, schema, table.name)}
    for column in table.columns:
        if (kind := sent_as(column.type)) is not None:
            found[column.name] = await target.fetchval("select $1::text::regtype::oid::bigint", kind)
    return type_numbers_of(table, found)


async def _both_sums(
    reader: SourceTableReader, side: _Side, table: TablePlan, parts: int, on_rows: OnRows
) -> tuple[PartSums, PartSums]:
    """The sums of both sides, computed at the same time."""
    hashed = hashed_sql(table, side.query)
    summed = (
        f"select second & {parts - 1} as part, count(*) as rows, sum(first) as first, sum(second) as second"
        f" from ({hashed}) as halves group by 1"
    )
    asked = asyncio.ensure_future(side.connection.fetch(summed))
    try:
        ours, theirs = PartSums(parts), PartSums(parts)
        batches = reader.batches()

        def advance() -> tuple[int, int] | None:
            rows = next(batches, None)
            if rows is None:
                return None
            ours.add(hash_rows(rows, table, side.type_numbers))
            return rows.row_count, rows.bytes

        while (done := await in_thread(advance)) is not None:
            on_rows(*done)
        counted = await in_thread(reader.count)
        if counted != reader.rows_read:
            raise SourceError(
                f"{table.source.name}: {reader.rows_read} rows were read where SQLite counts {counted}",
                "check the file with: sqlite3 FILE 'pragma integrity_check'",
            )
        for row in await asked:
            theirs.set(int(row["part"]), row["rows"], int(row["first"]), int(row["second"]))
        return ours, theirs
    finally:
        asked.cancel()
        await asyncio.wait({asked})
        if not asked.cancelled():
            asked.exception()  # retrieved: the first error is the one to show


async def _compare_parts(
    source: Connection,
    left_out: NDArray[np.int64],
    side: _Side,
    table: TablePlan,
    unequal: Sequence[int],
    parts: int,
    on_differences: OnDifferences | None,
) -> tuple[dict[str, int], tuple[Difference, ...]]:
    """The rows of some parts, read on both sides and compared as values: how many differ, and the first of them."""
    if not unequal:
        return {}, ()
    places = key_places(table)
    reader = SourceTableReader(source, table, left_out)
    with Unmatched(keyed=bool(table.primary_key), keeps_all=on_differences is not None) as unmatched:

        def add_source() -> None:
            for position, row in _source_rows(reader, side, table, unequal, parts):
                value = digest(row)
                unmatched.add(SOURCE, value, key_digest(cast(bytes, row), value, places), position)  # any buffer does

        def add_target(rows: Chunk) -> None:
            for numbered in whole_rows(rows, table):
                position, row = _without_number(numbered)
                value = digest(row)
                unmatched.add(TARGET, value, key_digest(row, value, places), position)

        await in_thread(add_source)
        async with aclosing(_target_rows(side, table, unequal, parts)) as batches:
            async for rows in batches:
                await in_thread(add_target, rows)
                CopyStream.discard([rows])
                del rows
        settled = await in_thread(unmatched.settle)
        found = await describe_findings(settled.findings, reader, side.connection, side.query, table, in_thread)
        if on_differences is not None:
            every = every_difference(unmatched, source, left_out, side.connection, side.query, table, in_thread)
            async for some in every:
                on_differences(some)
        return settled.counts, tuple(found[:REPORTED_DIFFERENCES])


def _source_rows(
    reader: SourceTableReader, side: _Side, table: TablePlan, unequal: Sequence[int], parts: int
) -> Iterator[tuple[int, bytes | memoryview]]:
    """The canonical rows of these parts with their places among the rows that are handed out."""
    wanted = np.zeros(parts, np.bool_)
    wanted[list(unequal)] = True
    first = 0
    for rows in reader.batches():
        chosen = np.flatnonzero(wanted[parts_of(hash_rows(rows, table, side.type_numbers), parts)])
        if len(chosen):
            views = row_views(expect_rows(rows, table).rows)
            yield from ((first + place, views[place]) for place in chosen.tolist())
            del views
        first += rows.row_count
        del rows  # a large one must not live on beside the next


async def _target_rows(
    side: _Side, table: TablePlan, unequal: Sequence[int], parts: int
) -> AsyncGenerator[Chunk, None]:
    """The same of the target as they arrive, with their places in its scan in a column more."""
    names = ", ".join(quoted(column.name) for column in table.columns)
    numbered = side.query.replace("select ", f'select row_number() over () as "{_NUMBER}", ', 1)
    listed = ", ".join(map(str, unequal))
    query = f'select {names}, "{_NUMBER}" from ({numbered}) as numbered where {part_sql(table, parts)} in ({listed})'
    async with CopyStream(side.connection, query, ahead_of(table)) as stream:
        while chunk := await stream.take_rows():
            yield chunk
            del chunk


def _without_number(row: bytes) -> tuple[int, bytes]:
    """The place of a row, and the row without the column that tells it."""
    position = int.from_bytes(row[-8:], "big") - 1
    columns = int.from_bytes(row[:2], "big") - 1
    return position, b"".join((columns.to_bytes(2, "big"), row[2:-_NUMBER_BYTES]))
