"""Reads the rows that differ once more on both sides and says which columns differ, and how.

Invariant: what is reported was read again by position from the same snapshots; nothing is remembered from the pass.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import asyncpg

from etl.model import Coercion, Difference, StorageClass, TablePlan
from etl.verify.cells import Shown, SourceRows
from etl.verify.differing_places import apart_of
from etl.verify.multiset import Finding
from etl.verify.payload_texts import reader_of
from etl.verify.readings import quoted
from etl.verify.repeated_keys import RepeatedKeys
from etl.verify.rows import expect_rows, row_views, split_row, whole_rows
from etl.verify.runs import LARGE_BYTES
from etl.verify.short_values import SHORT_BYTES, LongValue, Payload, head_of, shortened
from etl.verify.source import SourceTableReader
from etl.verify.target import Chunk, CopyStream
from etl.verify.values.null_cells import reads_as_null
from etl.verify.values.wire import show_bytes

Payloads = list[Payload | None]
InThread = Callable[..., Awaitable[Any]]
NOTHING = "no equivalent"


@dataclass(slots=True)
class StoredRow:
    """One row of the source, at its place in some rows that were read, with what the target must hold for it."""

    rows: SourceRows | list[tuple[StorageClass, Shown]]  # of a large row its values, in short
    place: int
    payloads: Payloads
    rowid: int | None = None

    def value(self, column: int) -> tuple[StorageClass, Shown]:
        """One column as it is stored."""
        return self.rows[column] if isinstance(self.rows, list) else self.rows.columns[column].at(self.place)


def stored_rows(rows: SourceRows, table: TablePlan) -> list[StoredRow]:
    """The rows of a batch, one by one."""
    payloads = list(map(short_payloads, row_views(expect_rows(rows, table).rows)))  # the rows themselves are gone now
    if rows.bytes > LARGE_BYTES:  # then the batch must not live on in the rows
        each = enumerate(payloads)
        return [StoredRow([cells.at(place) for cells in rows.columns], place, row) for place, row in each]
    return [StoredRow(rows, place, row) for place, row in enumerate(payloads)]


def short_payloads(row: bytes | memoryview) -> Payloads:
    """The payloads of a canonical row, long ones in short."""
    if len(row) <= SHORT_BYTES:  # then none of them is long
        return cast(Payloads, split_row(bytes(row)))
    return [None if payload is None else shortened(payload) for payload in split_row(cast(bytes, row))]


async def describe_findings(
    findings: Sequence[Finding],
    reader: SourceTableReader,
    target: asyncpg.Connection,
    query: str,
    table: TablePlan,
    in_thread: InThread,
) -> list[Difference]:
    """One difference for each column that differs, and one for each missing or extra row."""
    if not findings:
        return []
    positions = [finding.source for finding in findings if finding.source is not None]
    ours: dict[int, StoredRow] = await in_thread(_source_rows, reader, positions, table)
    wanted = [finding.target for finding in findings if finding.target is not None]
    return describe_rows(findings, ours, await read_target_rows(target, query, wanted, table, in_thread), table)


def describe_rows(
    findings: Sequence[Finding], ours: Mapping[int, StoredRow], theirs: Mapping[int, Payloads], table: TablePlan
) -> list[Difference]:
    """The differences of rows that were read, by their places."""
    words = _Words(table)
    differences: list[Difference] = []
    for finding in findings:
        left = None if finding.source is None else ours[finding.source]
        right = None if finding.target is None else theirs[finding.target]
        differences += words.describe(left, right)
    return differences


def describe_repeated_keys(repeated: RepeatedKeys, reader: SourceTableReader, table: TablePlan) -> list[Coercion]:
    """The rule that jsonb itself is: counted, with the keys and texts of the first documents."""
    coercions, words = [], _Words(table)
    for name, count in repeated.counts.items():
        rows = _source_rows(reader, repeated.places[name], table)
        place = next(place for place, column in enumerate(table.columns) if column.source.name == name)
        samples = []
        for row in rows.values():
            text = show_stored(*row.value(place))
            samples.append((words.key_of(row.payloads, row), text, text))
        coercions.append(Coercion(name, "json-duplicate-keys", count, tuple(samples)))
    return coercions


def _source_rows(reader: SourceTableReader, positions: Sequence[int], table: TablePlan) -> dict[int, StoredRow]:
    found = {}
    for rows, rowid in reader.rows_at(positions):
        found[rows.first] = replace(stored_rows(rows, table)[0], rowid=rowid)
        del rows  # a large one must not live on beside the next
    return found


async def read_target_rows(
    target: asyncpg.Connection, query: str, positions: Sequence[int], table: TablePlan, in_thread: InThread
) -> dict[int, Payloads]:
    """The target's rows at these places of its scan, read in the same order once more."""
    if not positions:
        return {}
    places = sorted(set(positions))
    rows: list[Payloads] = []
    async with CopyStream(target, rows_at_sql(query, places, table), 0) as stream:
        while chunk := await stream.take_rows():
            rows += await in_thread(_short_rows, chunk, table)
            stream.discard([chunk])
    return dict(zip(places, rows, strict=True))


