"""PostgreSQL's own input functions are the oracle: what is converted here means there the same."""

from __future__ import annotations

import asyncio
import random
import struct
from decimal import Context, Decimal, localcontext
from typing import Any

import asyncpg
import pytest

from etl.model import PgType, StorageClass
from etl.transform.rows.values import Converted, convert_value

COUNT = 400  # random texts of each kind


async def _fetch(dsn: str, query: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(dsn, server_settings={"TimeZone": "UTC"})
    try:
        return [row[0] for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


def ask(dsn: str, query: str, *arguments: Any) -> list[Any]:
    """The first column of a query."""
    return asyncio.run(_fetch(dsn, query, *arguments))


def convert_texts(texts: list[str], target: PgType) -> dict[str, Any]:
    """What is converted of some texts, and to what."""
    outcomes = {text: convert_value(text.encode(), StorageClass.TEXT, target) for text in texts}
    return {text: outcome.value for text, outcome in outcomes.items() if isinstance(outcome, Converted)}


def random_moments(chance: random.Random) -> list[str]:
    """Dates and times near every edge, valid or not."""
    found = []
    for _ in range(COUNT * 4):
        date = f"{chance.choice([1, 4, 100, 1582, 1900, 1970, 2000, 2024, 9999]):04d}"
        date += f"-{chance.randint(1, 12):02d}-{chance.randint(1, 31):02d}"
        time = f"{chance.choice('T ')}{chance.randint(0, 24):02d}:{chance.choice([0, 30, 59]):02d}"
        seconds = f":{chance.choice([0, 59, 60]):02d}"
        digits = chance.randint(1, 9)
        fraction = f".{chance.choice([0, 5, 10**digits - 1, chance.randrange(10**digits)]):0{digits}d}"[: digits + 1]
        zone = chance.choice(["", "Z", " UTC", "+14:00", "-0930", "+05"])
        found.append(date + chance.choice(["", time + chance.choice(["", seconds, seconds + fraction]) + zone]))
    return found


@pytest.mark.parametrize("name", ["timestamp", "timestamptz"])
def test_moments_are_the_instants_that_the_server_reads(database_dsn: str, name: str) -> None:
    """Microseconds since 1970 agree, roundings, offsets and midnights included."""
    converted = convert_texts(random_moments(random.Random(name)), PgType(name))
    assert len(converted) > COUNT
    # The server drops an offset in a timestamp; here it is applied: read by way of timestamptz, in UTC.
    query = "select (extract(epoch from value::timestamptz) * 1000000)::bigint from unnest($1::text[]) value"
    assert ask(database_dsn, query, list(converted)) == list(converted.values())


def test_dates_are_the_days_that_the_server_reads(database_dsn: str) -> None:
    """Days since 1970-01-01 agree, and so does what is no date."""
    chance = random.Random(3)
    texts = [
        f"{chance.choice([0, 1, 4, 100, 1900, 2000, 9999]):04d}-{chance.randint(0, 13):02d}-{chance.randint(0, 32):02d}"
        for _ in range(COUNT * 4)
    ]
    converted = convert_texts(texts, PgType("date"))
    assert ask(
        database_dsn, "select value::date - date '1970-01-01' from unnest($1::text[]) value", list(converted)
    ) == list(converted.values())
    refused = sorted(set(texts) - set(converted))
    assert not any(valid(database_dsn, refused, "date"))


def valid(dsn: str, texts: list[str], type_name: str) -> list[bool]:
    """Whether the server takes each text as a value of the type; skips where it cannot be asked (before 16)."""
    if ask(dsn, "select current_setting('server_version_num')::int")[0] < 160_000:
        pytest.skip("pg_input_is_valid is there from PostgreSQL 16")
    return ask(dsn, "select pg_input_is_valid(value, $2) from unnest($1::text[]) value", texts, type_name)


@pytest.mark.parametrize("precision", [None, 12, 50])
def test_decimals_are_rounded_as_the_server_rounds_them(database_dsn: str, precision: int | None) -> None:
    """Halves go away from zero, and the digits written are the digits kept."""
    chance = random.Random(5)
    target = PgType("numeric", precision, None if precision is None else 3)
    texts = [
        f"{chance.choice(['', '-'])}{chance.randrange(10 ** chance.randint(1, 12))}"
        f"{chance.choice(['', f'.{chance.randrange(10**6)}', f'.{chance.randrange(10**3):03d}5'])}"
        for _ in range(COUNT)
    ]
    converted = convert_texts(texts, target)
    written = ask(database_dsn, f"select value::{target}::text from unnest($1::text[]) value", list(converted))
    if precision == 50:  # digits as text: the server pads them when it stores them
        written = [text.rstrip("0").rstrip(".") for text in written]
    assert written == [str(value) for value in converted.values()]
    if precision is not None:
        refused = sorted(set(texts) - set(converted))
        assert not any(valid(database_dsn, refused, str(target)))


def test_reals_become_the_float4_that_the_server_makes_of_them(database_dsn: str) -> None:
    """Doubles and 64-bit integers are rounded once, to the nearest, ties to even."""
    chance = random.Random(7)
    doubles = [chance.choice([1.0, -1.0]) * chance.random() * 10.0 ** chance.randint(-37, 37) for _ in range(COUNT)]
    integers = [chance.randrange(-(2**63), 2**63) >> chance.randint(0, 60) for _ in range(COUNT)]
    integers += [(1 << shift) + (1 << (shift - 24)) + 1 for shift in range(30, 63)]
    for values, storage, source in (
        (doubles, StorageClass.REAL, "float8"),
        (integers, StorageClass.INTEGER, "int8"),
    ):
        found = ask(database_dsn, f"select value::float4::float8 from unnest($1::{source}[]) value", values)
        outcomes = [convert_value(value, storage, PgType("real")) for value in values]
        assert found == [outcome.value for outcome in outcomes if isinstance(outcome, Converted)]


DOCUMENTS = [
    *("{}", "[]", " 1 ", "-0", "-0.0", "1E+2", '"\\u00e9"', '"\x7f"', '{"a":1,"a":2}', '{"":null}', "[1.50]", "true"),
    *(
        "",
        "{",
        "01",
        "1.",
        ".5",
        "+1",
        "NaN",
        "Infinity",
        "[1,]",
        "{a:1}",
        '"\t"',
        '"\\x"',
        '"\\u12"',
        "\ufeff1",
        "nul",
    ),
    *(
        '"\\u0000"',
        '"\\\\u0000"',
        '"\\ud800"',
        '"\\udc00"',
        '"\\ud83d\\ude00"',
        '"\\ude00\\ud83d"',
        '"\\ud83dx\\ude00"',
    ),
    *("1e400", "1e131071", "1e131072", "10e131071", "0.01e131073", "1e400000", "0e400000", "0e99999999999"),
    *("1e-16383", "1e-16384", "0e-20000", "0." + "0" * 16383, "0." + "0" * 16384, "1" * 131072, "1" * 131073),
    *(
        "1." + "1" * 16400 + "e20",
        "[" * 5000 + "]" * 5000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        "[1}",
        "]",
        "1 2",
        '{"a"}',
    ),
]


@pytest.mark.parametrize("name", ["json", "jsonb"])
def test_documents_are_those_that_the_server_takes(database_dsn: str, name: str) -> None:
    """No document is refused that the server would take, none passes that it would refuse."""
    converted = convert_texts(DOCUMENTS, PgType(name))
    assert [text for text, good in zip(DOCUMENTS, valid(database_dsn, DOCUMENTS, name), strict=True) if good] == list(
        converted
    )
    assert list(converted.values()) == list(converted)


def test_decimals_become_the_float4_that_the_server_makes_of_them(database_dsn: str) -> None:
    """A text is rounded once: by way of a double, 16777217.0000000001 would be 16777216."""
    chance = random.Random(11)
    texts = ["16777217.0000000001", "16777216.9999999999", "-16777217.0000000001", "16777219", "0.1", "3.4e38"]
    for _ in range(COUNT):
        bits = chance.randrange(1 << 23, 0x7F000000)
        low, high = (Decimal(struct.unpack("<f", struct.pack("<i", bits + step))[0]) for step in (0, 1))
        with localcontext(Context(prec=400)):
            middle = (low + high) / 2
            texts += [f"{middle + middle.scaleb(-30) * chance.choice([-1, 0, 1]):{chance.choice('fe')}}"]
    converted = convert_texts(texts, PgType("real"))
    assert len(converted) == len(set(texts))
    found = ask(database_dsn, "select value::float4::float8 from unnest($1::text[]) value", list(converted))
    assert found == list(converted.values())
