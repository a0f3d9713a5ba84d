"""Fill mode: whatever types and kinds of columns the application's tables have, the target's word is law."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

# declared in SQLite, values, type in the target, what arrives as text
KINDS = {
    "enum": ("text", ["sad", "ok"], "mood", ["sad", "ok"]),
    "domain": ("decimal(10,2)", [1.5, 2], "price", ["1.50", "2.00"]),
    "domain of a domain": ("text", ["A-1", "B-2"], "code2", ["A-1", "B-2"]),
    "array of integers": ("text", ["[1, 2]", "[]"], "integer[]", ["{1,2}", "{}"]),
    "array of texts": ("text", ['["a", "b c"]', "[null]"], "text[]", ["{a,\"b c\"}", "{NULL}"]),
    "citext": ("text", ["Ada", "ada"], "public.citext", ["Ada", "ada"]),
    "char(n)": ("text", ["ab", "abc"], "char(3)", ["ab", "abc"]),
    "numeric of its own scale": ("real", [1.005, 2.5], "numeric(8,2)", ["1.01", "2.50"]),
    "smallint": ("integer", [1, -32768], "smallint", ["1", "-32768"]),
    "real": ("real", [0.5, 1.5], "real", ["0.5", "1.5"]),
    "epoch milliseconds": ("datetime", [1700000000000, 1700000001000], "timestamp(3)",
                           ["2023-11-14 22:13:20", "2023-11-14 22:13:21"]),
    "interval": ("text", ["01:02:03", "00:00:01"], "interval", ["01:02:03", "00:00:01"]),
    "inet": ("text", ["10.0.0.1", "::1"], "inet", ["10.0.0.1/32", "::1/128"]),
    "uuid": ("text", ["00000000-0000-0000-0000-00000000000a", "0000000000000000000000000000000b"], "uuid",
             ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"]),
    "json as it is": ("text", ['{"b":1, "a":2}', "[]"], "json", ['{"b":1, "a":2}', "[]"]),
    "boolean": ("integer", [0, 1], "boolean", ["false", "true"]),
    "time": ("text", ["01:02:03", "23:59:59.5"], "time", ["01:02:03", "23:59:59.5"]),
    "bytea": ("blob", [b"\x00\xff", b""], "bytea", ["\\x00ff", "\\x"]),
}  # fmt: skip
TYPES = (
    "create type mood as enum ('sad', 'ok', 'happy')",
    "create domain price as numeric(10,2) check (value >= 0)",
    "create domain code as text check (value ~ '^[A-Z]')",
    "create domain code2 as code not null",
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_of_the_target_rules(kind: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """Under the type that the application gave it, and verified under it."""
    declared, values, wanted, held = KINDS[kind]
    if kind == "citext":
        if not rows_of(database_dsn, "select 1 from pg_available_extensions where name = 'citext'"):
            pytest.skip("this server has no citext")
        run_apart(execute(database_dsn, "create extension citext"))
    source = make_source(
        f"create table t (id integer primary key, v {declared});", {"t": list(enumerate(values, start=1))}
    )
    run_apart(execute(database_dsn, *TYPES, f"create table t (v {wanted}, id integer primary key)"))
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, "select v::text from t order by id") == [(text,) for text in held]


REFUSED = {
    "a label that the enum has not": ("text", "glad", "mood"),
    "a value that the domain forbids": ("decimal(10,2)", -1, "price"),
    "NULL in a NOT NULL column": ("text", None, "text not null"),
    "NULL in a domain that is NOT NULL": ("text", None, "code2"),
    "a number over the target's range": ("integer", 40_000, "smallint"),
    "digits over the target's precision": ("decimal(10,2)", 12345.5, "numeric(6,2)"),
    "blanks beyond n": ("text", "abc  ", "varchar(3)"),
    "blanks beyond n of char": ("text", "abc  ", "char(3)"),
    "a text that is no number": ("text", "x", "integer"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_target_cannot_hold_is_refused_by_name(
    kind: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """With table, column and row, and nothing in the table afterwards."""
    declared, value, wanted = REFUSED[kind]
    source = make_source(f"create table t (id integer primary key, v {declared});", {"t": [(1, value)]})
    run_apart(execute(database_dsn, *TYPES, f"create table t (id integer primary key, v {wanted})"))
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert done.errors[0].startswith("error: t.v (id=1): ") or "rowid=1" in done.errors[0], done.errors
    assert rows_of(database_dsn, "select count(*) from t") == [(0,)]


def test_blanks_beyond_n_are_cut_when_the_user_says_so(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """PostgreSQL would cut them without a word."""
    source = make_source("create table t (id integer primary key, v text);", {"t": [(1, "abc  ")]})
    run_apart(execute(database_dsn, "create table t (id integer primary key, v varchar(3))"))
    done = etl("migrate", source, database_dsn, "--truncate")
    assert (done.status, done.errors) == (0, [])
    assert "truncated" in done.out
    assert rows_of(database_dsn, "select v from t") == [("abc",)]


def test_a_partitioned_table_takes_its_rows(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """Each row into its partition; old ones are taken away in all of them."""
    source = make_source(
        "create table event (id integer primary key, at date);",
        {"event": [(1, "2023-05-01"), (2, "2024-05-01"), (3, "2024-06-01")]},
    )
    run_apart(
        execute(
            database_dsn,
            "create table event (at date not null, id bigint not null, primary key (id, at)) partition by range (at)",
            "create table event_2023 partition of event for values from ('2023-01-01') to ('2024-01-01')",
            "create table event_2024 partition of event for values from ('2024-01-01') to ('2025-01-01')",
            "insert into event values ('2023-01-01', 99)",
            "create function refuse() returns trigger language plpgsql as 'begin raise exception ''fired''; end'",
            "create trigger fires before insert on event for each row execute function refuse()",
        )
    )
    done = etl("migrate", source, database_dsn, "--force")
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, "select tableoid::regclass::text, id from event order by id") == [
        ("event_2023", 1), ("event_2024", 2), ("event_2024", 3),
    ]  # fmt: skip
    assert rows_of(database_dsn, "select tgrelid::regclass::text, tgenabled::text from pg_trigger order by 1") == [
        ("event", "O"), ("event_2023", "O"), ("event_2024", "O"),
    ]  # fmt: skip


def test_what_the_target_computes_is_compared_not_written(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Generated on both sides: COPY may not write it, and a value that differs would be lost without a word."""
    script = "create table t (id integer primary key, a integer, b integer generated always as (a * 2) stored);"
    source = make_source(script)
    connection_rows = "insert into t (id, a) values (1, 2), (2, 3)"
    import sqlite3

    with sqlite3.connect(source) as connection:
        connection.execute(connection_rows)
    run_apart(
        execute(database_dsn, "create table t (id int primary key, a int, b int generated always as (a * 2) stored)")
    )
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, "select a, b from t order by id") == [(2, 4), (3, 6)]

    run_apart(
        execute(
            database_dsn,
            "drop table t",
            "create table t (id int primary key, a int, b int generated always as (a * 3) stored)",
        )
    )
    different = etl("migrate", source, database_dsn)
    assert different.status == 4
    assert rows_of(database_dsn, "select count(*) from t") == [(0,)]


