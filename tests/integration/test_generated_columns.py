"""Generated columns arrive as generated columns, and hold what SQLite shows."""

from __future__ import annotations

from decimal import Decimal

import asyncpg

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource
from tests.planning import case_script

EXPRESSIONS = (
    "select attname, attgenerated::text as kind, pg_get_expr(adbin, adrelid) as sql"
    " from pg_attribute join pg_attrdef on adrelid = attrelid"
    " and adnum = attnum where attrelid = $1::text::regclass and attgenerated <> ''"
)


async def test_generated_columns_go_on_being_generated(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """The next INSERT gets its values as in SQLite; every row of today was compared."""
    path = make_source(case_script("generated"))
    done = etl("migrate", path, database_dsn)
    assert done.status == 5, done.err
    for column in ("rounded", "doubled"):
        assert f"generated column item.{column}: the column holds today's values as plain data" in done.out
    assert "it is computed from rounded, which has no translation" in done.out
    server = await asyncpg.connect(database_dsn)
    try:
        found = {row["attname"] for row in await server.fetch(EXPRESSIONS, "item")}
        assert found == {"total", "label", "big", "slug", "third", "per", "shown", "longer", "count"}
        row = await server.fetchrow(
            "insert into item (name, price, qty) values ('ÉCO', 0.1, 3)"
            " returning total, label, big, slug, third, per, shown, longer, count"
        )
        assert tuple(row) == (0.1 * 3, "ÉCO #5", False, "Éco", 1, 3, "3", "Écox", 5)
        plain = await server.fetchval("select rounded from item where id = 1")
        assert plain == Decimal("39.98")
    finally:
        await server.close()


async def test_an_expression_that_the_server_cannot_compute_leaves_a_plain_column(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """2^63 is a real in SQLite and an error in PostgreSQL: the column stays, the sum is refused as a value is."""
    path = make_source("create table vast (a int, b int, sum real as (a * b) stored);", {})
    fill = "insert into vast values (1, 2), (3, 4);"
    path = make_source(
        "create table vast (a real, b real, product real as (a * b) stored);" + fill.replace("3, 4", "1e300, 1e300"),
        name="vast.db",
    )
    done = etl("migrate", path, database_dsn)
    assert done.status == 5, done.err
    assert "generated column vast.product" in done.out
    server = await asyncpg.connect(database_dsn)
    try:
        assert await server.fetchval("select product from vast where a = 1e300") == float("inf")
        assert await server.fetch(EXPRESSIONS, "vast") == []
    finally:
        await server.close()


VIRTUAL = """
create table t (id integer primary key, a int, name text, twice int as (a * 2), kept int as (a * 3) stored,
                keyed text as (lower(name)) unique, listed int as (a + 1), part int as (a - 1),
                other text as ('x' || id));
create index by_listed on t (listed); create index by_part on t (id) where part > 0;
insert into t (a, name) values (1, 'A'), (null, 'B'), (-5, null);
"""


async def test_virtual_columns_stay_virtual_where_the_server_can(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """Not in keys and indexes, and not before PostgreSQL 18; the report says which are stored instead."""
    path = make_source(VIRTUAL)
    done = etl("migrate", path, database_dsn)
    assert done.status == 0, done.out + done.err
    plan = etl("migrate", path, database_dsn, "--mode", "replace", "--dry-run").out
    server = await asyncpg.connect(database_dsn)
    try:
        kinds = {row["attname"]: row["kind"] for row in await server.fetch(EXPRESSIONS, "t")}
        if server.get_server_version().major >= 18:
            assert "virtual columns are STORED in keys and indexes: t.keyed, t.listed, t.part" in plan
            stored = {"kept", "keyed", "listed", "part"}
        else:
            assert "virtual columns are STORED before PostgreSQL 18: t.keyed" in plan
            stored = set(kinds)
        assert kinds == {name: "s" if name in stored else "v" for name in kinds}
        assert len(kinds) == 6
        assert etl("verify", path, database_dsn).status == 0
        await server.execute("alter table t drop other; alter table t add other text generated always as ('x') stored")
    finally:
        await server.close()
    done = etl("verify", path, database_dsn)
    assert done.status == 4
    assert "other" in done.out


async def test_a_virtual_expression_that_the_server_cannot_compute_leaves_a_plain_column(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """It would fail whenever somebody reads the row: so it is computed once, for all rows, before it is believed."""
    path = make_source(
        "create table vast (a real, b real, product real as (a * b)); insert into vast values (1, 2), (1e300, 1e300);"
    )
    done = etl("migrate", path, database_dsn)
    assert done.status == 5, done.err
    assert "generated column vast.product" in done.out
    server = await asyncpg.connect(database_dsn)
    try:
        assert await server.fetchval("select product from vast where a = 1e300") == float("inf")
    finally:
        await server.close()


async def test_an_expression_without_a_value_is_seen_in_a_table_that_begins_anew(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """A type that was widened, or a row that was set aside, does not hide that the server cannot compute a product."""
    for kind in ("virtual", "stored"):
        path = make_source(
            f"create table {kind}_one (id integer primary key, a real, p decimal(6,2), more real as (a * a) {kind});"
            f"insert into {kind}_one (a, p) values (1, 1.001), (1e300, 2.5);",
            name=f"{kind}.db",
        )
        done = etl("migrate", path, database_dsn)
        assert done.status == 5, done.err
        assert f"load: {kind}_one: 2 rows" in done.err
        assert f"generated column {kind}_one.more: the column holds today's values as plain data" in done.out
    path = make_source(
        "create table rejecting (id integer primary key, a real, p int, more real as (a * a));"
        "insert into rejecting (a, p) values (1, 'x'), (1e300, 3);",
        name="rejecting.db",
    )
    done = etl("migrate", path, database_dsn, "--on-error", "reject")
    assert "generated column rejecting.more: the column holds today's values as plain data" in done.out, done.err
    server = await asyncpg.connect(database_dsn)
    try:
        for table in ("virtual_one", "stored_one", "rejecting"):
            assert await server.fetchval(f"select more from {table} where id = 2") == float("inf")
    finally:
        await server.close()
