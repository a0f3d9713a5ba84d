"""Verification objects to every kind of damage, on the right key and column, and to nothing else."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from etl.model import Reading, StorageClass, Verdict
from tests.verifying import Specimen, connected, found, verify

SPECIMEN = Specimen(
    "specimen",
    (
        ("id", "integer primary key", "bigint"),
        ("amount", "decimal(10,2)", "numeric(10,2)"),
        ("free", "decimal", "numeric"),
        ("ratio", "real", "double precision"),
        ("flag", "boolean", "boolean"),
        ("day", "date", "date"),
        ("at", "datetime", "timestamp"),
        ("seen", "timestamptz", "timestamptz"),
        ("clock", "time", "time"),
        ("name", "text", "text"),
        ("code", "varchar(10)", "varchar(10)"),
        ("fixed", "char(5)", "char(5)"),
        ("doc", "json", "jsonb"),
        ("raw", "json", "json"),
        ("token", "uuid", "uuid"),
        ("data", "blob", "bytea"),
        ("small", "smallint", "smallint"),
        ("mid", "int", "integer"),
        ("single", "float", "real"),
    ),
    primary_key=("id",),
)


def source_row(number: int) -> tuple[Any, ...]:
    """Row ``number`` as SQLite gets it."""
    return (
        number,
        number + 0.25,
        number + 0.5,
        0.0 if number == 3 else number / 7,
        number % 2,
        f"2024-02-{number % 28 + 1:02d}",
        f"2024-02-29 12:00:{number % 60:02d}.{number:06d}",
        f"2024-02-29T12:00:{number % 60:02d}+02:00",
        f"12:{number % 60:02d}",
        None if number == 5 else "" if number == 6 else f"Zoë {number}",
        f"c{number}",
        f"f{number}",
        json.dumps({"b": [1, {"deep": number}], "a": 1.0, "é": None}, ensure_ascii=number % 2 == 0),
        f'{{"n": {number}.50}}',
        f"00000000-0000-4000-8000-{number:012d}",
        bytes([number % 256, 0, 255]),
        -number,
        number * 1000,
        number / 2,
    )


def target_row(number: int) -> tuple[str | None, ...]:
    """The same row as texts for PostgreSQL."""
    row = source_row(number)
    texts = [None if value is None else repr(value) if isinstance(value, float) else str(value) for value in row]
    texts[15] = "\\x" + row[15].hex()
    return tuple(texts)


@pytest.fixture
async def target(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A target that holds what the source holds."""
    async with connected(database_dsn) as connection:
        await SPECIMEN.create_target(connection, map(target_row, range(1, 51)))
        yield connection


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Fifty rows with a column of every type."""
    return SPECIMEN.create_source(tmp_path / "source.db", map(source_row, range(1, 51)))


async def test_equal_tables_are_equal(source: Path, target: asyncpg.Connection) -> None:
    """The specimen itself raises no objection, and both checksums agree."""
    verified = await verify(source, target, SPECIMEN.plan)
    assert verified.differences == ()
    assert (verified.verdict, verified.source_rows, verified.target_rows) == (Verdict.EQUAL, 50, 50)
    assert verified.source_checksum == verified.target_checksum != "0" * 32


def changed(column: str, value: str, key: int = 7) -> tuple[str, set[tuple[str, str, str | None]]]:
    return f"update specimen set {column} = {value} where id = {key}", {("different", f"id={key}", column)}


DECOMPOSED = unicodedata.normalize("NFD", "Zoë 7")
SABOTAGE: dict[str, tuple[str, set[tuple[str, str, str | None]]]] = {
    "a row dropped": ("delete from specimen where id = 20", {("missing", "id=20", None)}),
    "the first row dropped": ("delete from specimen where id = 1", {("missing", "id=1", None)}),
    "the last row dropped": ("delete from specimen where id = 50", {("missing", "id=50", None)}),
    "a row doubled": ("insert into specimen select * from specimen where id = 9", {("extra", "id=9", None)}),
    "a row in a table that inherits": (
        "create table kid () inherits (specimen); insert into kid (id) values (51)",
        {("extra", "id=51", None)},
    ),
    "a row added": ("insert into specimen (id) values (51)", {("extra", "id=51", None)}),
    "a key changed": (
        "update specimen set id = 999 where id = 8",
        {("missing", "id=8", None), ("extra", "id=999", None)},
    ),
    "two rows' values swapped": (
        "update specimen set name = case id when 10 then 'Zoë 11' else 'Zoë 10' end where id in (10, 11)",
        {("different", "id=10", "name"), ("different", "id=11", "name")},
    ),
    "one unit in the last place": changed("ratio", f"'{math.nextafter(1.0, 2)!r}'"),
    "a negative zero": changed("ratio", "'-0'", 3),
    "one unit in the last place of a float4": changed("single", "'3.5000002'"),
    "a microsecond": changed("at", "at + interval '1 microsecond'"),
    "a microsecond of a timestamptz": changed("seen", "seen + interval '1 microsecond'"),
    "an hour of a timestamptz": changed("seen", "seen - interval '1 hour'"),
    "a microsecond of a time": changed("clock", "clock + interval '1 microsecond'"),
    "a day": changed("day", "day + 1"),
    "a trailing space": changed("name", "name || ' '"),
    "a trailing space of a varchar": changed("code", "code || ' '"),
    "another normal form": changed("name", f"'{DECOMPOSED}'"),
    "an empty text for NULL": changed("name", "''", 5),
    "NULL for an empty text": changed("name", "null", 6),
    "NULL for a value": changed("amount", "null"),
    "a cent": changed("amount", "amount + 0.01"),
    "a padded scale": changed("free", "7.50"),
    "the last byte of a blob": changed("data", "'\\x0700fe'"),
    "a shorter blob": changed("data", "'\\x0700'"),
    "a digit of a uuid": changed("token", "'00000000-0000-4000-8000-000000000008'"),
    "a truth": changed("flag", "not flag"),
    "a value deep inside a document": changed("doc", "jsonb_set(doc, '{b,1,deep}', '8')"),
    "true for 1": changed("doc", "jsonb_set(doc, '{a}', 'true')"),
    "a key more in a document": changed("doc", "doc || '{\"x\": null}'"),
    "a text for a number in a document": changed("doc", "jsonb_set(doc, '{b,1,deep}', '\"7\"')"),
    "a document of json": changed("raw", "'{\"n\": 7.51}'"),
    "a small integer": changed("small", "small + 1"),
    "an integer": changed("mid", "mid + 1"),
    "a char": changed("fixed", "'f8'"),
}


@pytest.mark.parametrize("damage", SABOTAGE)
async def test_damage_is_found_where_it_is(damage: str, source: Path, target: asyncpg.Connection) -> None:
    """Exactly the damaged row and column are named, and the checksums disagree."""
    statement, expected = SABOTAGE[damage]
    await target.execute(statement)
    verified = await verify(source, target, SPECIMEN.plan)
    assert found(verified) == expected
    assert verified.verdict is Verdict.DIFFERENT
    assert verified.source_checksum != verified.target_checksum
    assert sum(verified.difference_counts.values()) == len(expected)


async def test_a_difference_says_what_was_stored_expected_and_found(source: Path, target: asyncpg.Connection) -> None:
    """The report of a changed value has all that is needed to see what happened."""
    await target.execute("update specimen set amount = 7.52 where id = 7")
    (difference,) = (await verify(source, target, SPECIMEN.plan)).differences
    assert difference.storage is StorageClass.REAL
    assert (difference.source_value, difference.expected, difference.actual) == ("7.25", "7.25", "7.52")


@pytest.mark.parametrize(
    "change",
    [
        'update specimen set doc = \'{"é": null, "a": 1, "b": [1.0, {"deep": 7}]}\' where id = 7',
        "update specimen set raw = '{ \"n\" : 7.5 }' where id = 7",
        "update specimen set id = id where id in (3, 17)",
        "create table other as select * from specimen order by name; truncate specimen;"
        " insert into specimen select * from other",
    ],
    ids=["the order of keys and 1.0 for 1", "the spelling of json", "rows that moved", "another order of all rows"],
)
async def test_what_means_the_same_is_equal(change: str, source: Path, target: asyncpg.Connection) -> None:
    """Order of rows, of keys in a document, and the spelling of a number in it are no differences."""
    before = await verify(source, target, SPECIMEN.plan)
    await target.execute(change)
    verified = await verify(source, target, SPECIMEN.plan)
    assert verified.differences == ()
    assert verified.verdict is Verdict.EQUAL
    assert before.target_checksum == verified.target_checksum == verified.source_checksum


async def test_the_target_is_left_as_it_was(source: Path, target: asyncpg.Connection) -> None:
    """Within a transaction of the caller, too: it goes on, its settings with it."""
    async with target.transaction():
        await target.execute("delete from specimen where id = 4; set local enable_indexscan = on")
        verified = await verify(source, target, SPECIMEN.plan)
        assert found(verified) == {("missing", "id=4", None)}
        assert await target.fetchval("show enable_indexscan") == "on"
        assert await target.fetchval("show row_security") == "on"
        await target.execute("insert into specimen (id) values (4)")
    assert await target.fetchval("select count(*) from specimen") == 50


async def test_naive_times_are_read_in_the_zone_of_the_run(database_dsn: str, tmp_path: Path) -> None:
    """A wall clock in Berlin is another instant in winter than in summer; one that stands twice is none."""
    zoned = Specimen(
        "z",
        (("n", "integer", "bigint"), ("at", "text", "timestamptz"), ("wall", "text", "timestamp")),
        ("n",),
        readings=dict.fromkeys(("at", "wall"), Reading(timezone="Europe/Berlin")),
    )
    rows = [
        (1, "2024-01-15 12:00", "2024-01-15T11:00:00Z"),
        (2, "2024-07-15 12:00:00.5", "2024-07-15T10:00:00.5Z"),
        (3, "2024-07-15T12:00:00+00:00", "2024-07-15 14:00"),
        (4, "2024-10-27 02:30:00", None),
    ]
    path = zoned.create_source(tmp_path / "z.db", rows)
    async with connected(database_dsn) as target:
        await zoned.create_target(
            target,
            [
                ("1", "2024-01-15 11:00Z", "2024-01-15 12:00"),
                ("2", "2024-07-15 10:00:00.5Z", "2024-07-15 12:00:00.5"),
                ("3", "2024-07-15 12:00Z", "2024-07-15 14:00"),
                ("4", "2024-10-27 00:30Z", None),
            ],
        )
        verified = await verify(path, target, zoned.plan)
    (difference,) = verified.differences
    assert (difference.key, difference.column, difference.expected) == ("n=4", "at", "no equivalent")
