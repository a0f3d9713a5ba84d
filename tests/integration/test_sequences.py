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
    done = etl("migrate", path, database_dsn)
    assert done.status == 0
    assert "the next INSERT without an id fails, as in SQLite" in done.out
    server = await asyncpg.connect(database_dsn)
    try:
        with pytest.raises(asyncpg.SequenceGeneratorLimitExceededError):
            await server.execute("insert into t (x) values (1)")
    finally:
        await server.close()


@pytest.mark.parametrize("command", [("inspect",), ("migrate", "--dry-run")])
def test_numbers_that_are_used_up_are_told_beforehand(
    command: tuple[str, ...], etl: EtlCommand, make_source: MakeSource
) -> None:
    """SQLite then takes free numbers at random; nobody expects PostgreSQL to refuse the first INSERT."""
    path = make_source(
        "create table t (id integer primary key, x int); insert into t values (9223372036854775807, 1);"
        "create table narrow (id integer primary key); insert into narrow values (2147483647);"
        "create table free (id integer primary key); insert into free values (9223372036854775806);"
        "create table word (id integer primary key);"
    )
    said = etl(*command, path, "--cast", "narrow.id=integer", "--cast", "word.id=text").out
    assert "word: id is text, as --cast says: SQLite gives numbers to rows without one, PostgreSQL refuses" in said
    assert "t: id has reached 9223372036854775807, the last number of bigint: the next INSERT" in said
    assert "where SQLite looks for a free number at random" in said
    assert "narrow: id has reached 2147483647, the last number of integer" in said
    assert "free: id" not in said


