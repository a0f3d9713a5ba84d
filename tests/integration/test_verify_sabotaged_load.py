"""The load is not trusted: whatever a stage of it gets wrong, verification names the row and the column."""

from __future__ import annotations

import asyncio
import json
import math
import unicodedata
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from etl.errors import ExitStatus
from etl.load.encode import TableEncoder
from etl.model import Slice, SourcePage, TargetPage
from etl.options import Options
from etl.phases import loading
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report
from tests.fix_server import rows_of
from tests.fix_source import MakeSource

KEY = 7
ROWS = 30
Change = Callable[[Any], Any]

# column → (declared type, cast, the values of a row, and what a broken rule makes of the value of row 7)
RULES: dict[str, tuple[str, str | None, Callable[[int], Any], Change]] = {
    "integer": ("integer", None, lambda n: n, lambda v: v + 1),
    "integer from text": ("text", "bigint", lambda n: f" {n} ", lambda v: -v),
    "integer from real": ("", "bigint", lambda n: float(n), lambda v: v + 1),
    "one unit in the last place": ("real", None, lambda n: n / 7, lambda v: math.nextafter(v, 9)),
    "a negative zero": ("real", None, lambda n: 0.0, lambda v: -0.0),
    "a real through %e": ("real", None, lambda n: n / 9 + 1e5, lambda v: float(f"{v:e}")),
    "a real as text through %e": ("", "text", lambda n: n + 0.1, lambda v: f"{float(v):e}"),
    "a rounded decimal": ("real", "numeric(10,2)", lambda n: n + 0.125, lambda v: v - Decimal("0.01")),
    "a decimal": ("decimal(10,2)", None, lambda n: n + 0.25, lambda v: v + Decimal("0.01")),
    "a decimal from text": ("text", "numeric(10,2)", lambda n: f"{n}.50", lambda v: -v),
    "a boolean": ("boolean", None, lambda n: n % 2, lambda v: not v),
    "a boolean from a word": ("text", "boolean", lambda n: "yes", lambda v: not v),
    "a date": ("date", None, lambda n: f"2024-02-{n % 28 + 1:02d}", lambda v: v + timedelta(days=1)),
    "a date from an epoch": ("integer", "date:epoch-s", lambda n: n * 86_400, lambda v: v - timedelta(days=1)),
    "a microsecond": ("datetime", None, lambda n: "2024-02-29 12:00", lambda v: v + timedelta(microseconds=1)),
    "an hour of an offset": (
        "timestamptz",
        None,
        lambda n: "2024-02-29T12:00:00+02:00",
        lambda v: v + timedelta(hours=2),
    ),
    "seconds for milliseconds": (
        "integer",
        "timestamp:epoch-ms",
        lambda n: 1_700_000_000_000 + n,
        lambda v: datetime(1970, 1, 20, 16, 13, 20),
    ),
    "a clock": ("time", None, lambda n: "12:30:00.5", lambda v: v.replace(microsecond=0)),
    "a trailing space": ("text", None, lambda n: f"a{n} ", lambda v: v.rstrip()),
    "another normal form": ("text", None, lambda n: f"Zoë {n}", lambda v: unicodedata.normalize("NFD", v)),
    "NULL for an empty text": ("text", None, lambda n: "", lambda v: None),
    "an empty text for NULL": ("text", None, lambda n: None, lambda v: ""),
    "a text from a number": ("", "text", lambda n: n, lambda v: v + ".0"),
    "a text cut by a column's width": ("text", "varchar(20)", lambda n: f"abcdef{n}", lambda v: v[:3]),
    "the last byte of a blob": ("blob", None, lambda n: bytes([n, 0, 255]), lambda v: v[:-1] + b"\xfe"),
    "a blob cut at its NUL": ("blob", None, lambda n: b"ab\0cd", lambda v: v[:2]),
    "a digit of a uuid": (
        "uuid",
        None,
        lambda n: f"a0000000-0000-4000-8000-{n:012d}",
        lambda v: v[:-1] + bytes([v[-1] ^ 1]),
    ),
    "a value deep in a document": (
        "json",
        None,
        lambda n: json.dumps({"a": [1, {"deep": n}]}),
        lambda v: v.replace('{"deep": 7}', '{"deep": 8}'),
    ),
}
NAMES = {name: f"c{place}" for place, name in enumerate(RULES)}


def build(make_source: MakeSource) -> Any:
    """One table with a column for each rule."""
    columns = ", ".join(f"{NAMES[name]} {declared}" for name, (declared, *_) in RULES.items())
    rows = [(n, *(value(n) for _, _, value, _ in RULES.values())) for n in range(1, ROWS + 1)]
    return make_source(f"create table t (id integer primary key, {columns})", {"t": rows})


CASTS = tuple(f"t.{NAMES[name]}={cast}" for name, (_, cast, *_) in RULES.items() if cast)


def run(source: Any, dsn: str, **more: Any) -> Report:
    return asyncio.run(migrate(Options(source, dsn, casts=CASTS, **more), SilentProgress()))


def told(report: Report) -> set[tuple[str, str, str | None]]:
    return {(one.kind, one.key, one.column) for table in report.verified for one in table.differences}


def with_cell(page: TargetPage, column: str, change: Change) -> TargetPage:
    """The page with another value of one column in row 7."""
    place = page.batch.schema.get_field_index(column)
    keys = page.batch.column(page.batch.schema.get_field_index("id")).to_pylist()
    array = page.batch.column(place)
    values = array.to_pylist()
    row = keys.index(KEY)
    changed = pa.array([*values[:row], change(values[row]), *values[row + 1 :]], array.type)
    arrays = [changed if at == place else one for at, one in enumerate(page.batch.columns)]
    return replace(page, batch=pa.RecordBatch.from_arrays(arrays, names=page.batch.schema.names))


