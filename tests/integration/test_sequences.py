"""The next INSERT gets the id that SQLite would have given, or a higher one: the failure users report most."""

from __future__ import annotations

import asyncpg
import pytest

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource

CASES = {
    "plain": ("create table t (id integer primary key, x int); insert into t values (5, 1), (7, 2);", 8),
    "high water": (
        "create table t (id integer primary key autoincrement, x int); insert into t values (5000, 1);"
        "delete from t; insert into t (x) values (2); delete from t where id > 5000; insert into t values (3, 3);",
        5002,
    ),
    "behind": (
        "create table t (id integer primary key autoincrement, x int); insert into t values (9, 1);"
        "update sqlite_sequence set seq = 2;",
        10,
    ),
    "empty": ("create table t (id integer primary key, x int);", 1),
    "empty autoincrement": ("create table t (id integer primary key autoincrement, x int);", 1),
    "emptied": (
        "create table t (id integer primary key autoincrement, x int); insert into t values (41, 1); delete from t;",
        42,
    ),
    "negative": ("create table t (id integer primary key, x int); insert into t values (-5, 1), (-1, 1);", 1),
    "negative and zero": ("create table t (id integer primary key, x int); insert into t values (-5, 1), (0, 1);", 1),
    "quoted": ('create table "T""x y" ("I d" integer primary key, x int); insert into "T""x y" values (3, 1);', 4),
    "long": (
        f"create table {'t' * 70} ({'i' * 70} integer primary key, x int); insert into {'t' * 70} values (3, 1);",
        4,
    ),
    "another column": ("create table t (x int, id integer primary key); insert into t values (1, 12);", 13),
    "no sequence row": (
        "create table t (id integer primary key autoincrement, x int); insert into t values (4, 1);"
        "delete from sqlite_sequence;",
        5,
    ),
    "strange sequence": (
        "create table t (id integer primary key autoincrement, x int); insert into t values (4, 1);"
        "update sqlite_sequence set seq = 'many';",
        5,
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_next_insert_gets_the_next_id(
    case: str, etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """Tested by inserting, without and then with a look at what came out."""
    script, expected = CASES[case]
    assert etl("migrate", make_source(script), database_dsn).status == 0
    server = await asyncpg.connect(database_dsn)
    try:
        (table,) = [row[0] for row in await server.fetch("select tablename from pg_tables where schemaname = 'public'")]
        quoted = '"' + table.replace('"', '""') + '"'
        (key,) = [
            row[0] for row in await server.fetch(
                "select attname from pg_attribute where attrelid = $1::text::regclass and attidentity <> ''", quoted
            )
        ]  # fmt: skip
        found = await server.fetchval(f'insert into {quoted} (x) values (9) returning "{key}"')
        assert found == expected
        assert await server.fetchval(f'insert into {quoted} (x) values (9) returning "{key}"') == expected + 1
    finally:
        await server.close()


async def test_the_largest_id_leaves_no_next_one(etl: EtlCommand, database_dsn: str, make_source: MakeSource) -> None:
    """2^63 - 1 arrives; the next INSERT fails there, as it does in SQLite with AUTOINCREMENT."""
    path = make_source(
        "create table t (id integer primary key autoincrement, x int); insert into t values (9223372036854775807, 1);"
    )
    assert etl("migrate", path, database_dsn).status == 0
    server = await asyncpg.connect(database_dsn)
    try:
        with pytest.raises(asyncpg.SequenceGeneratorLimitExceededError):
            await server.execute("insert into t (x) values (1)")
    finally:
        await server.close()