async def test_a_filled_table_may_hold_the_last_number_of_its_sequence(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """The rows arrive, the next INSERT is refused and takes no number twice; both are told, and a failure undoes it."""
    path = make_source(
        "create table small (id integer primary key, x int); insert into small values (32767, 1);"
        "create table own (id integer primary key, x int); insert into own values (20, 1);"
    )
    server = await asyncpg.connect(database_dsn)
    try:
        await server.execute(
            "create table small (id smallserial primary key, x int); create table own (id bigint generated by default"
            " as identity (maxvalue 20) primary key, x int check (x > 1)); select setval('own_id_seq', 3)"
        )
        planned = etl("migrate", path, database_dsn, "--dry-run")
        assert "small: id has reached 32767, the last number of the target's id" in planned.out
        assert "own: id has reached 20" in planned.out
        assert etl("migrate", path, database_dsn).status == 1  # the check refuses the row
        assert await server.fetchval("select last_value from own_id_seq") == 3
        await server.execute("alter table own drop constraint own_x_check")
        done = etl("migrate", path, database_dsn)
        assert done.status == 0, done.out + done.err
        for table in ("small", "own"):
            with pytest.raises(asyncpg.SequenceGeneratorLimitExceededError):
                await server.execute(f"insert into {table} (x) values (1)")
    finally:
        await server.close()


# What gives numbers to an application's own column.
OWN = {
    "identity": "create table identity (id bigint generated by default as identity primary key, x int)",
    "always": "create table always (id int generated always as identity primary key, x int)",
    "serial": "create table serial (id serial primary key, x int)",
    "beside": "create sequence s; create table beside (id bigint default nextval('s') primary key, x int)",
    "another": "create sequence a; create table another (id bigint default nextval('a') primary key, x int);"
    " create table u (y int); alter sequence a owned by u.y",
    "quo ted": 'create sequence "S ""q"; create table "quo ted" (id bigint default nextval(\'"S ""q"\'), x int)',
    "ahead": "create table ahead (id bigint generated by default as identity (start 100) primary key, x int)",
    "used": "create table used (id serial primary key, x int); select setval('used_id_seq', 500)",
}
# what SQLite has, of a table called {0}, and the next number
SOURCES = {
    "plain": ("create table {0} (id integer primary key, x int); insert into {0} values (5, 1), (7, 2);", 8),
    "high water": (
        "create table {0} (id integer primary key autoincrement, x int); insert into {0} values (41, 1), (3, 1);"
        "delete from {0} where id = 41;",
        42,
    ),
    "behind": (
        "create table {0} (id integer primary key autoincrement, x int); insert into {0} values (9, 1);"
        "update sqlite_sequence set seq = 2;",
        10,
    ),
    "empty": ("create table {0} (id integer primary key, x int);", 1),
    "negative": ("create table {0} (id integer primary key, x int); insert into {0} values (-5, 1), (-1, 1);", 1),
}


@pytest.mark.parametrize("source", SOURCES)
async def test_the_next_insert_of_a_filled_table_gets_the_next_id(
    source: str, etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """Whatever gives the numbers: an own start is kept to, and a sequence for nobody else begins where the rows end."""
    script, expected = SOURCES[source]
    server = await asyncpg.connect(database_dsn)
    try:
        await server.execute(";".join(OWN.values()))
        done = etl("migrate", make_source("".join(script.format(f'"{name}"') for name in OWN)), database_dsn)
        assert done.status == 0, done.err
        for name in OWN:
            first = max(expected, 100) if name == "ahead" else expected
            for wanted in (first, first + 1):
                found = await server.fetchval(f'insert into "{name}" (x) values (9) returning id')
                assert (name, found) == (name, wanted)
    finally:
        await server.close()


# A column of the application's own, the rows that SQLite has, and the next two numbers.
OTHERWISE = {
    "down": ("bigint generated by default as identity (increment -1)", "(-5), (-3)", (-6, -7)),
    "always": ("bigint generated always as identity (increment by -2 start -10)", "(-13), (4)", (-14, -16)),
    "nothing": ("bigint generated by default as identity (increment -1)", "", (-1, -2)),
    "through": ("bigint generated by default as identity (increment -1 minvalue -9 start -1)", "(-9)", None),
    "below": ("bigint generated by default as identity (increment -1 start -1)", "(7), (5)", (-1, -2)),
    "between": ("bigint generated by default as identity (increment -1 maxvalue 99 start 99)", "(7), (50)", (6, 5)),
    "odd": ("bigint generated by default as identity (increment 2 start 1)", "(5), (7)", (9, 11)),
    "far": ("integer generated by default as identity (minvalue -2147483648 start -2147483648)", "", (-(2**31),)),
    "far on": ("integer generated by default as identity (minvalue -99 start -99)", "(-50)", (-49, -48)),
    "serial down": ("integer default nextval('falling')", "(-70)", (-71, -72)),
}


async def test_sequences_that_count_otherwise_go_on_in_their_own_way(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """Downwards below the smallest id, in steps from their start; numbers inside of a text are nobody's matter."""
    path = make_source(
        "".join(
            f'create table "{name}" (id integer primary key, x int);'
            + (f'insert into "{name}" (id) values {rows};' if rows else "")
            for name, (_, rows, _) in OTHERWISE.items()
        )
        + "create table labelled (id text, x int); insert into labelled values ('A7', 1);"
    )
    server = await asyncpg.connect(database_dsn)
    try:
        await server.execute(
            "create sequence falling increment -1; create sequence labels;"
            "create table labelled (id text default 'A' || nextval('labels'), x int);"
            + "".join(
                f'create table "{name}" (id {kind} primary key, x int);' for name, (kind, _, _) in OTHERWISE.items()
            )
        )
        done = etl("migrate", path, database_dsn)
        assert done.status == 0, done.out + done.err
        assert etl("verify", path, database_dsn, "--mode", "fill").status == 0
        for name, (_, _, wanted) in OTHERWISE.items():
            insert = f'insert into "{name}" (x) values (9) returning id'
            for number in wanted or ():
                assert (name, await server.fetchval(insert)) == (name, number)
            if wanted is None:
                with pytest.raises(asyncpg.SequenceGeneratorLimitExceededError):
                    await server.execute(insert)
        await server.execute("alter table down alter id restart with -5; select setval('falling', -9)")
        behind = etl("verify", path, database_dsn, "--mode", "fill")
        assert "down.id: expected a next value below -7, target next value -5" in behind.out
        assert "serial down.id: expected a next value below -72, target next value -10" in behind.out
    finally:
        await server.close()


async def test_a_sequence_that_others_use_too_never_goes_back(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """A table beside the run takes numbers from it: those that it has must not come again."""
    server = await asyncpg.connect(database_dsn)
    try:
        await server.execute(
            "create sequence s; create table t (id bigint default nextval('s') primary key, x int);"
            "create table u (id bigint default nextval('s') primary key); select setval('s', 70); insert into u default"
            " values"
        )
        assert etl("migrate", make_source(SOURCES["plain"][0].format("t")), database_dsn).status == 0
        assert await server.fetchval("insert into u default values returning id") == 72
    finally:
        await server.close()


@pytest.mark.parametrize("case", ["high water", "empty", "negative", "quoted"])
async def test_a_replaced_table_goes_on_after_its_own_rows(
    case: str, etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """Its sequence is a new one: where the old one stood is nobody's matter."""
    script, expected = CASES[case]
    path = make_source(script)
    assert etl("migrate", path, database_dsn).status == 0
    server = await asyncpg.connect(database_dsn)
    try:
        (table,) = [row[0] for row in await server.fetch("select tablename from pg_tables where schemaname = 'public'")]
        quoted = '"' + table.replace('"', '""') + '"'
        await server.execute(f"insert into {quoted} (x) select n from generate_series(1, 50) as n")
        assert etl("migrate", path, database_dsn, "--mode", "replace").status == 0
        key = await server.fetchval(
            "select attname from pg_attribute where attrelid = $1::text::regclass and attidentity <> ''", quoted
        )
        assert await server.fetchval(f'insert into {quoted} (x) values (9) returning "{key}"') == expected
    finally:
        await server.close()
