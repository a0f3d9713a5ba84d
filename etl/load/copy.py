"""COPY the slices of one table inside the table's one transaction.

A COPY takes slices until it has seen about ``COPY_BYTES``: the server tells an error only when a COPY ends, and waits
for us between two of them (one COPY a page left it idle for a fifth of the time).

Invariant: the rows that the server counted are the rows that were sent, or the transaction is rolled back.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from functools import partial
from typing import Protocol, cast

import asyncpg

from etl.errors import TargetError
from etl.load.connect import named_errors
from etl.load.rejects import RejectFile
from etl.model import LoadedTable, Slice, TablePlan

CopySome = Callable[
    [asyncpg.Connection, str, TablePlan, AsyncGenerator[Slice, None], Callable[[Slice], None]],
    Awaitable[bool],
]
COPY_BYTES = 32 << 20
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the extension
TRAILER = b"\xff\xff"


class Destination(Protocol):
    """Where tables are filled: a staging schema of the run's own, or the application's own tables."""

    schema: str

    def table_transaction(self, connection: asyncpg.Connection, table: TablePlan) -> AbstractAsyncContextManager[bool]:
        """What holds the rows of one table together, which is empty when it begins; whether they may be frozen."""

    async def note_loaded(self, connection: asyncpg.Connection, table: str, row_count: int) -> None:
        """The table is through; still inside its transaction."""


async def copy_table(
    connection: asyncpg.Connection,
    destination: Destination,
    table: TablePlan,
    slices: AsyncGenerator[Slice, None],
    on_slice: Callable[[Slice], None],
    rejects: RejectFile | None = None,
    careful: CopySome | None = None,
) -> LoadedTable:
    """Fill the empty table and commit, as far as its destination commits; an error leaves it empty.

    COPY … FREEZE in the transaction that truncates the table: the first read then has no hint bits to write.
    ``careful`` copies in its own way what the server has refused before.
    """
    started = time.perf_counter()
    row_count = source_bytes = copied_bytes = 0
    async with aclosing(slices), destination.table_transaction(connection, table) as freeze:
        if rejects is not None:
            rejects.begin_again()

        def on_sent(piece: Slice) -> None:
            nonlocal row_count, source_bytes, copied_bytes
            if rejects is not None:
                rejects.write(piece.rejected)
            row_count += piece.row_count
            source_bytes += piece.source_bytes
            copied_bytes += sum(map(len, piece.chunks))
            on_slice(piece)

        copy = careful or partial(copy_some, freeze=freeze)
        goes_on = True
        while goes_on:
            sent_before = row_count
            try:
                goes_on = await copy(connection, destination.schema, table, slices, on_sent)
            except TargetError as error:
                error.position = None if error.position is None else error.position + sent_before
                raise
        await destination.note_loaded(connection, table.name, row_count)
    return LoadedTable(
        table.source.name,
        row_count,
        source_bytes,
        copied_bytes,
        time.perf_counter() - started,
        rejected_rows=len(rejects.ordinals) if rejects is not None else 0,
    )


async def append_slices(
    connection: asyncpg.Connection, schema: str, table: TablePlan, slices: AsyncGenerator[Slice, None]
) -> tuple[int, int]:
    """COPY into a table that is in use already; returns rows and bytes."""
    rows = size = 0

    def on_sent(piece: Slice) -> None:
        nonlocal rows, size
        rows += piece.row_count
        size += sum(map(len, piece.chunks))

    while await copy_some(connection, schema, table, slices, on_sent, freeze=False):
        pass
    return rows, size


async def copy_some(
    connection: asyncpg.Connection,
    schema: str,
    table: TablePlan,
    slices: AsyncGenerator[Slice, None],
    on_sent: Callable[[Slice], None],
    *,
    freeze: bool = True,
) -> bool:
    """One COPY of the next slices; returns whether there were any.

    Raises TargetError that names the keys of the COPY, and those of the row where the server names its line.
    """
    first = await anext(slices, None)
    if first is None:
        return False
    form, handed, sent = first.format, [first], list[Slice]()
    del first  # a large one must not live on beside the next
    with positioned_errors(sent, handed), named_errors(table.name, lambda error: place_of(sent, error)):
        status = await connection.copy_to_table(
            table.name,
            schema_name=schema,
            columns=[column.name for column in table.columns],
            source=_messages(handed, form, slices, sent, on_sent),
            format=form,
            freeze=freeze,
        )
    row_count = sum(piece.row_count for piece in sent)
    if status != f"COPY {row_count}":
        raise TargetError(
            f"{table.name}: the server answered {status!r} to {row_count} rows",
            "a trigger or rule may stand in the way; nothing was kept",
        )
    return True


async def _messages(
    handed: list[Slice],
    form: str,
    slices: AsyncGenerator[Slice, None],
    sent: list[Slice],
    on_sent: Callable[[Slice], None],
) -> AsyncIterator[bytes]:
    """The stream of one COPY: of what was ``handed``, and of what follows it."""
    if form == "binary":
        yield HEADER
    size = 0
    while handed:
        for chunk in handed[0].chunks:
            size += len(chunk)
            yield cast(bytes, chunk)  # asyncpg takes any buffer
            del chunk
        on_sent(handed[0])
        sent.append(replace(handed.pop(), chunks=(), page=None))  # for the message of an error; the bytes are gone
        if size < COPY_BYTES and (following := await anext(slices, None)) is not None:
            handed.append(following)
            del following
    if form == "binary":
        yield TRAILER


@contextlib.contextmanager
def positioned_errors(*slices: list[Slice]) -> Iterator[None]:
    """Tell in the error which row of the COPY the server named; in CSV it counts the line breaks in values too."""
    try:
        yield
    except TargetError as error:
        broken = any(piece.breaks_lines for some in slices for piece in some)
        if not broken and isinstance(error.__cause__, asyncpg.PostgresError) and (line := line_of(error.__cause__)):
            error.position = line - 1
        raise


def line_of(error: asyncpg.PostgresError) -> int | None:
    """The line of the COPY at which the server stopped, from 1."""
    found = re.search(r"^COPY .*, line (\d+)", getattr(error, "context", None) or "", re.MULTILINE)
    return int(found[1]) if found else None


def place_of(sent: Sequence[Slice], error: asyncpg.PostgresError) -> str:
    """The keys between which the server's error lies: of the slice that holds its line, else of the whole COPY."""
    line = line_of(error)
    for piece in sent:
        if line is not None and line <= piece.row_count:
            return f" (rows {piece.first_key} to {piece.last_key})"
        line = None if line is None else line - piece.row_count
    return f" (rows {sent[0].first_key} to {sent[-1].last_key})" if sent else ""