def test_an_honest_load_raises_no_objection(make_source: MakeSource, database_dsn: str) -> None:
    """The proof that the tests below fail for what they say."""
    report = run(build(make_source), database_dsn)
    assert (report.status, told(report)) == (ExitStatus.DONE, set())


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule_is_found_on_its_row_and_column(
    rule: str, make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wrong value among many right ones: named, and nothing is published."""
    coerce = loading.coerce_page
    *_, change = RULES[rule]
    monkeypatch.setattr(
        loading, "coerce_page", lambda *given: with_cell(coerce(*given), NAMES[rule], change), raising=True
    )
    report = run(build(make_source), database_dsn)
    assert report.status is ExitStatus.DIFFERENT
    assert told(report) == {("different", f"id={KEY}", NAMES[rule])}
    assert rows_of(database_dsn, "select to_regclass('t')") == [(None,)]


def test_the_order_of_keys_in_a_document_is_no_difference(
    make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document is what it says, not how it is written."""
    coerce = loading.coerce_page
    column = NAMES["a value deep in a document"]
    monkeypatch.setattr(
        loading, "coerce_page", lambda *given: with_cell(coerce(*given), column, lambda v: '{ "a":[1.0,{"deep":7 }]}')
    )
    assert run(build(make_source), database_dsn).status is ExitStatus.DONE


def altered(page: TargetPage, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> TargetPage:
    batch = change(page.batch)
    return replace(page, batch=batch, row_count=batch.num_rows)


def swapped(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The names of the third and the fourth row are each other's."""
    order = pa.array([0, 1, 3, 2, *range(4, batch.num_rows)])
    place = batch.schema.get_field_index("name")
    arrays = [one.take(order) if at == place else one for at, one in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def rekeyed(batch: pa.RecordBatch) -> pa.RecordBatch:
    keys = batch.column(0).to_pylist()
    arrays = [pa.array([keys[0] - 1000, *keys[1:]], batch.column(0).type), *batch.columns[1:]]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


MANY = 1000
PAGE_BYTES = 16 << 10
ON_A_PAGE: dict[str, tuple[Callable[[pa.RecordBatch], pa.RecordBatch], dict[str, int]]] = {
    "a row skipped between two pages": (lambda batch: batch.slice(0, batch.num_rows - 1), {"missing": 1}),
    "the first row of a page lost": (lambda batch: batch.slice(1), {"missing": 1}),
    "two rows' values swapped": (swapped, {"different": 2}),
    "a key changed": (rekeyed, {"missing": 1, "extra": 1}),
}


@pytest.mark.parametrize("place", [0, 1, -1], ids=["first page", "second page", "last page"])
@pytest.mark.parametrize("damage", ON_A_PAGE)
def test_rows_lost_and_mixed_up_are_found(
    damage: str, place: int, make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At either end of the key range, and between pages, where nobody would look."""
    rows = [(n, f"name {n} " + "x" * 100) for n in range(1, MANY + 1)]
    source = make_source("create table t (id integer primary key, name text)", {"t": rows})
    coerce = loading.coerce_page
    change, counts = ON_A_PAGE[damage]

    def sabotage(page: SourcePage, *rest: Any) -> TargetPage:
        done = coerce(page, *rest)
        keys = done.batch.column(0).to_pylist()
        chosen = keys[0] == 1 if place == 0 else keys[-1] == MANY if place == -1 else keys[0] > 1 and page.number == 1
        return altered(done, change) if chosen else done

    monkeypatch.setattr(loading, "coerce_page", sabotage)
    report = run_plain(source, database_dsn)
    assert report.status is ExitStatus.DIFFERENT
    assert [dict(table.difference_counts) for table in report.verified] == [counts]


def run_plain(source: Any, dsn: str) -> Report:
    return asyncio.run(migrate(Options(source, dsn, page_bytes=PAGE_BYTES), SilentProgress()))


@pytest.mark.parametrize(("times", "kind"), [(0, "missing"), (2, "extra")], ids=["a page missing", "a page twice"])
def test_a_page_that_is_lost_or_comes_twice_is_found(
    times: int, kind: str, make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key stands in the way here: the table has none."""
    rows = [(n, f"name {n} " + "x" * 100) for n in range(1, MANY + 1)]
    source = make_source("create table t (n integer, name text)", {"t": rows})
    read = loading.read
    lost: list[int] = []

    def sabotage(*given: Any, **more: Any) -> AsyncIterator[SourcePage]:
        async def pages() -> AsyncIterator[SourcePage]:
            async for page in read(*given, **more):
                for _ in range(times if page.number == 1 else 1):
                    yield page
                if page.number == 1:
                    lost.append(page.row_count)

        return pages()

    monkeypatch.setattr(loading, "read", sabotage)
    report = run_plain(source, database_dsn)
    assert report.status is ExitStatus.DIFFERENT
    assert lost
    assert [dict(table.difference_counts) for table in report.verified] == [{kind: lost[0]}]


def test_an_encoder_that_turns_bytes_is_found(
    make_source: MakeSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verification expects bytes of its own, not those of the encoder."""
    encode = TableEncoder.encode_page

    def sabotage(self: TableEncoder, page: TargetPage) -> Slice:
        done = encode(self, page)
        chunks = tuple(memoryview(bytes(piece).replace(b"name 500 ", b"name 5OO ")) for piece in done.chunks)
        return replace(done, chunks=chunks)

    monkeypatch.setattr(TableEncoder, "encode_page", sabotage)
    rows = [(n, f"name {n} ") for n in range(1, MANY + 1)]
    source = make_source("create table t (id integer primary key, name text)", {"t": rows})
    report = run_plain(source, database_dsn)
    assert told(report) == {("different", "id=500", "name")}
