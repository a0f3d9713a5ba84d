"""A migrated schema behaves as the source did: both sides take, or refuse, the same INSERT, and store the same row."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import json
import sqlite3
import tempfile
import time
import uuid
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from etl.errors import ExitStatus
from etl.options import Options
from etl.pipeline import migrate
from etl.progress import SilentProgress
from etl.report import Report

SCHEMA = "behaving"
WORDS = ["", "a", "A", "ab", "Ab", "b", "é", "É", "10", "a%b", "it's", " a", "zz"]
# declared type → values that both sides hold, as SQLite stores them
DOMAINS: dict[str, list[Any]] = {
    "INTEGER": [0, 1, 2, 3, -1, 7, 2**40, -(2**63), 2**63 - 1],
    "BIGINT": [0, 1, 2, 3, 10, -5],
    "INT": [0, 1, 2, 3, 10, -5],
    "TEXT": WORDS,
    "VARCHAR(20)": WORDS,
    "REAL": [0.0, 0.5, 1.0, -2.25, 1e300, 3.0],
    "DECIMAL(10,2)": [0, 1, 0.5, 1.25, -3, 99.99],
    "BOOLEAN": [0, 1],
    "DATE": ["2024-02-29", "1999-12-31", "2024-03-01"],
    "DATETIME": ["2024-02-29 12:00:00", "1999-12-31 23:59:59.5", "2024-03-01 00:00:00"],
    "BLOB": [b"", b"\0", b"abc", b"\xff"],
    "UUID": ["6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff", "00000000-0000-0000-0000-000000000001"],
    "JSON": ['{"a": 1}', "[]", '"x"'],
}
CHECKS: dict[str, list[str]] = {
    "INTEGER": ["{c} > 0", "{c} in (0, 1, 2)", "{c} between 0 and 10", "{c} <> 3", "{c} % 2 = 0", "abs({c}) < 8", "{c}",
                "typeof({c}) = 'integer'", "typeof({c}) in ('integer', 'null')", "not {c} = 1", "{c} is not null"],
    "BIGINT": ["{c} >= 1", "{c} * 2 < 9", "{c} / 2 = 1", "coalesce({c}, 1) > 0", "{c} is null or {c} > 1"],
    "TEXT": ["length({c}) > 0", "{c} <> ''", "{c} like 'a%'", "{c} glob 'a*'", "{c} in ('a', 'A', 'b')", "{c} > 'a'",
             "upper({c}) = 'A'", "trim({c}) = {c}", "substr({c}, 1, 1) = 'a'", "{c} not like '%''%'", "instr({c}, 'b')",
             "typeof({c}) = 'text'", "{c} = lower({c})", "length({c}) between 1 and 2"],
    "VARCHAR(20)": ["length({c}) <= 2", "{c} is not ''", "{c} || 'x' <> 'ax'", "{c} < 'b'"],
    "REAL": ["{c} >= 0", "{c} < 2.5", "round({c}) = {c}", "{c} = 0.5 or {c} = 1"],
    "DECIMAL(10,2)": ["{c} > 0", "{c} <= 1.25", "{c} * 2 = 1", "{c} <> 0.5"],
    "BOOLEAN": ["{c} in (0, 1)", "{c} = 1", "{c}", "not {c}", "{c} is not 0", "{c} is true"],
    "DATE": ["{c} >= '2000-01-01'", "{c} < '2024-03-01'", "length({c}) = 10"],
    "DATETIME": ["{c} is not null", "{c} >= '2000-01-01 00:00:00'"],
    "BLOB": ["length({c}) > 0", "{c} is not null", "{c} <> x'00'", "typeof({c}) = 'blob'"],
    "UUID": ["length({c}) = 36", "{c} is not null"],
    "JSON": ["{c} is null or json_valid({c})", "{c} is not null"],  # NULL alone is valid since SQLite 3.45, not before
}  # fmt: skip
DEFAULTS: dict[str, list[str]] = {
    "INTEGER": ["0", "-1", "(1 + 2)", "null", "+7", "(abs(-3))", "true"],
    "BIGINT": ["3", "(2 * 5)", "'10'"],
    "TEXT": ["''", "'a'", "'it''s'", "\"ab\"", "('a' || 'b')", "null", "5", "(lower('A'))", "(hex('z'))", "1.50"],
    "VARCHAR(20)": ["'b'", "('x' || 1)", "-2"],
    "REAL": ["0", "0.5", "(1 / 2)", "(1 / 2.0)", "'3'", "1e300"],
    "DECIMAL(10,2)": ["1.25", "0", "'99.99'", "(1 + 0.5)"],
    "BOOLEAN": ["0", "1", "true", "false", "(1 = 1)"],
    "DATE": ["'2024-02-29'", "null"],
    "DATETIME": ["'2024-02-29 12:00:00'", "null"],
    "BLOB": ["x'00ff'", "x''", "null"],
    "UUID": ["'6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff'"],
    "JSON": ["'{{\"a\": 1}}'", "'[]'"],
}  # fmt: skip
GENERATED: dict[str, list[str]] = {
    "INTEGER": ["{c} + 1", "{c} * 2", "-{c}", "{c} % 3", "coalesce({c}, 0)"],
    "BIGINT": ["{c} / 2", "abs({c})"],
    "TEXT": ["{c} || '!'", "lower({c})", "length({c})", "substr({c}, 1, 1)", "coalesce({c}, '')", "trim({c})"],
    "REAL": ["{c} * 2", "{c} + 1"],
}
PREDICATES = ["{c} is not null", "{c} is null", "{c} = 1", "{c} <> 'a'", "{c}", "not {c}", "{c} > 0 and {c} < 3"]
TERMS = [
    "{c}",
    "{c}",
    "{c}",
    "lower({c})",
    "{c} collate nocase",
    "{c} desc",
    "coalesce({c}, 0)",
    "{c} + 1",
    "length({c})",
]
PAIRS = [
    "{a} is not null or {b} is not null",
    "{a} <> {b}",
    "{a} = {b} or {a} is null",
    "{a} < {b}",
    "{a} || {b} <> 'aa'",
    "({a} is null) = ({b} is null)",
    "case when {a} is null then {b} is not null else 1 end",
]
NAMES = ["a", "b", "C", "d e", "select", 'q"q', "é", "user", "xmin"]
STRICT = ("INTEGER", "TEXT", "REAL", "BLOB")
COLLATIONS = ["", "", "", "collate nocase"]


@dataclass(frozen=True)
class Column:
    name: str
    declared: str
    not_null: bool = False
    default: str | None = None
    check: str | None = None
    generated: str | None = None
    collation: str = ""
    rowid_alias: bool = False

    @property
    def sql(self) -> str:
        if self.rowid_alias:
            return f"{quote(self.name)} integer primary key"
        parts = [quote(self.name), self.declared]
        parts += ["not null"] if self.not_null else []
        parts += [f"default {self.default}"] if self.default is not None else []
        parts += [self.collation] if self.collation else []
        parts += [f"check ({self.check})"] if self.check else []
        parts += [f"generated always as ({self.generated})"] if self.generated else []
        return " ".join(parts)


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    constraints: tuple[str, ...] = ()
    options: str = ""
    indexes: tuple[str, ...] = ()
    key: tuple[str, ...] = ()  # of a primary key that is no rowid alias

    @property
    def sql(self) -> str:
        listed = ", ".join([*(column.sql for column in self.columns), *self.constraints])
        return f"create table {quote(self.name)} ({listed}) {self.options};\n" + "".join(self.indexes)


@dataclass(frozen=True)
class Insert:
    table: str
    values: dict[str, Any]


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    declared = draw(st.sampled_from([*CHECKS, *STRICT]))
    named = quote(name)

    def perhaps(pool: list[str]) -> str | None:
        return draw(st.sampled_from(pool)).replace("{c}", named).replace("{{", "{").replace("}}", "}") if pool else None

    return Column(
        name,
        declared,
        not_null=draw(st.booleans()),
        default=perhaps(DEFAULTS[declared]) if draw(st.booleans()) else None,
        check=perhaps(CHECKS[declared]) if draw(st.integers(0, 2)) == 0 else None,
        collation=draw(st.sampled_from(COLLATIONS)) if declared in ("TEXT", "VARCHAR(20)") else "",
    )


@st.composite
def tables(draw: st.DrawFn, name: str, earlier: list[Table]) -> Table:
    """Columns, a key of some kind, unique ones, a CHECK over two columns, generated columns, a foreign key."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique_by=lambda text: text.lower()))
    own = [draw(columns(one)) for one in names]
    constraints, indexes, key = [], [], ()
    kind = draw(st.sampled_from(["rowid", "rowid", "key", "without", "none"]))
    subset = st.lists(st.sampled_from([one.name for one in own]), min_size=1, max_size=2, unique=True)
    if kind == "rowid":
        own.insert(0, Column("id", "INTEGER", rowid_alias=True))
    elif kind != "none":
        key = tuple(draw(subset))
        constraints.append(f"primary key ({', '.join(map(quote, key))})")
    for _ in range(draw(st.integers(0, 2))):
        listed = ", ".join(map(quote, draw(subset)))
        form = draw(st.integers(0, 3))
        if form == 0:
            constraints.append(f"unique ({listed})")
        else:
            where = draw(st.sampled_from(PREDICATES)).format(c=quote(own[-1].name)) if form >= 2 else ""
            term = draw(st.sampled_from(TERMS)).format(c=quote(own[0].name))
            terms = term if form == 3 else listed
            indexes.append(
                f"create unique index {quote(f'{name}_{len(indexes)}')} on {quote(name)} ({terms})"
                + (f" where {where}" if where else "")
                + ";\n"
            )
    if draw(st.integers(0, 3)) == 0:
        given_by_us = [one for one in own if not one.rowid_alias]  # numbers of a sequence differ
        condition = draw(st.sampled_from(PAIRS)).format(a=quote(given_by_us[0].name), b=quote(own[-1].name))
        constraints.append(f"check ({condition})")
    keyed = [table for table in earlier if table.columns[0].rowid_alias]
    if own[0].rowid_alias and draw(st.integers(0, 3)) == 0:
        own.append(Column("above", "BIGINT"))
        constraints.append(f"foreign key (above) references {quote(name)} (id)")
    if keyed and draw(st.booleans()):
        parent = draw(st.sampled_from(keyed))
        own.append(Column("parent_id", "INTEGER", not_null=draw(st.booleans())))
        late = draw(st.sampled_from(["", " deferrable initially deferred", " on delete cascade"]))
        constraints.append(f"foreign key (parent_id) references {quote(parent.name)} (id){late}")
    base = draw(st.sampled_from(own))
    if GENERATED.get(base.declared) and not base.rowid_alias and draw(st.integers(0, 2)) == 0:
        expression = draw(st.sampled_from(GENERATED[base.declared])).replace("{c}", quote(base.name))
        own.append(Column("made", "", generated=expression))
    options = ["without rowid"] if kind == "without" else []
    if draw(st.integers(0, 3)) == 0 and {one.declared for one in own} <= {"", "BIGINT", *STRICT}:
        options.append("strict")
        own = [replace(one, declared={"": "ANY", "BIGINT": "INT"}.get(one.declared, one.declared)) for one in own]
    return Table(name, tuple(own), tuple(constraints), ", ".join(options), tuple(indexes), key)


