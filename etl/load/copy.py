"""COPY the slices of one table inside the table's one transaction.

Invariant: the rows that the server counted are the rows that were sent, or the transaction is rolled back.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import asyncpg

from etl.errors import TargetError
from etl.load.connect import named_errors, quote
from etl.load.journal import Staging
from etl.load.rejects import RejectFile
from etl.model import LoadedTable, Slice, TablePlan


async def copy_table(
    connection: asyncpg.Connection,
    staging: Staging,
    table: TablePlan,
    slices: AsyncGenerator[Slice, None],
    on_slice: Callable[[Slice], None],
    rejects: RejectFile | None = None,
) -> LoadedTable:
    """Fill the empty staging table and commit; an error leaves it empty.

    TRUNCATE and COPY … FREEZE in one transaction without savepoints: the first read then has no hint bits to write.
    """
    started = time.perf_counter()
    row_count = source_bytes = copied_bytes = 0
    name = f"{quote(staging.schema)}.{quote(table.name)}"
    async with aclosing(slices), _Transaction(connection, table.name):
        # what is committed here is flushed when the publish commits; until then a crash may take it
        await connection.execute("set local synchronous_commit = off")
        await connection.execute(f"truncate {name}")
        if rejects is not None:
            rejects.begin_again()
        async for piece in slices:
            if rejects is not None:
                rejects.write(piece.rejected)
            await copy_slice(connection, staging.schema, table, piece)
            row_count += piece.row_count
            source_bytes += piece.source_bytes
            copied_bytes += sum(len(chunk) for chunk in piece.chunks)
            on_slice(piece)
        await staging.note_loaded(connection, table.name, row_count)
    return LoadedTable(
        table.source.name,
        row_count,
        source_bytes,
        copied_bytes,
        time.perf_counter() - started,
        rejected_rows=len(rejects.ordinals) if rejects is not None else 0,
    )


async def append_slice(connection: asyncpg.Connection, schema: str, table: TablePlan, piece: Slice) -> None:
    """One COPY into a table that is in use already."""
    await copy_slice(connection, schema, table, piece, freeze=False)


async def copy_slice(
    connection: asyncpg.Connection, schema: str, table: TablePlan, piece: Slice, *, freeze: bool = True
) -> None:
    """One COPY; raises TargetError that names the keys of the slice."""
    with named_errors(f"{table.name} (rows {piece.first_key} to {piece.last_key})"):
        status = await connection.copy_to_table(
            table.name,
            schema_name=schema,
            columns=[column.name for column in table.columns],
            source=_messages(piece),
            format=piece.format,
            freeze=freeze,
        )
    if status != f"COPY {piece.row_count}":
        raise TargetError(
            f"{table.name}: the server answered {status!r} to {piece.row_count} rows",
            "a trigger or rule may stand in the way; nothing was kept",
        )


async def _messages(piece: Slice) -> AsyncIterator[bytes]:
    for chunk in piece.chunks:
        yield chunk


class _Transaction:
    """BEGIN and COMMIT by hand, so that the first error is the one shown, not a ROLLBACK on a dead connection."""

    def __init__(self, connection: asyncpg.Connection, where: str) -> None:
        self._connection = connection
        self._where = where

    async def __aenter__(self) -> None:
        with named_errors(self._where):
            await self._connection.execute("begin")

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            with named_errors(self._where):
                await self._connection.execute("commit")
        elif not self._connection.is_closed():
            try:
                await self._connection.execute("rollback")
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                self._connection.terminate()