def test_names_match_in_other_letters_only_when_they_are_unique(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Prisma and Hibernate quote their names, others fold them."""
    source = make_source('create table "User" (ID integer primary key, createdAt text);', {"User": [(1, "now")]})
    run_apart(execute(database_dsn, 'create table "user" (id int primary key, "createdat" text)'))
    done = etl("migrate", source, database_dsn)
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, 'select id, createdat from "user"') == [(1, "now")]
    run_apart(
        execute(
            database_dsn,
            'drop table "user"',
            'create table "USER" (id int, createdat text, "CreatedAt" text)',
        )
    )
    done = etl("migrate", source, database_dsn)
    assert done.status == 1
    assert "User.createdAt: the target's table USER has no such column" in done.errors[0]


def test_a_without_rowid_table_and_one_without_its_key_are_filled(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Ignored columns may be part of the source's key; pages are named by what is left."""
    source: Path = make_source(
        "create table t (a text, b integer, c text, primary key (a, b)) without rowid;",
        {"t": [("x", 1, "one"), ("x", 2, "two")]},
    )
    run_apart(execute(database_dsn, "create table t (id uuid primary key default gen_random_uuid(), b int, c text)"))
    done = etl("migrate", source, database_dsn, "--ignore-columns", "t.a")
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, "select b, c from t order by b") == [(1, "one"), (2, "two")]
