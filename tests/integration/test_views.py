"""Views arrive with the rows that SQLite shows, or are listed with the reason."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.fix_command import Done, EtlCommand
from tests.fix_source import MakeSource
from tests.planning import case_script

KEPT = {
    "everything", "joined", "per_author", "on_view", "months", "stocked", "u", "with_cte", "subq", "latest", "trailing",
    "derived", "stamps", "odd", "reads_odd",
}  # fmt: skip
LISTED = {
    "broken": "SQLite cannot read it: no such table",
    "once": "group_concat() with DISTINCT or ORDER BY is not translated",
    "bare": "PostgreSQL refuses its translation",
    "reads_once": "it reads once, which is not part of this run",
    "differ": "is no text",
    "emails": "by the collation NOCASE",
}


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    return make_source(case_script("views"))


async def views_of(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every view in public, by name."""
    server = await asyncpg.connect(dsn)
    try:
        names = [
            row["viewname"] for row in await server.fetch("select viewname from pg_views where schemaname = 'public'")
        ]
        return {name: [tuple(row) for row in await server.fetch(f'select * from "{name}"')] for name in names}
    finally:
        await server.close()


def reason(done: Done, view: str) -> str:
    return next(line for line in done.out.splitlines() if line.startswith(f"  view {view}:"))


async def test_views_arrive_with_the_rows_of_sqlite(etl: EtlCommand, database_dsn: str, source: Path) -> None:
    """Joins, aggregates, CASE, subqueries, CTEs, unions, views on views; what is not created says why."""
    done = etl("migrate", source, database_dsn)
    assert done.status == 5, done.err
    views = await views_of(database_dsn)
    assert set(views) == KEPT
    for view, words in LISTED.items():
        assert words in reason(done, view)
    assert "  trigger written: triggers are not translated" in done.out
    with closing(sqlite3.connect(source)) as connection:
        for name, rows in views.items():
            expected = connection.execute(f"select * from {name}").fetchall()
            assert sorted(map(repr, map(plain, rows))) == sorted(map(repr, map(plain, expected))), name


def plain(row: tuple[object, ...]) -> tuple[object, ...]:
    """Dates, decimals and booleans as SQLite has them."""
    return tuple(
        cell.replace("T", " ") if isinstance(cell, str) else cell if cell is None else float(cell) if is_number(cell)
        else str(cell)
        for cell in row
    )  # fmt: skip


def is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or type(cell).__name__ == "Decimal"


async def test_a_view_whose_rows_differ_is_not_created(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """SQLite sums reals with a compensation, PostgreSQL without one. Nobody is given other rows silently."""
    path = make_source(
        "create table t (id integer primary key, x real);"
        "insert into t values (1, 1e16), (2, 1), (3, -1e16);"
        "create view sums as select sum(x) as total from t;"
        "create view sign as select total is null as empty from sums;"
        "create view plain as select x from t where x > 0;"
    )
    done = etl("migrate", path, database_dsn)
    assert done.status == 5, done.err
    assert "translated differently: 1 row different of 1" in reason(done, "sums")
    assert "it reads a view that is not created" in reason(done, "sign")
    assert set(await views_of(database_dsn)) == {"plain"}


async def test_a_view_over_rejected_rows_says_that_they_are_the_reason(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """Its translation may be right: nobody can tell, since SQLite shows rows that the target has not."""
    path = make_source(
        "create table t (id integer primary key, d date); insert into t values (1, '2020-01-01'), (2, 'soon');"
        "create table u (id integer primary key); insert into u values (1);"
        "create view all_t as select id from t; create view over_it as select id from all_t;"
        "create view all_u as select id from u;"
    )
    done = etl("migrate", path, database_dsn, "--on-error", "reject", "--cast", "t.d=date")
    assert done.status == 3, done.err
    for view in ("all_t", "over_it"):
        words = "cannot be compared, since SQLite shows 1 rejected row of t: 1 row missing of 2"
        assert words in reason(done, view)
    assert set(await views_of(database_dsn)) == {"all_u"}


async def test_a_second_run_replaces_its_own_views(etl: EtlCommand, database_dsn: str, source: Path) -> None:
    """--mode replace drops the views of the same names with the tables, never a stranger's view."""
    assert etl("migrate", source, database_dsn).status == 5
    refused = etl("migrate", source, database_dsn, "--mode", "create")
    assert refused.status == 1
    assert "view public." in refused.err
    assert etl("migrate", source, database_dsn, "--mode", "replace").status == 5
    assert set(await views_of(database_dsn)) == KEPT
    server = await asyncpg.connect(database_dsn)
    try:
        await server.execute("create view mine as select name from author")
        done = etl("migrate", source, database_dsn, "--mode", "replace")
        assert done.status == 1
        assert "mine" in done.err
        assert await server.fetchval("select count(*) from mine") == 3
        assert await server.fetchval("select count(*) from pg_namespace where nspname like 'etl_loading%'") == 0
    finally:
        await server.close()


def test_the_plan_says_what_becomes_of_views(etl: EtlCommand, source: Path) -> None:
    """Beforehand, without a server."""
    done = etl("migrate", source, "--dry-run")
    assert "create view per_author (name, n, count(b.price), stock, average, top, first, w, sold)" in done.out
    assert "view once: group_concat() with DISTINCT or ORDER BY is not translated" in done.out


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("create or replace view months (month, c) as select '2024-01'::text, 7::bigint", "2024-02"),
        ("drop view stocked", "view stocked"),
        ("update author set name = name || '!' where id = 1", "Ada!"),
        ("create or replace view u (name) as select name from author where id / 0 = 1", "view u"),
        ("create or replace view u as select name from author where id > 0 union select title from book", "(author.id"),
    ],
)  # fmt: skip
async def test_a_later_verification_compares_the_views(
    etl: EtlCommand, database_dsn: str, source: Path, damage: str, words: str
) -> None:
    """With the report of the run it knows which views there were; without it takes those that are there."""
    assert etl("migrate", source, database_dsn, "--report", "r.json").status == 5
    for flags in ((), ("--plan", "r.json")):
        done = etl("verify", source, database_dsn, *flags)
        assert done.status == 0, done.out + done.err
    server = await asyncpg.connect(database_dsn)
    try:
        await server.execute(damage)
    finally:
        await server.close()
    done = etl("verify", source, database_dsn, "--plan", "r.json")
    assert done.status == 4
    assert words in done.out
