"""Read a table in pages: small key ranges, each one query, each a few megabytes whatever the rows weigh.

Invariant: every row of the snapshot is in exactly one page, and every cell is exactly what SQLite stores: a column is
read plain where that proves the storage class (``proof.py``), else split into one typed column per storage class.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from etl.errors import SourceError
from etl.extract.proof import prove_plain
from etl.extract.reader import Reader, source_hint
from etl.model import Affinity, SourceColumn, SourcePage, SourceTable, SourceValues, SplitColumn
from etl.threads import in_thread

MAX_PAGE_ROWS = 32_768  # of narrow rows; with half as many, what a page costs by itself is a tenth of the load
TERMS_A_SUM = 50
SMALL_PAGE_ROWS = 1_000  # where the largest row allows fewer than this, pages are cut by lengths
SPLIT_CLASSES = (
    ("integer", pa.int64()),
    ("real", pa.float64()),
    ("text", pa.string()),
    ("blob", pa.binary()),
)


async def read_pages(reader: Reader, table: SourceTable, page_bytes: int) -> AsyncGenerator[SourcePage, None]:
    """Yield the pages of a rowid table in rowid order. ``page_bytes`` bounds a page, but for a row that is larger."""
    async with aclosing(read_range(Reading(reader, table), page_bytes, 0, None, None)) as pages:
        async for page in pages:
            yield page
            del page


async def read_range(
    reading: Reading, page_bytes: int, number: int, after: int | None, last: int | None
) -> AsyncGenerator[SourcePage, None]:
    """The rows after one rowid up to another (None: from the first, to the last), in pages from ``number`` on."""
    reading.last = last
    while True:
        limits = await in_thread(reading.page_limits, after, page_bytes)
        if not limits:
            return
        for limit in limits:
            page = await in_thread(reading.read, number, after, limit)
            if page is None:
                return
            yield page
            number += 1
            after, is_last = int(page.keys[0][-1].as_py()), page.row_count < limit
            del page  # a large one must not live on beside the next
            if is_last:
                return


@dataclass
class Reading:
    """One table being read; remembers which columns must be read split from now on."""

    reader: Reader
    table: SourceTable

    def __post_init__(self) -> None:
        self.columns = self.table.columns
        self.key = self.table.rowid_alias or self.table.rowid_name or ""
        self.key_index = next((i for i, c in enumerate(self.columns) if c.name == self.table.rowid_alias), None)
        self.split = {i for i, column in enumerate(self.columns) if never_proven(column, self.table.strict)}
        self.last: int | None = None  # no row beyond this one is read

    def page_limits(self, after: int | None, page_bytes: int) -> list[int]:
        """How many rows the next pages take; empty at the end of the table."""
        rows = page_bytes // max(1, self.table.largest_row_bytes)
        if rows >= SMALL_PAGE_ROWS:
            return [min(MAX_PAGE_ROWS, rows)]
        terms = [f"ifnull(octet_length({quote(c.name)}), 0)" for c in self.columns]
        # a sum of sums: SQLite reads an expression only up to a depth of 1,000
        sums = (" + ".join(terms[start : start + TERMS_A_SUM]) for start in range(0, len(terms), TERMS_A_SUM))
        lengths = f"({') + ('.join(sums)})"
        # octet_length reads the record's header, no overflow page, so that planning costs little beside reading
        sizes = self.reader.query(
            f"select {lengths} from {quote(self.table.name)} {self._range(after)} limit {MAX_PAGE_ROWS}",
            MAX_PAGE_ROWS,
        )
        return list(cut_by_bytes(sizes.column(0).to_numpy(), page_bytes))

    def read(self, number: int, after: int | None, limit: int) -> SourcePage | None:
        """One page, or None when no row is left."""
        batch = self._select(range(len(self.columns)), after, limit)
        if batch.num_rows == 0:
            return None
        keys = (
            batch.column(batch.num_columns - 1) if self.key_index is None else batch.column(self._place(self.key_index))
        )
        self._ensure_ascending(keys.to_numpy(), after)
        values = self._prove(batch, after, limit)
        return SourcePage(
            number=number,
            row_count=batch.num_rows,
            columns=values,
            key_names=(self.key,),
            keys=(keys,),
            source_bytes=batch.nbytes,
        )

    def cell(self, column: SourceColumn, rowid: int) -> SplitColumn:
        """What SQLite says of a single cell."""
        terms = ", ".join(split_terms(quote(column.name)))
        sql = f"select {terms} from {quote(self.table.name)} where {self._key_sql} = {rowid}"
        return split_column(one_batch(self.reader.query(sql, 1)).columns)

    def _ensure_ascending(self, keys: np.ndarray, after: int | None) -> None:
        """A damaged tree may lead SQLite in a circle; then the next page would begin before this one, for ever."""
        if (keys[1:] <= keys[:-1]).any() or (after is not None and keys[0] <= after):
            raise SourceError(
                f"{self.table.name}: the database is damaged: its rowids do not ascend", source_hint("malformed")
            )

    def _prove(self, batch: pa.RecordBatch, after: int | None, limit: int) -> tuple[SourceValues, ...]:
        values: list[SourceValues | None] = []
        place = 0
        for index, column in enumerate(self.columns):
            if index in self.split:
                values.append(split_column(batch.columns[place : place + len(SPLIT_CLASSES)]))
                place += len(SPLIT_CLASSES)
            else:
                values.append(prove_plain(batch.column(place), column, self.table.strict))
                place += 1
        unproven = [index for index, value in enumerate(values) if value is None]
        if unproven:
            self.split.update(unproven)
            again = self._select(unproven, after, limit)
            for position, index in enumerate(unproven):
                first = position * len(SPLIT_CLASSES)
                values[index] = split_column(again.columns[first : first + len(SPLIT_CLASSES)])
        return tuple(value for value in values if value is not None)

    def _select(self, indexes: Sequence[int], after: int | None, limit: int) -> pa.RecordBatch:
        """The columns at ``indexes``, those in ``split`` as four; the key last where no column is its alias."""
        terms = [term for index in indexes for term in self._terms(index)]
        if self.key_index is None:
            terms.append(self._key_sql)
        sql = f"select {', '.join(terms)} from {quote(self.table.name)} {self._range(after)} limit {limit}"
        return one_batch(self.reader.query(sql, limit))

    def _terms(self, index: int) -> list[str]:
        name = quote(self.columns[index].name)
        if index not in self.split:
            return [name]
        return split_terms(name)

    def _range(self, after: int | None) -> str:
        # the first page has no bound: `rowid > -2^63` would lose a row
        bounds = [f"{self._key_sql} {sign} {key}" for sign, key in ((">", after), ("<=", self.last)) if key is not None]
        where = f"where {' and '.join(bounds)} " if bounds else ""
        return f"{where}order by {self._key_sql}"

    @property
    def _key_sql(self) -> str:
        return quote(self.key) if self.table.rowid_alias else self.key

    def _place(self, index: int) -> int:
        return sum(len(self._terms(i)) for i in range(index))


def never_proven(column: SourceColumn, strict: bool) -> bool:
    """A column without affinity may hold anything, and no reading of it as one type proves what it held."""
    return column.affinity is Affinity.BLOB and not (strict and column.declared.upper() == "BLOB")


def split_terms(quoted: str) -> list[str]:
    return [f"iif(typeof({quoted}) = '{storage}', {quoted}, null)" for storage, _ in SPLIT_CLASSES]


def split_column(parts: Sequence[pa.Array]) -> SplitColumn:
    """Four readings of a column as one value; an all-null part comes back as int64 and gets its own type."""
    typed = [
        part if part.type == wanted else pa.nulls(len(part), wanted)
        for part, (_, wanted) in zip(parts, SPLIT_CLASSES, strict=True)
    ]
    return SplitColumn(*typed)


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """The single batch behind the table (the reader's batch is as large as its limit)."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def cut_by_bytes(sizes: np.ndarray, page_bytes: int) -> Iterator[int]:
    """Cut rows of these sizes into runs of at most ``page_bytes``, each of at least one row."""
    totals = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = totals[start - 1] if start else 0
        end = int(np.searchsorted(totals, before + page_bytes, side="right"))
        end = max(end, start + 1)
        yield end - start
        start = end


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
