"""Epochs, zones and formats mean to us what they mean to PostgreSQL, which is asked for every value."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.values import Converted, Refused, convert_value

COUNT = 400
MICROS = "(extract(epoch from {}) * 1000000)::bigint"
# What PostgreSQL makes of a decimal number n of each epoch, in numeric arithmetic and not rounded.
MICROS_OF_NUMBER = {
    "epoch-s": "n * 1000000",
    "epoch-ms": "n * 1000",
    "epoch-us": "n",
    "epoch-ns": "n / 1000",
    "epoch-ticks": "n / 10 + " + MICROS.format("timestamp '0001-01-01'"),
    "epoch-webkit": "n + " + MICROS.format("timestamp '1601-01-01'"),
    "epoch-2001": "n * 1000000 + " + MICROS.format("timestamp '2001-01-01'"),
    "julian": "(n - to_char(timestamp '1970-01-01', 'J')::numeric + 0.5) * 86400000000",
}
DECIMALS = {"epoch-ms": 3, "epoch-us": 6, "epoch-webkit": 6, "epoch-ns": 9, "epoch-ticks": 7}  # of a second


def ask(dsn: str, query: str, *arguments: Any) -> list[Any]:
    """The first column of a query."""

    async def fetch() -> list[Any]:
        connection = await asyncpg.connect(dsn, server_settings={"TimeZone": "UTC"})
        try:
            return [row[0] for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def value_of(value: Any, storage: StorageClass, target: str, reading: Reading) -> int:
    """The converted value; fails where it was refused."""
    outcome = convert_value(value, storage, PgType(target), reading)
    assert isinstance(outcome, Converted), (value, outcome)
    assert isinstance(outcome.value, int)
    return outcome.value


@pytest.mark.parametrize("how", MICROS_OF_NUMBER)
def test_numbers_are_the_instants_that_the_server_computes(database_dsn: str, how: str) -> None:
    """Whole numbers and fractions, before and after 1970; halves of a microsecond apart, which round to even here."""
    chance = random.Random(how)
    if how == "julian":
        numbers: list[int | float] = [chance.randrange(2_400_000, 2_600_000) for _ in range(COUNT)]
        numbers += [chance.randrange(2_400_000, 2_600_000) + chance.random() for _ in range(COUNT)]
    else:
        scale = 10 ** DECIMALS.get(how, 0)
        numbers = [chance.randrange(-(10**10), 5 * 10**9) * scale + chance.randrange(scale) for _ in range(COUNT)]
        numbers = [number for number in numbers if abs(number) < 2**63]
        numbers += [chance.randrange(2 * 10**9) + chance.random() for _ in range(COUNT)]
    query = f"select {MICROS_OF_NUMBER[how]} from unnest($1::text[]) t, lateral (select t::numeric) as number(n)"
    exact = ask(database_dsn, query, [repr(number) for number in numbers])
    for number, micros in zip(numbers, exact, strict=True):
        storage = StorageClass.INTEGER if isinstance(number, int) else StorageClass.REAL
        found = value_of(number, storage, "timestamptz", Reading(how=how))
        assert abs(found - micros) <= Decimal("0.5"), (number, found, micros)
        assert found == value_of(repr(number).encode(), StorageClass.TEXT, "timestamptz", Reading(how=how))


ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "America/Caracas",
]


def random_locals(chance: random.Random) -> list[str]:
    """Local times of our time, many of them near the hours in which clocks change."""
    found = []
    for _ in range(COUNT):
        date = (
            f"{chance.randrange(1972, 2037)}-{chance.choice([1, 3, 4, 10, 11, 12]):02d}-{chance.randrange(1, 31):02d}"
        )
        hour, minute = chance.choice([0, 1, 2, 2, 3, 12, 23]), chance.randrange(60)
        found.append(f"{date} {hour:02d}:{minute:02d}:{chance.randrange(60):02d}.{chance.randrange(10**6):06d}")
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_local_times_are_the_instants_that_the_server_reads(database_dsn: str, zone: str) -> None:
    """A naive text in a timestamptz, where it exists once; elsewhere it is refused, and the flag has both instants."""
    times = random_locals(random.Random(zone))
    # A time exists once where the clocks show it at the server's instant and at none that is a bit away.
    away = " and ".join(
        f"(t at time zone $2 {sign} interval '{minutes} min') at time zone $2 <> t"
        for sign in "+-"
        for minutes in (30, 60)
    )
    query = f"select (t at time zone $2) at time zone $2 = t and {away} from unnest($1::text[]::timestamp[]) t"
    once = dict(zip(times, ask(database_dsn, query, times, zone), strict=True))
    texts = [text for text in times if once[text]]
    assert len(texts) > COUNT // 2
    query = f"select {MICROS.format('t at time zone $2')} from unnest($1::text[]::timestamp[]) t"
    reading = Reading(timezone=zone)
    found = [value_of(text.encode(), StorageClass.TEXT, "timestamptz", reading) for text in texts]
    assert found == ask(database_dsn, query, texts, zone)
    for text in times:
        if not once[text]:
            value = text.encode()
            assert isinstance(convert_value(value, StorageClass.TEXT, PgType("timestamptz"), reading), Refused)
            first, last = (
                value_of(value, StorageClass.TEXT, "timestamptz", Reading(timezone=zone, ambiguous=which))
                for which in ("earliest", "latest")
            )
            assert first < last


@pytest.mark.parametrize("zone", ZONES)
def test_instants_are_the_local_times_that_the_server_shows(database_dsn: str, zone: str) -> None:
    """An offset in a timestamp, and an epoch in one."""
    chance = random.Random(zone)
    seconds = [chance.randrange(-(10**9), 2 * 10**9) for _ in range(COUNT)]
    query = f"select {MICROS.format('to_timestamp(n) at time zone $2')} from unnest($1::bigint[]) n"
    local = ask(database_dsn, query, seconds, zone)
    reading = Reading(how="epoch-s", timezone=zone)
    assert [value_of(second, StorageClass.INTEGER, "timestamp", reading) for second in seconds] == local
    texts = ask(
        database_dsn,
        'select to_char(to_timestamp(n), \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') from unnest($1::bigint[]) n',
        seconds,
    )
    assert [value_of(text.encode(), StorageClass.TEXT, "timestamp", reading) for text in texts] == local


@pytest.mark.parametrize(
    ("how", "template"),
    [
        ("%d.%m.%Y %H:%M:%S", "DD.MM.YYYY HH24:MI:SS"),
        ("%m/%d/%Y %I:%M:%S %p", "MM/DD/YYYY HH12:MI:SS AM"),
        ("%a, %d %b %Y %H:%M:%S", "Dy, DD Mon YYYY HH24:MI:SS"),
        ("%A %B %d %Y %H.%M.%S", "FMDay FMMonth FMDD YYYY HH24.MI.SS"),
        ("%Y%m%d%H%M%S%f", "YYYYMMDDHH24MISSUS"),
        ("%Y-%j %T.%f", "YYYY-DDD HH24:MI:SS.US"),
        ("%H %F", "HH24 YYYY-MM-DD"),
    ],
)
def test_formats_read_what_the_server_writes(database_dsn: str, how: str, template: str) -> None:
    """PostgreSQL's to_char writes random moments, the format reads them back."""
    chance = random.Random(how)
    seconds = [chance.randrange(-(10**10), 10**10) for _ in range(COUNT)]
    unit = 3600 if "%H %F" in how else 1
    seconds = [second // unit * unit for second in seconds]
    texts = ask(database_dsn, "select to_char(to_timestamp(n), $2) from unnest($1::bigint[]) n", seconds, template)
    found = [value_of(text.encode(), StorageClass.TEXT, "timestamp", Reading(how=how)) for text in texts]
    assert found == [second * 1_000_000 for second in seconds]
