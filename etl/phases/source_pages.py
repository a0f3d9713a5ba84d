"""The pages of a table, read in the way that the snapshot and the table allow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from dataclasses import replace

from etl.extract.binary_json import with_documents
from etl.extract.cursor import read_by_cursor
from etl.extract.leaf_pages import read_leaf_pages
from etl.extract.pages import read_pages
from etl.extract.reader import Reader
from etl.extract.snapshot import Snapshot
from etl.model import BINARY_JSON, SourcePage, TablePlan


def read(snapshot: Snapshot, reader: Reader | None, table: TablePlan, page_bytes: int) -> AsyncGenerator[SourcePage]:
    """The pages of a table, by key ranges where it has a rowid; binary JSON as text.

    Without a ``reader``, where all of them are in use, through the snapshot's Python connection.
    """
    if table.source.rowid_name is None or reader is None:
        pages = read_by_cursor(snapshot.python, table.source, page_bytes)
    elif snapshot.file is None:
        pages = read_pages(reader, table.source, page_bytes)
    else:
        pages = read_leaf_pages(snapshot.file, reader, table.source, page_bytes)
    binary = [place for place, column in enumerate(table.columns) if column.reading.how == BINARY_JSON]
    return with_documents(pages, binary) if binary else pages


def with_columns(table: TablePlan, names: Collection[str]) -> TablePlan:
    """The table with these source columns alone, where its pages can be read so."""
    if table.source.rowid_name is None:
        return table
    columns = tuple(column for column in table.columns if column.source.name in names)
    return replace(
        table, columns=columns, source=replace(table.source, columns=tuple(column.source for column in columns))
    )
