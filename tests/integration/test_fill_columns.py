"""Columns that fill mode leaves behind, or finds otherwise than the source has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart
from tests.fix_source import MakeSource

SOURCE = """
create table "Maker X" (id integer primary key, name text, "Old Note" text);
create table thing (id integer primary key, maker integer references "Maker X", size int);
"""
ROWS = {"Maker X": [(3, "Ada", "n"), (9, "Grace", None)], "thing": [(1, 9, 4), (2, 3, 5)]}
TARGET = (
    'create table "Maker X" (id serial primary key, name text)',
    "create table thing (id serial primary key, maker int, size int)",
)
LEFT = ("--ignore-columns", "Maker X.Old Note")


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    return make_source(SOURCE, ROWS)


def test_a_key_that_others_lead_to_is_not_left_behind(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """The target would number the rows anew, and each child would have another parent, or none, in silence."""
    run_apart(execute(database_dsn, *TARGET))
    refused = etl("migrate", source, database_dsn, *LEFT, "--ignore-columns", "Maker X.id")
    assert refused.status == 1
    assert "Maker X.id: the target would give its rows other values than those that thing.maker leads to" in refused.err
    both = ("--ignore-columns", "Maker X.id", "--ignore-columns", "thing.maker")
    done = etl("migrate", source, database_dsn, *LEFT, *both)
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, 'select id, name from "Maker X" order by id') == [(1, "Ada"), (2, "Grace")]


def test_a_column_of_a_kept_table_may_be_named(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """--keep is added to the command that failed, which says already what stays behind."""
    run_apart(execute(database_dsn, *TARGET))
    done = etl("migrate", source, database_dsn, *LEFT, "--keep", "Maker*")
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select count(*) from thing") == [(2,)]


def test_the_statement_that_gives_a_default_can_be_run(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """Whatever table and column are called, and whatever the schema."""
    script = ("create schema app", "set search_path = app", 'create table "Maker X" (id int, "Must Be" int not null)')
    run_apart(execute(database_dsn, "; ".join(script)))
    chosen = ("--target-schema", "app", "--tables", "Maker X", *LEFT, "--ignore-columns", "*.name")
    refused = etl("migrate", source, database_dsn, *chosen)
    assert refused.status == 1
    statement = refused.hints[0].split("give it one: ")[1].split(";")[0].replace("…", "7")
    run_apart(execute(database_dsn, statement))
    done = etl("migrate", source, database_dsn, *chosen)
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, 'select id, "Must Be" from app."Maker X" order by id') == [(3, 7), (9, 7)]


def test_a_cast_of_a_column_that_is_there_is_told_to_have_no_say(
    etl: EtlCommand, source: Path, database_dsn: str
) -> None:
    """The target's type rules, and whoever asked for another one hears so."""
    run_apart(execute(database_dsn, *TARGET))
    done = etl("migrate", source, database_dsn, *LEFT, "--cast", "thing.size=text", "--cast", "thing.id=integer")
    assert done.status == 0, done.out + done.err
    assert "thing.size: --cast has no say, the target's own column is integer" in done.out
    assert "thing.id: --cast" not in done.out


def test_a_table_of_another_kind_is_named_once_and_left_as_it_is(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """As the search index of an application, which it makes anew: no flag on its columns leads anywhere."""
    source = make_source("create table entry (id integer primary key, body text not null); create table t (a int);")
    entry = "create table entry (id int primary key, body tsvector not null, title text not null default '')"
    run_apart(execute(database_dsn, f"{entry}; create table t (a int)"))
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert refused.errors[0].count("entry.body") == 1
    assert "hint: --keep 'entry' leaves the table as the target has it;" in refused.hints[0]
    assert etl("migrate", source, database_dsn, "--keep", "entry").status == 0
