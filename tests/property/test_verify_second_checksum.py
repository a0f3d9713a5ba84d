"""Every type of docs/checksums.md, random values: a second implementation computes the checksums of both sides."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import tempfile
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.model import Verdict, VerifiedTable
from tests.property.test_verify_databases import DOCUMENTS, FINITE, SINGLES, TEXT
from tests.second_checksum import RANGES, checksum, payload
from tests.verifying import Specimen, connected, verify

PAGE = Path(__file__).resolve().parents[2] / "docs" / "checksums.md"
Texts = st.SearchStrategy[str]
SECONDS = st.integers(-(10**12), 10**12)


def integers(bits: int) -> Texts:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


def decimals(whole: int, places: int) -> Texts:
    """Plain decimals with exactly so many places."""
    return st.integers(-(10 ** (whole + places)) + 1, 10 ** (whole + places) - 1).map(
        lambda n: f"{Decimal(n).scaleb(-places):.{places}f}"
    )


def bounds(of: Texts, order: Any, opening: str = "[(", closing: str = "])") -> Texts:
    """Ranges as the server writes them: the lower bound first and below the upper one."""
    pairs = (
        st.tuples(of, of).map(lambda pair: tuple(sorted(pair, key=order))).filter(lambda p: order(p[0]) < order(p[1]))
    )
    closed = st.tuples(pairs, st.sampled_from(opening), st.sampled_from(closing)).map(
        lambda one: f"{one[1]}{one[0][0]},{one[0][1]}{one[2]}"
    )
    return st.one_of(closed, st.just("empty"), of.map(lambda v: f"({v},)".replace("(", opening[0], 1)), st.just("(,)"))


def arrays(of: Texts) -> Texts:
    return st.lists(st.one_of(of, st.none()), max_size=4).map(lambda cells: json.dumps(cells, ensure_ascii=False))


DATES = st.dates().map(date.isoformat)
MOMENTS = st.datetimes().map(datetime.isoformat)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS).map(datetime.isoformat)
XML = st.text("abcé ", max_size=9).map(lambda text: f"<a>{text}</a>")
UUIDS = st.uuids().map(str)

SPELLINGS: dict[str, Texts] = {
    "smallint": integers(16),
    "integer": integers(32),
    "bigint": integers(64),
    "real": SINGLES.map(lambda v: repr(struct.unpack("f", struct.pack("f", v))[0])),
    "double precision": FINITE.map(repr),
    "numeric(12,3)": decimals(9, 3),
    "numeric": st.integers(0, 9).flatmap(lambda places: decimals(12, places)),
    "boolean": st.sampled_from(["true", "false"]),
    "date": DATES,
    "time": st.times().map(time.isoformat),
    "timestamp": MOMENTS,
    "timestamptz": INSTANTS,
    "interval": st.tuples(st.integers(-999, 999), st.integers(-9999, 9999), SECONDS).map(
        lambda parts: f"P{parts[0]}M{parts[1]}DT{Decimal(parts[2]) / 10**6:.6f}S"
    ),
    "timetz": st.times(timezones=OFFSETS).map(time.isoformat),
    "money": decimals(12, 2),
    "text": TEXT,
    "varchar(12)": TEXT,
    "char(12)": TEXT.map(lambda text: text.rstrip(" ")),
    "uuid": UUIDS,
    "bytea": st.binary(max_size=20).map(lambda data: "\\x" + data.hex()),
    "inet": st.one_of(st.ip_addresses().map(str), st.sampled_from(["10.1.2.3/8", "2001:db8::1/64"])),
    "cidr": st.sampled_from(["10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32", "::1/128"]),
    "macaddr": st.binary(min_size=6, max_size=6).map(lambda data: data.hex(":")),
    "macaddr8": st.binary(min_size=8, max_size=8).map(lambda data: data.hex(":")),
    "bit(11)": st.text("01", min_size=11, max_size=11),
    "varbit": st.text("01", max_size=20),
    "xml": XML,
    "json": DOCUMENTS,
    "jsonb": DOCUMENTS,
    "integer[]": arrays(integers(32)),
    "text[]": arrays(TEXT),
    "numeric[]": arrays(decimals(5, 2)),
    "boolean[]": arrays(st.sampled_from(["true", "false"])),
    "date[]": arrays(DATES),
    "uuid[]": arrays(UUIDS),
    "int4range": bounds(integers(31), int, closing=")", opening="["),
    "int8range": bounds(integers(63), int, closing=")", opening="["),
    "numrange": bounds(decimals(5, 2), Decimal),
    "daterange": bounds(DATES, str, closing=")", opening="["),
    "tsrange": bounds(st.datetimes(datetime(1000, 1, 1)).map(lambda m: m.isoformat("T")), str),
    "tstzrange": bounds(st.datetimes(datetime(1000, 1, 1)).map(lambda m: m.isoformat("T") + "+00:00"), str),
}  # fmt: skip
EVERYWHERE = [kind for kind in SPELLINGS if kind != "xml"]  # which a server may be built without
AS_ANOTHER = {"enum", "citext", "domain"}  # they count as text, or as the type under them


def stored(kind: str, text: str) -> Any:
    """The cell as SQLite holds it: numbers as numbers where SQLite has them."""
    if kind in ("smallint", "integer", "bigint"):
        return int(text)
    if kind in ("real", "double precision"):
        return float(text)
    return bytes.fromhex(text[2:]) if kind == "bytea" else text


def given_to_server(kind: str, text: str) -> str:
    """An array of the server is written otherwise than JSON."""
    if not kind.endswith("[]"):
        return text
    cells = ["null" if cell is None else '"' + re.sub(r'(["\\])', r"\\\1", cell) + '"' for cell in json.loads(text)]
    return "{" + ",".join(cells) + "}"


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    kinds = tuple(draw(st.lists(st.sampled_from(EVERYWHERE), min_size=1, max_size=6)))
    row = st.tuples(*(st.one_of(SPELLINGS[kind], st.none()) for kind in kinds))
    return kinds, draw(st.lists(row, max_size=8))


async def verified(dsn: str, kinds: tuple[str, ...], rows: list[tuple[str | None, ...]]) -> VerifiedTable:
    """The rows on both sides, as verification sees them."""
    specimen = Specimen("t", tuple((f"c{place}", "", kind) for place, kind in enumerate(kinds)))

    def cells(row: tuple[str | None, ...], form: Any) -> list[Any]:
        return [None if text is None else form(kind, text) for kind, text in zip(kinds, row, strict=True)]

    async with connected(dsn) as target:
        with tempfile.TemporaryDirectory() as folder:
            path = specimen.create_source(Path(folder) / "s.db", [cells(row, stored) for row in rows])
            try:
                await specimen.create_target(target, [cells(row, given_to_server) for row in reversed(rows)])
                return await verify(path, target, specimen.plan)
            finally:
                await target.execute("drop table if exists t")


async def has_xml(dsn: str) -> bool:
    async with connected(dsn) as target:
        try:
            await target.execute("select '<a/>'::xml")
        except asyncpg.FeatureNotSupportedError:
            return False
    return True


def recomputed(kinds: tuple[str, ...], rows: list[tuple[str | None, ...]]) -> str:
    return checksum([[payload(kind, text) for kind, text in zip(kinds, row, strict=True)] for row in rows])


@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_anybody_can_compute_the_checksums(server_dsn: str, table: Any) -> None:
    """Whoever has docs/checksums.md and the rows needs no etl to check what a report says."""
    told = asyncio.run(verified(server_dsn, *table))
    assert (told.verdict, told.differences) == (Verdict.EQUAL, ())
    assert told.source_checksum == told.target_checksum == recomputed(*table)


@pytest.mark.parametrize("kind", SPELLINGS)
def test_anybody_can_compute_the_checksum_of_a_type(kind: str, server_dsn: str) -> None:
    """No type is left to chance."""
    if kind == "xml" and not asyncio.run(has_xml(server_dsn)):
        pytest.skip("this server was built without xml")

    @settings(max_examples=3, deadline=None)
    @given(rows=st.lists(st.tuples(st.one_of(SPELLINGS[kind], st.none())), min_size=3, max_size=30))
    def holds(rows: list[tuple[str | None]]) -> None:
        told = asyncio.run(verified(server_dsn, (kind,), list(rows)))
        assert (told.verdict, told.differences) == (Verdict.EQUAL, ())
        assert told.source_checksum == told.target_checksum == recomputed((kind,), list(rows))

    holds()


def test_every_type_of_the_page_is_computed_here() -> None:
    """A type that is added to the page has to be added here."""
    table = PAGE.read_text(encoding="utf-8").partition("| type | payload |")[2].partition("\n\n")[0]
    named = {name.strip() for line in table.splitlines()[2:] for name in line.split("|")[1].split(",")}
    here = {kind.partition("(")[0] for kind in SPELLINGS} | {"array"}
    assert len(named) > 30
    assert {name.partition("(")[0] for name in named} - AS_ANOTHER == {name for name in here if "[]" not in name}
    assert set(RANGES) < here