@st.composite
def inserts(draw: st.DrawFn, listed: list[Table]) -> Insert:
    """Values of the columns' domains and NULLs; some columns left to their defaults."""
    table = draw(st.sampled_from(listed))
    values: dict[str, Any] = {}
    for column in table.columns:
        in_key = column.name in table.key  # where it may not be NULL in PostgreSQL
        if column.generated is not None or (not in_key and draw(st.integers(0, 4)) == 0):
            continue
        nullable = not column.rowid_alias and not in_key
        pool = [0, 1, 2, 3] if column.name in ("id", "parent_id", "above") else DOMAINS[column.declared]
        values[column.name] = draw(st.sampled_from([*pool, None] if nullable else pool))
    return Insert(table.name, values)


@dataclass(frozen=True)
class Case:
    tables: list[Table]
    rows: list[Insert]  # those that SQLite takes are migrated
    tried: list[Insert]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    listed: list[Table] = []
    for name in draw(st.lists(st.sampled_from(["t", "Two", "o k"]), min_size=1, max_size=3, unique=True)):
        listed.append(draw(tables(name, listed)))
    rows = draw(st.lists(inserts(listed), max_size=8))
    return Case(listed, rows, draw(st.lists(inserts(listed), min_size=4, max_size=25)))


# --- both sides ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """A row as it was stored, or why it was refused."""

    row: dict[str, Any] | None
    reason: str = ""


