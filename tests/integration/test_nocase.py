"""``--nocase citext``: columns of COLLATE NOCASE become the extension's type, where the database has it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

SOURCE = """
create table person (id integer primary key, email text collate nocase unique, nick varchar(20) collate nocase
    default 'New', city text collate nocase, code text collate nocase);
create index by_city on person (city);
create unique index by_code on person (code collate binary);
create table word (name text collate nocase primary key, n int) without rowid;
insert into person values (1, 'Ada@x.org', 'Al', 'Oslo', 'a'), (2, 'é', 'Bo', 'oslo', 'A'), (3, null, '', 'ÅRHUS', 'b');
insert into word values ('Key', 1), ('other', 2);
"""


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    return make_source(SOURCE)


@pytest.fixture
def with_citext(database_dsn: str) -> str:
    """The database with the extension, which not every server can have."""
    if not rows_of(database_dsn, "select 1 from pg_available_extensions where name = 'citext'"):
        pytest.skip("this server has no citext")
    run_apart(execute(database_dsn, "create schema extensions", "create extension citext schema extensions"))
    return database_dsn


def test_a_database_without_the_extension_is_told_how_to_get_it(
    etl: EtlCommand, database_dsn: str, source: Path
) -> None:
    """Before a row moves, in one line, with the statement or with the way without it."""
    for flags in (("--nocase", "citext"), ("--cast", "word.name=citext")):
        done = etl("migrate", source, database_dsn, *flags)
        assert done.status == 1
        assert "its extension is not there" in done.errors[0]
        assert "create extension citext" in done.hints[0] or "--nocase lower" in done.hints[0]
    assert rows_of(database_dsn, "select count(*) from pg_class where relnamespace = 'public'::regnamespace") == [(0,)]
    assert etl("migrate", source, database_dsn, "--nocase", "upper").status == 2


def test_columns_without_case_find_their_rows_in_any_case(etl: EtlCommand, with_citext: str, source: Path) -> None:
    """And hold every byte as it was; a column with an index that sees case stays text, and is listed."""
    done = etl("migrate", source, with_citext, "--nocase", "citext")
    assert done.status == 5, done.err
    assert [line for line in done.out.splitlines() if line.startswith("  collation ")] == [
        "  collation person.code: comparisons with = and ORDER BY are case-sensitive in PostgreSQL"
    ]
    search = "set search_path = public, extensions; "
    run_apart(execute(with_citext, f"alter database {with_citext.partition('?')[0].rpartition('/')[2]} {search[:-2]}"))
    assert rows_of(with_citext, "select id, email::text from person where email = 'ADA@X.ORG'") == [(1, "Ada@x.org")]
    assert rows_of(with_citext, "insert into word values ('KEY', 3) on conflict do nothing returning n") == []
    assert rows_of(with_citext, "insert into person (id) values (9) returning nick::text") == [("New",)]
    assert rows_of(with_citext, "select indexdef from pg_indexes where indexdef like '%lower%'") == []
    run_apart(execute(with_citext, "delete from person where id = 9"))
    assert etl("verify", source, with_citext, "--nocase", "citext").status == 0
    run_apart(execute(with_citext, "update person set email = 'ada@x.org' where id = 1"))
    done = etl("verify", source, with_citext, "--nocase", "citext")
    assert done.status == 4  # equal to citext, and another value all the same
    assert "Ada@x.org" in done.out


def test_values_that_citext_takes_for_the_same_are_named(etl: EtlCommand, with_citext: str, source: Path) -> None:
    """SQLite folds ASCII only, citext every letter of the locale: both rows are told, and nothing is there."""
    if rows_of(with_citext, "select lower('É' collate \"default\")") != [("é",)]:
        pytest.skip("the locale of this database folds ASCII only")
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("insert into person (id, email) values (9, 'É')")
        connection.commit()
    done = etl("migrate", source, with_citext, "--nocase", "citext")
    assert done.status == 1
    assert "person.email (id=9): 'É' is the same in person_email_key as that of the row (id=2)" in done.errors[0]
    assert rows_of(with_citext, "select count(*) from pg_class where relnamespace = 'public'::regnamespace") == [(0,)]


def test_a_cast_makes_any_text_citext(etl: EtlCommand, with_citext: str, make_source: MakeSource) -> None:
    """Without a word of NOCASE in the source."""
    path = make_source("create table t (id integer primary key, x text); insert into t values (1, 'Ab');", name="c.db")
    done = etl("migrate", path, with_citext, "--cast", "t.x=citext")
    assert done.status == 0, done.err
    kinds = rows_of(with_citext, "select atttypid::regtype::text from pg_attribute where attrelid = 't'::regclass"
                    " and attname = 'x'")  # fmt: skip
    assert kinds == [("extensions.citext",)]
