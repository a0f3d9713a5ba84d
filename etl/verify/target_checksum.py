"""The checksum of a table of the target alone, for a comparison with what an earlier report says of it."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from etl.model import TablePlan
from etl.verify.batches import in_thread
from etl.verify.compare import refuse_unknown_types
from etl.verify.rows import CHECKSUM_MODULUS, sum_digests, whole_rows
from etl.verify.target import Chunk, CopyStream, reading_transaction, select_rows
from etl.verify.values.kinds import with_underlying_types


async def checksum_table(
    target: asyncpg.Connection, table: TablePlan, schema: str, on_rows: Callable[[int, int], None]
) -> tuple[int, str]:
    """The number of rows and the checksum (docs/checksums.md) of the table's columns, as they are in ``schema``.

    Raises `TargetError` when the table is not there, `PlanError` for a type without a rule.
    """
    refuse_unknown_types(table)
    table = with_underlying_types(table)
    row_count = total = 0
    async with reading_transaction(target):
        query = await select_rows(target, table, schema)
        async with CopyStream(target, query) as stream:
            while chunk := await stream.take_rows():
                count, some = await in_thread(_summed, chunk, table)
                on_rows(count, len(chunk))
                stream.discard([chunk])
                row_count += count
                total += some
    return row_count, f"{total % CHECKSUM_MODULUS:032x}"


def _summed(chunk: Chunk, table: TablePlan) -> tuple[int, int]:
    """How many rows these are, and the sum of their digests."""
    rows = whole_rows(chunk, table)
    return len(rows), sum_digests(rows) if rows else 0
