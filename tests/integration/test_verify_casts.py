"""Columns that PostgreSQL itself converted as their reading says are equal; one step beside it is a difference."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.errors import PlanError
from etl.model import Reading, Verdict, VerifiedTable
from tests.fix_command import EtlCommand
from tests.fix_server import execute
from tests.fix_source import MakeSource
from tests.verifying import Specimen, connected, found, verify

RANDOM = random.Random(7)
ONE_MICROSECOND, ONE_DAY = "v + interval '1 microsecond'", "v + 1"


def since(origin: str, micros: str) -> str:
    """An instant by PostgreSQL; days and the rest apart, for an interval of many microseconds passes a double."""
    return (
        f"('{origin} 00:00Z'::timestamptz + div({micros}, 86400000000)::int * interval '24 hours'"
        f" + mod({micros}, 86400000000)::bigint * interval '1 us')"
    )


def instant(micros: str) -> str:
    return since("1970-01-01", micros)


@dataclass(frozen=True)
class Case:
    """Values of SQLite, and the SQL that makes of their text ``x`` what the reading makes of them."""

    kind: str
    reading: Reading
    sql: str
    values: tuple[Any, ...]
    damage: str
    others: tuple[Reading, ...]  # readings that say something else


SECONDS = tuple(RANDOM.randint(-(10**10), 10**10) for _ in range(20))
FRACTIONS = tuple(RANDOM.randint(-(10**15), 4 * 10**15) / 10**6 for _ in range(20))
BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"
CASES = {
    "epoch-s": Case(
        "timestamptz",
        Reading(how="epoch-s"),
        "to_timestamp(x::bigint)",
        (*SECONDS, 0, -1, 1_700_000_000),
        ONE_MICROSECOND,
        (Reading(how="epoch-ms"), Reading(how="epoch-2001"), Reading(how="julian")),
    ),
    "epoch-s with fractions": Case(
        "timestamptz",
        Reading(how="epoch-s"),
        instant("x::numeric * 1000000"),
        FRACTIONS,
        ONE_MICROSECOND,
        (Reading(how="epoch-ms"),),
    ),
    "epoch-ms": Case(
        "timestamptz",
        Reading(how="epoch-ms"),
        instant("x::numeric * 1000"),
        (*SECONDS, 1_700_000_000_123, "17"),
        ONE_MICROSECOND,
        (Reading(how="epoch-s"), Reading(how="epoch-us")),
    ),
    "epoch-us": Case(
        "timestamptz",
        Reading(how="epoch-us"),
        instant("x::numeric"),
        (*SECONDS, 2**53 + 1, -(2**53) - 1),
        ONE_MICROSECOND,
        (Reading(how="epoch-ms"), Reading(how="epoch-ns"), Reading(how="epoch-webkit")),
    ),
    "epoch-ns": Case(
        "timestamp",
        Reading(how="epoch-ns"),
        instant("round(x::numeric / 1000)") + " at time zone 'UTC'",
        (1_700_000_000_123_456_789, -1_700_000_000_123_456_789, 499, 501),
        ONE_MICROSECOND,
        (Reading(how="epoch-us"),),
    ),
    "ticks": Case(
        "timestamp",
        Reading(how="epoch-ticks"),
        since("0001-01-01", "round(x::numeric / 10)") + " at time zone 'UTC'",
        (638_447_616_000_000_000, 638_447_616_123_456_789, 621_355_968_000_000_000, 0),
        ONE_MICROSECOND,
        (Reading(how="epoch-webkit"), Reading(how="epoch-ns")),
    ),
    "webkit": Case(
        "timestamp",
        Reading(how="epoch-webkit"),
        since("1601-01-01", "x::numeric") + " at time zone 'UTC'",
        (13_353_638_400_000_001, 11_644_473_600_000_000),
        ONE_MICROSECOND,
        (Reading(how="epoch-us"),),
    ),
    "Core Data": Case(
        "timestamptz",
        Reading(how="epoch-2001"),
        instant("(x::numeric + 978307200) * 1000000"),
        (0, 721_692_800, 721_692_800.25),
        ONE_MICROSECOND,
        (Reading(how="epoch-s"),),
    ),
    "julian": Case(
        "timestamp",
        Reading(how="julian"),
        instant("round((x::numeric - 2440587.5) * 86400000000)") + " at time zone 'UTC'",
        (2_451_545, 2_460_369.5, 2_460_369.123456789, 2_460_000.0625),
        ONE_MICROSECOND,
        (Reading(how="epoch-s"),),
    ),
    "a zone's clock of an epoch": Case(
        "timestamp",
        Reading(how="epoch-s", timezone=BERLIN),
        f"to_timestamp(x::bigint) at time zone '{BERLIN}'",
        (0, 1_700_000_000, 1_711_846_799, 1_711_846_800, 1_729_990_799, 1_729_990_800),
        ONE_MICROSECOND,
        (Reading(how="epoch-s"), Reading(how="epoch-s", timezone=TOKYO)),
    ),
    "dates of an epoch": Case(
        "date",
        Reading(how="epoch-s"),
        "(to_timestamp(x::bigint) at time zone 'UTC')::date",
        tuple(86_400 * day for day in (0, 1, -1, 19_782, 11_016, -25_508)),
        ONE_DAY,
        (Reading(how="epoch-ms"), Reading(how="epoch-s", timezone=TOKYO)),
    ),
    "dates of a zone": Case(
        "date",
        Reading(how="epoch-s", timezone=TOKYO),
        f"(to_timestamp(x::bigint) at time zone '{TOKYO}')::date",
        (1_709_132_400, 1_709_218_800),
        ONE_DAY,
        (Reading(how="epoch-s"),),
    ),
    "naive in a zone": Case(
        "timestamptz",
        Reading(timezone=BERLIN),
        f"x::timestamp at time zone '{BERLIN}'",
        ("2024-01-15 12:00", "2024-07-15T12:00:00.000001", "1916-05-01 12:00", "1880-01-01"),
        ONE_MICROSECOND,
        (Reading(), Reading(timezone=TOKYO)),
    ),
    "offsets in a zone": Case(
        "timestamp",
        Reading(timezone=BERLIN),
        f"x::timestamptz at time zone '{BERLIN}'",
        ("2024-01-15 12:00Z", "2024-07-15T12:00:00.000001+05:30", "2024-10-27 01:00:00Z"),
        ONE_MICROSECOND,
        (Reading(), Reading(timezone=TOKYO)),
    ),
    "the earlier of two": Case(
        "timestamptz",
        Reading(timezone=BERLIN, ambiguous="earliest"),
        "(x || '+02')::timestamptz",
        ("2024-10-27 02:30:00", "2024-10-27 02:59:59.999999", "2024-03-31 02:30:00"),
        ONE_MICROSECOND,
        (Reading(timezone=BERLIN, ambiguous="latest"), Reading(timezone=BERLIN)),
    ),
    "the later of two": Case(
        "timestamptz",
        Reading(timezone=BERLIN, ambiguous="latest"),
        "(x || '+01')::timestamptz",
        ("2024-10-27 02:30:00", "2024-10-27 02:00:00", "2024-03-31 02:30:00"),
        ONE_MICROSECOND,
        (Reading(timezone=BERLIN, ambiguous="earliest"), Reading(timezone=BERLIN)),
    ),
    "German dates": Case(
        "date",
        Reading(how="%d.%m.%Y"),
        "to_date(x, 'DD.MM.YYYY')",
        ("29.02.2024", "1.2.1999", "31.12.9999"),
        ONE_DAY,
        (Reading(how="%m.%d.%Y"), Reading()),
    ),
    "digits": Case(
        "date",
        Reading(how="%Y%m%d"),
        "to_date(x, 'YYYYMMDD')",
        (20_240_229, "19991231"),
        ONE_DAY,
        (Reading(how="%Y%d%m"), Reading(how="epoch-s")),
    ),
    "a format with a clock": Case(
        "timestamp",
        Reading(how="%m/%d/%y %I:%M:%S %p"),
        "to_timestamp(x, 'MM/DD/YY HH12:MI:SS AM') at time zone 'UTC'",
        ("2/29/24 12:00:00 AM", "12/31/23 11:59:59 pm"),
        ONE_MICROSECOND,
        (Reading(how="%d/%m/%y %I:%M:%S %p"), Reading()),
    ),
    "seconds of a day": Case(
        "time",
        Reading(how="seconds"),
        "'00:00'::time + x::numeric::double precision * interval '1 s'",
        (0, 86_399, 0.5, "3600.25"),
        "v - interval '1 microsecond'",
        (Reading(),),
    ),
    "lengths in microseconds": Case(
        "interval",
        Reading(how="us"),
        "case when x ~ 'P' then x::interval else x::bigint * interval '1 us' end",
        (0, 90_000_001, -1, "P1Y2M3DT4H5M6.7S", "PT-1H"),
        ONE_MICROSECOND,
        (Reading(how="seconds"), Reading()),
    ),
    "words": Case(
        "boolean", Reading(how="J/N"), "lower(x) = 'j'", ("J", "n", "N", "j"), "not v", (Reading(how="N/J"), Reading())
    ),
    "cut texts": Case(
        "varchar(3)", Reading(truncate=True), "left(x, 3)", ("äöüß", "ab", "a  b"), "upper(v) || ''", (Reading(),)
    ),
    "stripped texts": Case("text", Reading(strip_nul=True), "replace(x, '~', '')", ("a~b", "~", "ab"), "v || ' '", ()),
    "empty texts": Case(
        "bigint", Reading(empty_as_null=True), "nullif(x, '')::bigint", ("", "5"), "coalesce(v, 0) + 1", (Reading(),)
    ),
    "dates of zero": Case(
        "date",
        Reading(zero_dates_as_null=True),
        "nullif(nullif(x, '0'), '0000-00-00')::date",
        (0, "0000-00-00", "2024-02-29"),
        "coalesce(v + 1, '1970-01-01')",
        (Reading(),),
    ),
}


def text_of(value: Any) -> str:
    return str(value) if isinstance(value, int | str) else f"{Decimal(repr(value)):f}"


async def build(
    target: asyncpg.Connection, folder: Path, case: Case, values: Sequence[Any] | None = None
) -> tuple[Path, Specimen]:
    """Both sides of the case: SQLite's file, and the table that PostgreSQL made of the same texts."""
    values = case.values if values is None else values
    specimen = Specimen("t", (("n", "integer", "bigint"), ("v", "", case.kind)), ("n",), readings={"v": case.reading})
    stored = [value.replace("~", "\0") if isinstance(value, str) else value for value in values]
    path = specimen.create_source(folder / "s.db", [(n, value) for n, value in enumerate(stored)])
    await specimen.create_target(target, [])
    await target.execute("set timezone = 'UTC'")
    rows = [(n, text_of(value)) for n, value in enumerate(values)]
    await target.executemany(f"insert into t select $1::bigint, {case.sql} from (select $2::text as x) as raw", rows)
    return path, specimen


