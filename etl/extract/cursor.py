"""Read a table that has no usable rowid: one cursor from end to end, cut into pages by us.

Invariant: as in ``pages.py``, every row is in exactly one page; there is no keyset to get wrong, and no way to start
again in the middle.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import aiosqlite
import pyarrow as pa

from etl.extract.pages import quote
from etl.model import SourcePage, SourceTable, SplitColumn

FETCH_ROWS = 512
MOST_ROWS = 16_384  # of a page: as Python objects they take several times the bytes that are counted


async def read_by_cursor(
    connection: aiosqlite.Connection, table: SourceTable, page_bytes: int
) -> AsyncGenerator[SourcePage, None]:
    """Yield the pages of ``table`` in the order of its primary key's b-tree, every column split."""
    names = ", ".join(quote(column.name) for column in table.columns)
    fetch_rows = max(1, min(FETCH_ROWS, page_bytes // max(1, table.largest_row_bytes)))
    async with (
        connection.execute(f"select {names} from {quote(table.name)} not indexed") as cursor,
        aclosing(_chunks(cursor, fetch_rows, page_bytes)) as chunks,
    ):
        number = 0
        async for rows, size in chunks:
            yield page_of(rows, table, number, size)
            number += 1


async def _chunks(
    cursor: aiosqlite.Cursor, fetch_rows: int, page_bytes: int
) -> AsyncGenerator[tuple[list[Sequence[Any]], int], None]:
    rows: list[Sequence[Any]] = []
    size = 0
    while fetched := list(await cursor.fetchmany(fetch_rows)):
        rows += fetched
        size += sum(len(cell) if isinstance(cell, str | bytes) else 8 for row in fetched for cell in row)
        if size >= page_bytes or len(rows) + fetch_rows > MOST_ROWS:
            yield rows, size
            rows, size = [], 0
    if rows:
        yield rows, size


def page_of(rows: Sequence[Sequence[Any]], table: SourceTable, number: int, size: int) -> SourcePage:
    cells = list(zip(*rows, strict=True))
    places = {column.name: index for index, column in enumerate(table.columns)}
    key_names = table.primary_key or tuple(places)[:1]
    return SourcePage(
        number=number,
        row_count=len(rows),
        columns=tuple(split_cells(column) for column in cells),
        key_names=key_names,
        keys=tuple(printable(cells[places[name]]) for name in key_names),
        source_bytes=size,
    )


def split_cells(cells: Sequence[Any]) -> SplitColumn:
    """Python's cells by storage class: int, float, str (bad UTF-8 as surrogates), bytes."""
    texts = [cell.encode("utf-8", "surrogateescape") if type(cell) is str else None for cell in cells]
    return SplitColumn(
        integers=pa.array([cell if type(cell) is int else None for cell in cells], pa.int64()),
        reals=pa.array([cell if type(cell) is float else None for cell in cells], pa.float64()),
        texts=pa.array(texts, pa.binary()).view(pa.string()),
        blobs=pa.array([cell if type(cell) is bytes else None for cell in cells], pa.binary()),
    )


def printable(cells: Sequence[Any]) -> pa.Array:
    """A key column for messages: as its one Python type, or as literals where it has several."""
    kinds = set(map(type, cells))
    if kinds == {int}:
        return pa.array(cells, pa.int64())
    if kinds == {str}:
        return pa.array([cell.encode("utf-8", "surrogateescape") for cell in cells], pa.binary()).view(pa.string())
    return pa.array([repr(cell).encode("utf-8", "replace") for cell in cells], pa.binary()).view(pa.string())