def insert_sql(schema: str, insert: Insert, mark: str) -> str:
    table = f"{schema}{quote(insert.table)}"
    if not insert.values:
        return f"insert into {table} default values"
    names = ", ".join(map(quote, insert.values))
    marks = ", ".join(mark.format(number) for number in range(1, len(insert.values) + 1))
    return f"insert into {table} ({names}) values ({marks})"


def open_copy(image: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(image)
    connection.execute("pragma foreign_keys = on")
    return connection


def in_sqlite(image: bytes, insert: Insert) -> Outcome:
    """Each on a copy of its own: a deferred foreign key is checked at COMMIT."""
    everything = f"select * from {quote(insert.table)}"
    with closing(open_copy(image)) as connection:
        before = connection.execute(everything).fetchall()
        try:
            connection.execute("begin")
            connection.execute(insert_sql("", insert, "?"), tuple(insert.values.values()))
            cursor = connection.execute(everything)  # its RETURNING shows large integers as reals
            names, after = [one[0] for one in cursor.description], cursor.fetchall()
            connection.execute("commit")
        except sqlite3.Error as error:
            return Outcome(None, str(error))
    for row in before:
        after.remove(row)
    return Outcome(dict(zip(names, after[0], strict=True)))


async def in_postgresql(
    connection: asyncpg.Connection, insert: Insert, names: dict[str, str], types: dict[str, str]
) -> Outcome:
    transaction = connection.transaction()
    await transaction.start()
    try:
        given = Insert(insert.table, {names[name]: value for name, value in insert.values.items()})
        values = [as_target(value, types[name]) for name, value in given.values.items()]
        row = await connection.fetchrow(insert_sql(f"{SCHEMA}.", given, "${}") + " returning *", *values)
        await connection.execute("set constraints all immediate")
        return Outcome(dict(row))
    except asyncpg.PostgresError as error:
        return Outcome(None, f"{error.sqlstate} {error}")
    finally:
        await transaction.rollback()


def as_target(value: Any, kind: str) -> Any:
    """The value as the driver wants it for a column of this type."""
    if value is None:
        return None
    match kind:
        case "boolean":
            return bool(value)
        case "numeric":
            return decimal.Decimal(repr(value))
        case "date":
            return datetime.date.fromisoformat(value)
        case "timestamp without time zone":
            return datetime.datetime.fromisoformat(value)
        case "uuid":
            return uuid.UUID(value)
        case _:
            return value


def as_stored(value: Any, like: Any) -> Any:
    """A value of the target, to be compared with one of SQLite."""
    match value:
        case bool():
            return int(value)
        case decimal.Decimal():
            return float(value) if isinstance(like, float) else value
        case datetime.datetime():
            return None if like is None else datetime.datetime.fromisoformat(str(like)) == value and like
        case datetime.date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case str() if isinstance(like, str) and value != like and value[:1] in '{["1':
            return like if json.loads(value) == json.loads(like) else value
        case _:
            return value


def agree(source: dict[str, Any], target: dict[str, Any], table: Table, unsure: set[str]) -> list[str]:
    """The columns that hold something else; ``unsure`` ones have a default that was not translated."""
    wrong = []
    for column, theirs, ours in zip(table.columns, source.values(), target.values(), strict=True):
        if column.rowid_alias:  # numbers of a sequence are not given back
            continue
        if column.name not in unsure and as_stored(ours, theirs) != theirs:
            wrong.append(f"{column.name}: {theirs!r} became {ours!r}")
    return wrong


# --- the test --------------------------------------------------------------------------------------------------------


def build(path: Path, case: Case) -> bytes | None:
    """The source with the rows that it takes; None where SQLite does not take the schema itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute("pragma foreign_keys = on")
        try:
            connection.executescript("".join(table.sql for table in case.tables))
        except sqlite3.Error:
            return None
        for insert in case.rows:
            try:
                connection.execute(insert_sql("", insert, "?"), tuple(insert.values.values()))
            except sqlite3.Error:
                continue
        return connection.serialize()


async def check(dsn: str, case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        image = build(path, case)
        if image is None:
            assume(False)
            return
        try:
            report = await migrate(Options(path, dsn, SCHEMA, jobs=1), SilentProgress())
            assert report.status in (ExitStatus.DONE, ExitStatus.UNTRANSLATED), report.differences
            connection = await asyncpg.connect(dsn)
            try:
                await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str)
                await compare(connection, image, case, report)
            finally:
                await connection.close()
        finally:
            await drop_schema(dsn)


async def compare(connection: asyncpg.Connection, image: bytes, case: Case, report: Report) -> None:
    listed = {table.name: table for table in case.tables}
    names = {one.name: {column.source.name: column.name for column in one.columns} for one in report.plan.tables}
    kinds = await types_of(connection)
    numbered = await sequences_of(connection)
    for insert in case.tried:
        table = listed[insert.table]
        loose = [thing for thing in report.plan.untranslated if thing.table == insert.table]
        source = in_sqlite(image, insert)
        target = await in_postgresql(connection, insert, names[insert.table], kinds[insert.table])
        for name, last, is_called in numbered:  # a rollback gives no number back, and a row may lead to its own
            await connection.execute("select setval($1::text::regclass, $2, $3)", name, last, is_called)
        said = f"{table.sql}\n{insert}\nSQLite: {source}\nPostgreSQL: {target}\n{loose}\n{report.plan.notes}"
        event(f"{'taken' if source.row else 'refused'}, {'some untranslated' if loose else 'all translated'}")
        if source.row is None:
            assert target.row is None or loose, said
        elif target.row is None:
            unsure = any(thing.kind in ("default", "generated column") for thing in loose)
            assert unsure, said
        else:
            unsure = {name for name in names[insert.table] for thing in loose if thing.name.endswith(name)}
            assert agree(source.row, target.row, table, unsure) == [], said


async def types_of(connection: asyncpg.Connection) -> dict[str, dict[str, str]]:
    kinds: dict[str, dict[str, str]] = {}
    for row in await connection.fetch(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = $1", SCHEMA
    ):
        kinds.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
    return kinds


async def sequences_of(connection: asyncpg.Connection) -> list[tuple[str, int, bool]]:
    """Each sequence with its last number and whether that was given."""
    found = await connection.fetch(
        "select format('%I.%I', schemaname, sequencename) from pg_sequences where schemaname = $1", SCHEMA
    )
    states = [(name, await connection.fetchrow(f"select last_value, is_called from {name}")) for (name,) in found]
    return [(name, state["last_value"], state["is_called"]) for name, state in states]


async def drop_schema(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"drop schema if exists {SCHEMA} cascade")
    finally:
        await connection.close()


@pytest.mark.timeout(600)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_both_sides_take_the_same_rows(server_dsn: str, case: Case) -> None:
    """An application that moves relies on what its database refuses as much as on what it stores."""
    asyncio.run(check(server_dsn, case))


@pytest.mark.soak
def test_both_sides_take_the_same_rows_as_long_as_time_allows(server_dsn: str, soak_seconds: float) -> None:
    """Rare combinations need many schemas."""
    until = time.monotonic() + soak_seconds

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=cases())
    def some_more(case: Case) -> None:
        if time.monotonic() < until:
            asyncio.run(check(server_dsn, case))

    while time.monotonic() < until:
        some_more()