async def verify_as(path: Path, target: asyncpg.Connection, specimen: Specimen, reading: Reading) -> VerifiedTable:
    return await verify(path, target, replace(specimen, readings={"v": reading}).plan)


@pytest.mark.parametrize("name", CASES)
async def test_what_the_server_converts_is_equal_and_a_step_beside_it_is_not(
    name: str, database_dsn: str, tmp_path: Path
) -> None:
    """By PostgreSQL's own arithmetic and zones; every row damaged alone is the row that is told."""
    case = CASES[name]
    async with connected(database_dsn) as target:
        path, specimen = await build(target, tmp_path, case)
        equal = await verify(path, target, specimen.plan)
        assert (equal.verdict, equal.differences) == (Verdict.EQUAL, ())
        assert equal.source_checksum == equal.target_checksum
        for n in range(0, len(case.values), 1 + len(case.values) // 4):
            transaction = target.transaction()
            await transaction.start()
            await target.execute(f"update t set v = {case.damage} where n = {n}")
            damaged = await verify(path, target, specimen.plan)
            await transaction.rollback()
            assert found(damaged) == {("different", f"n={n}", "v")}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.others])
async def test_another_reading_is_a_difference(name: str, database_dsn: str, tmp_path: Path) -> None:
    """The wrong unit, zone, format or flag is seen."""
    case = CASES[name]
    async with connected(database_dsn) as target:
        path, specimen = await build(target, tmp_path, case)
        for other in case.others:
            assert (await verify_as(path, target, specimen, other)).verdict is Verdict.DIFFERENT


