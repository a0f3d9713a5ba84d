"""`etl inspect` and a refused `etl migrate` through the shell."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import asyncpg

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource

DIRTY = """
create table account (id integer primary key, code varchar(3), born date, seen datetime);
create table entry (id integer primary key, account int references account (id), amount decimal(5,2), doc json);
insert into account values (1, 'abcd', '1815-12-10', 1700000000), (2, 'b', '10.12.1815', 1700000001),
  (3, 'c', '11.12.1815', 0);
insert into entry values (1, 1, 1.005, '{}'), (2, 7, 2, '{'), (3, null, 3, '[');
"""
CLEAN = """
create table account (id integer primary key, code varchar(3), seen datetime, at datetime, n tinyint, d decimal(5,2));
insert into account values (1, 'abcd', 1700000000, '2024-01-01 10:00Z', 40000, 1.005),
  (2, 'b', 0, '2024-01-01', 1, 0.30000000000000004);
"""


async def names_in(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select nspname || '.' || relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where nspname not like 'pg_%' and nspname <> 'information_schema'"
        )
        return sorted(row["name"] for row in rows)
    finally:
        await connection.close()


async def test_inspect_writes_nothing_anywhere(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, tmp_path: Path
) -> None:
    """Neither the source nor the target is another one afterwards; the reports are where they were asked for."""
    source = make_source(DIRTY)
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    done = etl("inspect", source, database_dsn, "--report", tmp_path / "s.json", "--report", tmp_path / "s.html")
    assert done.status == 1
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    assert await names_in(database_dsn) == []
    report = json.loads((tmp_path / "s.json").read_text())
    assert {(problem["column"], problem["count"]) for problem in report["problems"]} == {
        ("born", 2), ("doc", 2), ("account", 1),
    }  # fmt: skip
    assert (tmp_path / "s.html").read_text().startswith("<!doctype html>")
    assert "--cast account.born=date:%d.%m.%Y" in done.out


async def test_inspect_names_what_is_in_the_way(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """A clean source is not clean for a target that has such a table."""
    source = make_source(CLEAN)
    assert etl("inspect", source).status == 0
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("create table account ()")
    await connection.close()
    done = etl("inspect", source, database_dsn, "--mode", "create")
    assert done.status == 1
    assert "table public.account" in done.out


async def test_values_decide_within_the_run(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """The table begins anew under the types that its values ask for, and nothing is refused."""
    done = etl("migrate", make_source(CLEAN), database_dsn, "--progress", "none")
    assert (done.status, done.errors) == (0, [])
    connection = await asyncpg.connect(database_dsn)
    try:
        types = await connection.fetch(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = 'account'::regclass and attnum > 0 order by attnum"
        )
        rows = await connection.fetch("select code, seen::text, at::text, n, d::text from account order by id")
    finally:
        await connection.close()
    assert [tuple(row) for row in types] == [
        ("id", "bigint"),
        ("code", "text"),
        ("seen", "timestamp without time zone"),
        ("at", "timestamp with time zone"),
        ("n", "bigint"),
        ("d", "numeric"),
    ]
    assert [row["d"] for row in rows] == ["1.005", "0.30000000000000004"]
    assert [row["seen"] for row in rows] == ["2023-11-14 22:13:20", "1970-01-01 00:00:00"]
    assert "note: account.code becomes text: declared varchar(3), holds 4 characters" in done.out


async def test_a_refused_run_lists_every_problem(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> None:
    """One failed run names all columns of all tables with their counts, and leaves the target as it was."""
    done = etl("migrate", make_source(DIRTY), database_dsn, "--progress", "plain")
    assert done.status == 1
    assert len(done.errors) == 1
    assert "account.born: 2 times, first (id=2): '10.12.1815' is not date" in done.err
    assert "entry.doc: 2 times, first (id=2): '{' is not valid JSON" in done.err
    assert "entry.account: 1 time, first (id=2): has no parent in account" in done.err
    assert done.err.index("note: refused:") < done.err.index("survey: ")
    assert "Ctrl-C is safe" in done.err
    assert await names_in(database_dsn) == []


def test_a_refused_run_lists_orphans_only_where_nothing_was_said_of_them(
    make_source: MakeSource, etl: EtlCommand, database_dsn: str
) -> None:
    """What --orphans settles stops no run, and a hint at the flag that was set helps nobody."""
    source = make_source(
        "create table p (id integer primary key, day date);"
        "create table c (id integer primary key, p integer references p(id));"
        "insert into p values (1, 'some day'); insert into c values (1, 5);"
    )
    refused = etl("migrate", source, database_dsn)
    assert refused.status == 1
    assert "some day" in refused.err
    assert "c.p: 1 time" in refused.err
    settled = etl("migrate", source, database_dsn, "--orphans", "not-valid")
    assert settled.status == 1
    assert "some day" in settled.err
    assert "c.p" not in settled.err


def test_a_sample_says_so_at_both_ends(etl: EtlCommand, make_source: MakeSource) -> None:
    """The first line and the verdict; what lies behind the sample is not claimed."""
    source = make_source("create table t (d date);", {"t": [("2024-01-01",)] * 30 + [("x",)]})
    done = etl("inspect", source, "--sample", 10)
    assert done.status == 0
    assert "A SAMPLE: only the first 10 rows" in done.out
    assert "verdict: clean as far as it was read: only the first 10 rows of each table" in done.out


def test_hints_can_be_pasted_into_a_shell(etl: EtlCommand, make_source: MakeSource) -> None:
    """Names with blanks, and names that SQLite takes for words of its own, are quoted."""
    script = (
        'create table "my table" ("the day" date); create table p (id integer primary key);'
        'create table "order" (p int references p (id));'
    )
    done = etl("inspect", make_source(script, {"my table": [("x",)], "order": [(9,)]}), "--progress", "none")
    assert "solved by: --cast 'my table.the day=text', or correct the row in SQLite" in done.out
    assert "`sqlite3 FILE 'pragma foreign_key_check(\"order\")'` lists them" in done.out


def test_rows_that_a_key_would_not_take_are_named(etl: EtlCommand, make_source: MakeSource, tmp_path: Path) -> None:
    """Both rows, the key and the value: before the load, and not after hours."""
    script = (
        "create table t (id integer primary key, at datetime, code varchar(2), unique (code, at));"
        "create unique index by_code on t (code collate nocase, id);"
    )
    rows = [(1, "2024-01-01 00:00:00", "a"), (2, "2024-01-01T00:00:00", "b"), (3, "2024-01-01T00:00:00", "a")]
    done = etl("inspect", make_source(script, {"t": rows}), "--report", tmp_path / "s.json", "--progress", "none")
    assert done.status == 1
    (problem,) = json.loads((tmp_path / "s.json").read_text())["problems"]
    assert (problem["column"], problem["count"], problem["key"]) == ("at, code", 1, "id=3")
    told = "'2024-01-01T00:00:00', 'a' is the same in t_code_at_key as that of the row (id=1)"
    assert problem["reason"] == told
    assert told in done.out


def test_what_only_the_server_can_tell_is_neither_clean_nor_refused(
    etl: EtlCommand, make_source: MakeSource, tmp_path: Path
) -> None:
    """A long text that may be compressed, and rows that a partial index may leave out: said, and no failure."""
    script = (
        "create table t (id integer primary key, at datetime, name text); create index by_name on t (name);"
        "create unique index by_at on t (at) where id > 1;"
    )
    rows = [(1, "2024-01-01 00:00:00", "ab" * 2_000), (2, "2024-01-01T00:00:00", "short")]
    page = tmp_path / "s.html"
    done = etl("inspect", make_source(script, {"t": rows}), "--report", page, "--progress", "none")
    assert (done.status, done.errors) == (0, [])
    assert "verdict: uncertain: all values would load, but of 2 keys or indexes only the server can tell" in done.out
    assert "t.name: 1 time, first id=1: 'abab" in done.out
    assert "t.at: 1 time, first id=2:" in done.out
    assert "May stop the run, as only the server can tell" in page.read_text()
