"""The DDL on a real server: it is accepted, and what it made is what was planned."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from etl.model import Plan, Statement
from tests.fix_source import MakeSource
from tests.planning import DATA, all_statements, case_script, plan_of

CASES = sorted(folder.name for folder in DATA.iterdir() if (folder / "source.sql").exists())
SCHEMA = 'staging "x" %s'
COLUMNS_SQL = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull,
       a.attidentity <> '' as identity, l.collname
from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_collation l on l.oid = a.attcollation
where c.relnamespace = (select oid from pg_namespace where nspname = $1) and c.relkind = 'r' and a.attnum > 0"""


@pytest.fixture
async def server(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_dsn, server_settings={"search_path": "pg_catalog"})
    yield connection
    await connection.close()


async def create(server: asyncpg.Connection, plan: Plan) -> tuple[Statement, ...]:
    """Run the whole DDL."""
    quoted = SCHEMA.replace('"', '""')
    await server.execute(f'create schema "{quoted}"')
    statements = all_statements(plan, SCHEMA)
    for statement in statements:
        await server.execute(statement.sql)
    return statements


@pytest.mark.parametrize("case", CASES)
async def test_the_server_accepts_every_statement(
    case: str, make_source: MakeSource, server: asyncpg.Connection
) -> None:
    """And every object has the name that the plan gave it, and the type."""
    plan = await plan_of(make_source(case_script(case)))
    statements = await create(server, plan)
    columns = await server.fetch(COLUMNS_SQL, SCHEMA)
    found = {(row["relname"], row["attname"]): row for row in columns}
    assert set(found) == {(table.name, column.name) for table in plan.tables for column in table.columns}
    for table in plan.tables:
        for column in table.columns:
            row = found[table.name, column.name]
            assert short_type(row["type"]) == str(column.type)
            assert row["identity"] == column.identity
            assert row["attnotnull"] == (column.not_null or column.name in table.primary_key)
            assert (row["collname"] == "C") == (column.collation == "C")
    objects = await server.fetch(
        "select relname as name from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1)"
        " and relkind in ('r', 'i') union all select conname from pg_constraint where contype in ('c', 'f')"
        " and connamespace = (select oid from pg_namespace where nspname = $1)",
        SCHEMA,
    )
    assert sorted(row["name"] for row in objects) == sorted(statement.name for statement in statements)


def short_type(name: str) -> str:
    return (
        name.replace("character varying", "varchar")
        .replace("timestamp without time zone", "timestamp")
        .replace("timestamp with time zone", "timestamptz")
        .replace("time without time zone", "time")
    )


async def test_checks_refuse_what_sqlite_refuses(make_source: MakeSource, server: asyncpg.Connection) -> None:
    """The same rows go to both sides, one by one: both take the row, or both refuse it."""
    script = case_script("conditions")
    assert "check (random() > 0)" in script
    script = script.replace("check (random() > 0)", "check (1)")
    path = make_source(script)
    await create(server, await plan_of(path))
    base = {"age": 30, "name": "x", "state": "new", "flag": 1}
    base |= {"price": 1, "doc": "{}", "born": "2000-01-01", "kind": "k"}
    changes = [
        {},
        *({"age": age} for age in (0, 150, -1, 151, None)),
        *({"age": age, "flag": 0} for age in (30, None)),
        *({"name": name} for name in ("", "  ", " a ", "😀")),
        *({"state": state} for state in ("other", None, "NEW")),
        *({"price": price} for price in (0, -0.01, None)),
        *({"born": born} for born in ("1900-01-01", "1900-01-02", None)),
        {"kind": None},
        *({"note": note} for note in ("a", "A", "xa", "é", "", None)),
        *({"code": code} for code in ("1x", "x1", "", None)),
        *({"age": age} for age in (6, 7, 8, 9)),
    ]
    for change in changes:
        row = base | change
        assert sqlite_takes(path, row) == await server_takes(server, row), change


def sqlite_takes(path: Path, row: dict[str, object]) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        try:
            marks = ", ".join("?" * len(row))
            connection.execute(f"insert into checked ({', '.join(row)}) values ({marks})", list(row.values()))
        except sqlite3.IntegrityError:
            return False
        return True


async def server_takes(server: asyncpg.Connection, row: dict[str, object]) -> bool:
    quoted = SCHEMA.replace('"', '""')
    values = row | {"flag": bool(row["flag"])}
    literals = ", ".join("null" if value is None else f"'{value}'" for value in values.values())
    try:
        await server.execute(f'insert into "{quoted}".checked ({", ".join(values)}) values ({literals})')
    except asyncpg.IntegrityConstraintViolationError:
        return False
    return True


async def test_defaults_give_what_sqlite_gives(make_source: MakeSource, server: asyncpg.Connection) -> None:
    """Insert nothing on both sides and compare; clocks agree to the minute."""
    script = (
        "create table d (a text default 'it''s', b text default \"dq\", c int default -7, e boolean default true,"
        " f numeric(5,2) default 1.5, g text default 1, h text default (datetime('now')),"
        " i int default (strftime('%s', 'now')), j text default current_date,"
        " k text default (strftime('%Y-%m-%dT%H:%M', 'now')), l real default .5,"
        " m text default (lower(hex(randomblob(20)))), n blob default (randomblob(5)),"
        " o text default (hex(randomblob(8))),"
        " p real default (julianday('now')), q text default (datetime('now', '-1 day', '+30 minutes')));"
        "insert into d default values;"
    )
    path = make_source(script)
    await create(server, await plan_of(path))
    quoted = SCHEMA.replace('"', '""')
    await server.execute(f'insert into "{quoted}".d default values')
    target = dict(await server.fetchrow(f'select * from "{quoted}".d'))
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        source = dict(connection.execute("select * from d").fetchone())
    for name in ("a", "b", "c", "g", "l"):
        assert source[name] == target[name], name
    assert (source["e"], source["f"]) == (int(target["e"]), float(target["f"]))
    assert abs(source["i"] - target["i"]) < 60
    assert abs(source["p"] - target["p"]) < 60 / 86400
    for name in ("m", "n", "o"):
        assert len(source[name]) == len(target[name])
        assert source[name] != target[name]
    assert (target["m"], target["o"]) == (target["m"].lower(), target["o"].upper())
    for name in ("h", "j", "k", "q"):
        assert len(source[name]) == len(target[name])
        assert source[name][:10] == target[name][:10]


async def test_nocase_keys_refuse_what_sqlite_refuses(make_source: MakeSource, server: asyncpg.Connection) -> None:
    """ASCII letters of both cases are one, É and é are two, whatever the database's locale."""
    path = make_source("create table n (name text collate nocase unique);")
    await create(server, await plan_of(path))
    quoted = SCHEMA.replace('"', '""')
    for value in ("abc", "ABC", "é", "É", "ſ", "s", "S", "K", "K", "k"):
        with closing(sqlite3.connect(path)) as connection:
            try:
                connection.execute("insert into n values (?)", [value])
                connection.commit()
                source = True
            except sqlite3.IntegrityError:
                source = False
        try:
            await server.execute(f'insert into "{quoted}".n values ($1)', value)
            target = True
        except asyncpg.UniqueViolationError:
            target = False
        assert source == target, value
