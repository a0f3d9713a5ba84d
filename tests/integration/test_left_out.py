"""Runs that leave something out on purpose: the rows, or the indexes that keep nothing apart."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fix_command import EtlCommand
from tests.fix_server import rows_of
from tests.fix_source import MakeSource

SCRIPT = """
create table parent (id integer primary key autoincrement, code varchar(2) unique, at datetime);
create table child (id integer primary key, parent_id integer not null references parent(id), name text);
create index by_name on child(name);
create unique index by_both on child(parent_id, name);
create view names as select name from child;
insert into parent values (7, 'abc', '2024-01-01T10:00:00Z');
insert into child values (1, 7, 'x');
"""


def indexes(dsn: str) -> list[str]:
    return [name for (name,) in rows_of(dsn, "select indexname from pg_indexes where schemaname = 'public' order by 1")]


def test_the_schema_comes_without_rows_and_as_the_rows_ask_for_it(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """Types that the values need (text, timestamptz), keys, indexes, sequences; a later load finds its place."""
    report = tmp_path / "r.json"
    source = make_source(SCRIPT)
    done = etl("migrate", source, database_dsn, "--schema-only", "--report", report)
    assert done.status == 0, done.err
    assert "schema only: 2 tables as planned, without rows" in done.out
    types = rows_of(
        database_dsn,
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'parent'::regclass"
        " and attnum > 1",
    )
    assert types == [("code", "text"), ("at", "timestamp with time zone")]
    assert rows_of(database_dsn, "select (select count(*) from parent), (select count(*) from child)") == [(0, 0)]
    assert indexes(database_dsn) == ["by_both", "by_name", "child_pkey", "parent_code_key", "parent_pkey"]
    assert rows_of(database_dsn, "insert into parent (code) values ('n') returning id") == [(8,)]
    assert json.loads(report.read_text())["verdict"] == "not verified"
    again = etl("migrate", source, database_dsn, "--schema-only")
    assert (again.status, "is there already" in again.err) == (1, True)


def test_a_schema_that_came_without_rows_is_filled_later(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str
) -> None:
    """Two steps, the same result as one."""
    source = make_source(SCRIPT)
    assert etl("migrate", source, database_dsn, "--schema-only").status == 0
    done = etl("migrate", source, database_dsn, "--yes")
    assert done.status == 0, done.err
    assert "verdict: equal: 2 tables, 2 rows" in done.out


def test_indexes_that_keep_nothing_apart_can_be_left_out(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """Keys and unique indexes are there; what is not is named, and no difference for who knows the plan."""
    report = tmp_path / "r.json"
    source = make_source(SCRIPT)
    done = etl("migrate", source, database_dsn, "--no-indexes", "--report", report)
    assert done.status == 0, done.err
    assert indexes(database_dsn) == ["by_both", "child_pkey", "parent_code_key", "parent_pkey"]
    assert "--no-indexes leaves out 1 of them: by_name" in done.out
    assert etl("verify", source, database_dsn, "--plan", report).status == 0
