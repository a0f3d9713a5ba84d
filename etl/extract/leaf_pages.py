"""Read a table straight from the leaves of its b-tree; what is unusual there SQLite reads (``pages.py``).

The contract is that of ``read_pages``: every row of the snapshot in exactly one page, in rowid order, every cell as
SQLite stores it. Invariant: this reader decides nothing. Where bytes are not as it knows them, be it damage or only
rare, the same rows are asked of SQLite, which answers or says what is wrong.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pyarrow as pa

from etl.extract.added_columns import AddedColumns, parts_of
from etl.extract.btree import LEAF, cell_counts, ensure_kind, read_leaf_numbers
from etl.extract.cell_texts import CellTexts
from etl.extract.database_file import DatabaseFile, PageNumbers, UnusualPageError
from etl.extract.overflow import with_overflow
from etl.extract.pages import MAX_PAGE_ROWS, Reading, cut_by_bytes, read_range
from etl.extract.reader import Reader
from etl.extract.records import Rows, lay_out, read_rows
from etl.extract.stored_table import StoredTable, find_stored_table
from etl.extract.stored_values import StoredValues
from etl.model import PlainColumn, SourceColumn, SourcePage, SourceTable, SourceValues
from etl.threads import Turn, in_thread, in_turn

MOST_FALLBACKS = 8  # in a row; then SQLite reads the rest of the table, for reading twice costs more
MOST_CELLS = 1 << 20  # of a page: some twenty bytes for each are needed to find them
FIRST_LEAVES = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that SQLite must read: those up to this rowid, or all that are left."""

    last: int | None


async def read_leaf_pages(
    file: DatabaseFile, reader: Reader, table: SourceTable, page_bytes: int
) -> AsyncGenerator[SourcePage, None]:
    """Yield the pages of a rowid table in rowid order, as ``read_pages`` does."""
    by_query = Reading(reader, table)
    leaves = LeafReading(file, by_query, page_bytes)
    number = 0
    after: int | None = None
    await in_thread(leaves.begin)
    while (found := await in_turn(Turn.READ, leaves.read, number)) is not None:
        if isinstance(found, SourcePage):
            yield found
            number += 1
        else:
            async with aclosing(read_range(by_query, page_bytes, number, after, found.last)) as pages:
                async for page in pages:
                    yield page
                    del page  # a large one must not live on beside the next
                    number += 1
            if found.last is None:
                return
        after = leaves.last


class LeafReading:
    """One table being read from its leaves; all methods block."""

    def __init__(self, file: DatabaseFile, by_query: Reading, page_bytes: int) -> None:
        self._file = file
        self._table = by_query.table
        self._reader = by_query.reader
        self._added = AddedColumns(by_query)
        self._page_bytes = page_bytes
        self._fallbacks = 0
        self._groups: Iterator[Rows] = iter(())
        self._stored: StoredTable | None = None
        self.last: int | None = None  # the rowid of the last row of what ``read`` returned

    def begin(self) -> None:
        """Find the table in the file."""
        try:
            self._file.read_header()
            self._stored = find_stored_table(self._reader, self._table)
            self._groups = self._read_groups(self._stored)
        except UnusualPageError as reason:
            self._say(reason)

    def read(self, number: int) -> SourcePage | Gap | None:
        """The next rows as a page, or which rows SQLite must read; None at the end of the table."""
        if self._stored is None:
            return Gap(None)
        try:
            rows = next(self._groups, None)
            if rows is None:
                return None
            if self.last is not None and rows.rowids[0] <= self.last:
                raise UnusualPageError("rowids do not ascend from page to page")
        except UnusualPageError as reason:
            self._say(reason)
            return Gap(None)
        self.last = int(rows.rowids[-1])
        try:
            if rows.payloads.max() > max(self._page_bytes, self._file.page_bytes):
                raise UnusualPageError("a row is larger than a page of rows may be")
            page = self._page(with_overflow(self._file, rows), self._stored, number)
        except UnusualPageError as reason:
            self._say(reason)
            self._fallbacks += 1
            return Gap(None if self._fallbacks == MOST_FALLBACKS else self.last)
        self._fallbacks = 0
        return page

    def _read_groups(self, stored: StoredTable) -> Iterator[Rows]:
        """The rows of the table, as many at a time as a page may have."""
        most_leaves = max(1, self._page_bytes // self._file.page_bytes)
        most_rows = min(MAX_PAGE_ROWS, MOST_CELLS // stored.column_count)
        block = self._file.new_block(most_leaves)
        leaves_at_once = min(FIRST_LEAVES, most_leaves)
        for numbers in read_leaf_numbers(self._file, stored.root):
            rest: PageNumbers = numbers
            while len(rest):
                self._file.read(rest[:leaves_at_once], block)
                rest = rest[leaves_at_once:]
                self._file.announce(rest[:most_leaves])
                ensure_kind(block, LEAF)
                counts = cell_counts(block)
                first = 0
                for leaf_count in cut_by_bytes(counts, most_rows):
                    rows = read_rows(block, counts, first, first + leaf_count)
                    first += leaf_count
                    yield from cut_rows(rows, self._page_bytes)
                leaves_at_once = min(most_leaves, max(1, most_rows * len(counts) // max(1, int(counts.sum()))))

    def _page(self, rows: Rows, stored: StoredTable, number: int) -> SourcePage:
        """Rows as a page; raises UnusualPageError where a record is none that this reader knows."""
        records = lay_out(rows, stored.column_count)
        values = StoredValues(rows.block, CellTexts(rows))
        rowids = pa.array(rows.rowids)

        def value_of(column: SourceColumn, place: int | None) -> SourceValues:
            if place is None:
                return PlainColumn(rowids)
            cells = records[place]
            if cells.absent is None:
                return values.values(cells, column.affinity)
            return self._added.values(values, cells, column, cells.absent, rows.rowids)

        columns = tuple(map(value_of, stored.columns, stored.places))
        return SourcePage(
            number=number,
            row_count=len(rowids),
            columns=columns,
            key_names=(self._table.rowid_alias or self._table.rowid_name or "",),
            keys=(rowids,),
            source_bytes=sum(map(bytes_of, columns)),
        )

    def _say(self, reason: UnusualPageError) -> None:
        log.debug("%s after rowid %s: %s: read through SQLite", self._table.name, self.last, reason)


def cut_rows(rows: Rows, page_bytes: int) -> Iterator[Rows]:
    """The rows in parts whose records, with what stands in overflow pages, have at most so many bytes."""
    first = 0
    for count in cut_by_bytes(rows.payloads, page_bytes):
        yield rows.part(first, first + count)
        first += count


def bytes_of(values: SourceValues) -> int:
    """As ADBC's batches count them."""
    if isinstance(values, PlainColumn):
        return int(values.array.nbytes)
    return sum(part.nbytes for part in parts_of(values))
