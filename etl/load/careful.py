"""COPY under savepoints, so that the rows that the server refuses are found and all others stay.

A slice that is refused is sent again in parts: the rows before the one that the server named, that row alone, and the
rest in halves; or in halves, where it has named none, or none to be believed. A row is refused when it was sent alone:
the line in an error is a hint.

Invariant: every row of a slice is in the table or among the refused, and none is in both.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace

import asyncpg

from etl.errors import TargetError
from etl.load.connect import named_errors
from etl.load.copy import copy_some
from etl.load.encode import TableEncoder
from etl.model import ColumnPlan, RefusedRow, Slice, TablePlan, TargetPage, Way

# data exceptions, constraints, limits (a row too big, a document too deep), what a trigger raises
ROW_STATES = ("22", "23", "54", "P0")
LIMIT_EXCEEDED = "54000"
# What the server says of a row too big for a page, it says when it writes the rows that it has gathered: the line is
# that of the last one of up to 1,000. All else names its very line, be it said of the value (22, 54001), of the row
# (23502, 23514, a BEFORE trigger's P0001) or of its entry in an index (23505, 23P01, 54000); or, where it is said when
# the COPY is over (23503, an AFTER trigger's P0001), no line at all. tests/integration/test_copy_lines.py asks it.
ROWS_AT_ONCE = "RelationGetBufferForTuple"


def refuses_a_row(error: TargetError) -> bool:
    """Whether it is a row that the server does not take, and not the whole of what was asked."""
    return (error.sqlstate or "").startswith(ROW_STATES)


def refused_row(error: TargetError, table: TablePlan, position: int) -> RefusedRow:
    """The row that a COPY failed at, in the server's words."""
    cause = error.__cause__
    told = str(cause.args[0]) if isinstance(cause, asyncpg.PostgresError) and cause.args else error.message
    detail = getattr(cause, "detail", None)
    named = re.search(r"^COPY .*, line \d+, column (.+?)(?:: |$)", getattr(cause, "context", None) or "", re.MULTILINE)
    column = getattr(cause, "column_name", None) or (named[1] if named else "")
    plan = next((plan for plan in table.columns if plan.name == column), None)
    cast = "" if plan is None or plan.type.name == "text" else f"{_other_type(table, plan)}, "
    return RefusedRow(
        position,
        (column,) if plan else (),
        f"the server refuses {'{values}' if plan else 'the row'}: {told}" + (f" ({detail})" if detail else ""),
        f"{cast}correct the row in SQLite, or set it aside with --on-error reject",
    )


def _other_type(table: TablePlan, column: ColumnPlan) -> str:
    """How to let the column be text; the type of one that the target had is not ours to choose."""
    if table.way is Way.FILL:
        return f"alter table {table.name} alter {column.name} type text in the target"
    return f"--cast {shlex.quote(f'{table.source.name}.{column.source.name}=text')}"


def place_of_fault(error: TargetError) -> int | None:
    """The place of the row at fault, from 0; None where the server named no line, or that of another row."""
    function = getattr(error.__cause__, "server_source_function", None)
    if error.sqlstate == LIMIT_EXCEEDED and function in (ROWS_AT_ONCE, None):
        return None
    return error.position


def named_row(error: TargetError, table: TablePlan) -> RefusedRow | None:
    """The row at fault, where the server has named its very line."""
    place = place_of_fault(error)
    return refused_row(error, table, place) if place is not None and refuses_a_row(error) else None


@dataclass
class CarefulCopy:
    """Copies the slices of one table, which keep their pages; ``refused`` are the rows that the server did not take."""

    table: TablePlan
    refused: list[RefusedRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._encoder = TableEncoder(self.table)
        self.begin_again()

    def begin_again(self) -> None:
        """The table is loaded from its start."""
        self._position = 0  # rows before the slice, refused ones among them
        self.refused.clear()

    async def __call__(
        self,
        connection: asyncpg.Connection,
        schema: str,
        table: TablePlan,
        slices: AsyncGenerator[Slice, None],
        on_sent: Callable[[Slice], None],
    ) -> bool:
        """As ``copy_some``, one slice a COPY."""
        piece = await anext(slices, None)
        if piece is None:
            return False
        refused_before = len(self.refused)
        await self._send(connection, schema, piece, self._position)
        on_sent(replace(piece, row_count=piece.row_count - (len(self.refused) - refused_before)))
        self._position += piece.row_count
        return True

    async def _send(self, connection: asyncpg.Connection, schema: str, piece: Slice, position: int) -> None:
        if not piece.row_count:
            return
        try:
            async with savepoint(connection, self.table.name):
                await copy_some(connection, schema, self.table, _only(piece), lambda _: None, freeze=False)
        except TargetError as error:
            if not refuses_a_row(error) or connection.is_closed() or piece.page is None:
                raise
            if piece.row_count == 1:
                self.refused.append(refused_row(error, self.table, position))
                return
            for start, count in cuts(piece.row_count, place_of_fault(error)):
                part = self._encoder.encode_page(part_of(piece.page, start, count))
                await self._send(
                    connection, schema, replace(part, page=part_of(piece.page, start, count)), position + start
                )


@contextlib.asynccontextmanager
async def savepoint(connection: asyncpg.Connection, where: str) -> AsyncIterator[None]:
    """Undo what the block has done when it fails, and nothing else of the transaction."""
    with named_errors(where):
        await connection.execute("savepoint etl_slice")
        try:
            yield
        except TargetError:
            if not connection.is_closed():
                await connection.execute("rollback to savepoint etl_slice; release savepoint etl_slice")
            raise
        await connection.execute("release savepoint etl_slice")


def cuts(row_count: int, at_fault: int | None) -> Iterator[tuple[int, int]]:
    """Start and length of the parts, all of them smaller: before the row at fault, the row, and the rest in halves.

    Two halves where nobody knows the row.
    """
    fault = 0 if at_fault is None else min(at_fault, row_count - 1)
    known = fault if at_fault is None else fault + 1
    middle = (known + row_count + 1) // 2
    for start, end in ((0, fault), (fault, known), (known, middle), (middle, row_count)):
        if start < end:
            yield start, end - start


def part_of(page: TargetPage, start: int, count: int) -> TargetPage:
    """Some rows of a page."""
    return replace(page, row_count=count, batch=page.batch.slice(start, count), rejected=())


async def _only(piece: Slice) -> AsyncGenerator[Slice, None]:
    yield piece