async def test_what_reads_as_null_is_null_and_nothing_else(database_dsn: str, tmp_path: Path) -> None:
    """A difference says that NULL was expected; without the flag there is no equivalent."""
    case = CASES["dates of zero"]
    async with connected(database_dsn) as target:
        path, specimen = await build(target, tmp_path, case)
        await target.execute("update t set v = '1970-01-01' where n = 0")
        (found_one,) = (await verify(path, target, specimen.plan)).differences
        assert (found_one.key, found_one.expected, found_one.actual) == ("n=0", "NULL", "1970-01-01")
        await target.execute("update t set v = null where n = 0")
        (found_one,) = (await verify_as(path, target, specimen, Reading())).differences[1:]
        assert (found_one.source_value, found_one.expected) == ("'0000-00-00'", "no equivalent")


async def test_a_reading_that_has_no_meaning_is_refused(database_dsn: str, tmp_path: Path) -> None:
    """Before any row is read."""
    async with connected(database_dsn) as target:
        path, specimen = await build(target, tmp_path, CASES["epoch-s"])
        with pytest.raises(PlanError, match=r"t\.v: verification cannot read timestamptz:%Q"):
            await verify_as(path, target, specimen, Reading(how="%Q"))


UNITS = {
    "epoch-s": ("x::numeric * 1000000", 25 * 10**10),
    "epoch-ms": ("x::numeric * 1000", 25 * 10**13),
    "epoch-us": ("x::numeric", 25 * 10**16),
    "epoch-2001": ("(x::numeric + 978307200) * 1000000", 25 * 10**10),
}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), how=st.sampled_from(list(UNITS)), zone=st.sampled_from(["UTC", BERLIN, "America/New_York"]))
def test_no_false_alarm_for_numbers_of_an_epoch(server_dsn: str, data: Any, how: str, zone: str) -> None:
    """Whole numbers, fractions and texts, whatever the zone: PostgreSQL's own instants are equal."""
    micros, limit = UNITS[how]
    whole = st.integers(-limit // 5, limit)  # a little less than the years 1 to 9999: what zones reach
    decimals = {"epoch-s": 6, "epoch-2001": 6, "epoch-ms": 3, "epoch-us": 0}[how]
    fraction = st.integers(-(10**15), 10**15).map(lambda n: n / 10**decimals).filter(lambda v: abs(v) < limit // 5)
    values = data.draw(st.lists(st.one_of(whole, fraction, whole.map(str)), min_size=1, max_size=20))
    case = Case(
        "timestamp", Reading(how=how, timezone=zone), f"{instant(f'round({micros})')} at time zone '{zone}'", (), "", ()
    )

    async def check() -> VerifiedTable:
        with tempfile.TemporaryDirectory() as folder:
            async with connected(server_dsn) as target:
                path, specimen = await build(target, Path(folder), case, values)
                try:
                    return await verify(path, target, specimen.plan)
                finally:
                    await target.execute("drop table t")

    with asyncio.Runner() as runner:
        assert runner.run(check()).differences == ()


def test_a_type_that_no_run_would_have_given_is_told_without_a_report(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """The values may be equal under it, but it refuses, cuts or shifts the next ones; what they ask for is right."""
    again = tmp_path / "again.json"
    source = make_source(
        "create table t (id integer primary key, name text, doc json, at datetime, amount decimal(8,2),"
        " code varchar(3), loose decimal(4,1), seen datetime, tag text unique);"
        "insert into t values"
        " (1, 'x', '{}', '2024-01-01 10:00', 1.5, 'longer', 12345.75, '2024-01-01 10:00Z', 'a');"
    )
    assert etl("migrate", source, database_dsn).status == 0
    assert etl("verify", source, database_dsn).status == 0, "code, loose and seen were widened"
    types = {"name": "varchar(20)", "doc": "json", "at": "timestamptz", "amount": "numeric(9,2)", "code": "varchar(9)"}
    changes = ", ".join(f"alter {name} type {kind}" for name, kind in types.items())
    asyncio.run(execute(database_dsn, "set timezone = 'UTC'", f"alter table t {changes}"))
    assert etl("verify", source, database_dsn, "--report", again).status == 4
    told = {one["key"]: (one["expected"], one["actual"]) for one in json.loads(again.read_text())["differences"]}
    # a timestamp may have become one with time zone for the sake of values, of which no plan knows
    assert set(told) == {"name", "doc", "amount", "code"}
    assert told["amount"] == ("numeric(8,2)", "numeric(9,2)")
    cast = (
        "--cast",
        "t.name=varchar(20)",
        "--cast",
        "t.doc=json",
        "--cast",
        "t.amount=numeric(9,2)",
        "--cast",
        "t.code=varchar(9)",
    )
    assert etl("verify", source, database_dsn, *cast).status == 0
    assert etl("verify", source, database_dsn, "--mode", "fill").status == 0
    asyncio.run(execute(database_dsn, 'alter table t alter tag type text collate "default"'))
    done = etl("verify", source, database_dsn, *cast)
    assert done.status == 4
    assert "--plan with the migration's report, or its flags again, such as --text-collation db" in done.hints[0]
    assert etl("verify", source, database_dsn, *cast, "--text-collation", "db").status == 0
