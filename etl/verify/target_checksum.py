"""The checksum of a table of the target alone, for a comparison with what an earlier report says of it."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from etl.errors import TargetError
from etl.model import TablePlan
from etl.verify.batches import in_thread
from etl.verify.compare import TAIL_BYTES, refuse_unknown_types
from etl.verify.kinds import with_underlying_types
from etl.verify.rows import CHECKSUM_MODULUS, sum_digests, walk_rows
from etl.verify.target import CopyStream, reading_transaction, select_rows

_TRAILER_BYTES = 2


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
            data = b""
            while more := b"".join(await stream.take(max(TAIL_BYTES, len(data)))):
                data += more
                rows, starts = await in_thread(walk_rows, data, table)
                if rows:
                    total += await in_thread(sum_digests, rows)
                row_count += len(rows)
                on_rows(len(rows), starts[-1])
                data = data[starts[-1] :]
    if len(data) > _TRAILER_BYTES:
        raise TargetError(f"{table.name}: the server's COPY stream ends within a row")
    return row_count, f"{total % CHECKSUM_MODULUS:032x}"