def _short_rows(rows: Chunk, table: TablePlan) -> list[Payloads]:
    return list(map(short_payloads, whole_rows(rows, table)))


def rows_at_sql(query: str, places: Sequence[int], table: TablePlan) -> str:
    """A SELECT of the rows at these places (ascending, from 0) of the scan that ``query`` is."""
    listed = ",".join(str(place + 1) for place in places)
    names = ", ".join(quoted(column.name) for column in table.columns)
    numbered = query.replace("select ", 'select row_number() over () as "etl row number", ', 1)
    return (
        f"select {names} from ({numbered}) as numbered join unnest('{{{listed}}}'::bigint[]) as \"etl place\""
        ' on "etl place" = "etl row number" order by "etl row number"'
    )


class _Words:
    """Says what differs in a row of one table; what it needs for that is looked up once."""

    def __init__(self, table: TablePlan) -> None:
        self._table = table.source.name
        self._columns = table.columns
        self._shown = [reader_of(column.type) for column in table.columns]
        self._apart = [apart_of(column.type) for column in table.columns]
        self._keyed = bool(table.primary_key)
        key = table.primary_key or [column.name for column in table.columns]
        self._key = [(place, column.name) for place, column in enumerate(table.columns) if column.name in key]

    def describe(self, ours: StoredRow | None, theirs: Payloads | None) -> list[Difference]:
        """One difference for each column that differs; a row that is missing or extra is one."""
        if ours is None:
            return [Difference(self._table, "extra", self.key_of(theirs or [], None))]
        key = self.key_of(ours.payloads, ours)
        if theirs is None:
            return [Difference(self._table, "missing", key)]
        found = []
        for place, (expected, actual) in enumerate(zip(ours.payloads, theirs, strict=True)):
            if (expected != actual or expected is None) and (one := self._differs(key, ours, place, actual)):
                found.append(one)
        return found

    def _differs(self, key: str, ours: StoredRow, place: int, actual: Payload | None) -> Difference | None:
        column, expected = self._columns[place], ours.payloads[place]
        storage, value = ours.value(place)
        impossible = expected is None and not (
            column.reading.null_as is None
            and not isinstance(value, LongValue)
            and reads_as_null(storage, value, column.type, column.reading)
        )
        if expected == actual and not impossible:
            return None
        source = show_stored(storage, value)
        told = NOTHING if impossible else self._shown[place](expected), self._shown[place](actual)
        if expected is not None and actual is not None and (apart := self._apart[place](expected, actual)):
            source, told = apart[0] if value == expected else source, apart
        return Difference(
            table=self._table,
            kind="different",
            key=key,
            column=column.source.name,
            storage=storage,
            source_value=source,
            expected=told[0],
            actual=told[1],
        )

    def key_of(self, payloads: Payloads, row: StoredRow | None) -> str:
        """The row's primary key, else its rowid, else all of its values."""
        if not self._keyed and row is not None and row.rowid is not None:
            return f"rowid={row.rowid}"
        shown = []
        for place, name in self._key:
            if row is not None and payloads[place] is None:
                shown.append(f"{name}={show_stored(*row.value(place))}")
            else:
                shown.append(f"{name}={self._shown[place](payloads[place])}")
        return ", ".join(shown)


def show_stored(storage: StorageClass, value: Shown) -> str:
    """A value of the source for a reader's eyes."""
    if value is None:
        return "NULL"
    if isinstance(value, LongValue):
        return f"{value} {show_stored(storage, head_of(value, is_text=storage is StorageClass.TEXT))}"
    if isinstance(value, bytes):
        return f"x'{value[:100].hex()}'" if storage is StorageClass.BLOB else show_bytes(value)
    return repr(value)
