"""Generated columns arrive as generated columns, and hold what SQLite shows."""

from __future__ import annotations

import asyncpg

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource
from tests.planning import case_script

EXPRESSIONS = (
    "select attname, pg_get_expr(adbin, adrelid) as sql from pg_attribute join pg_attrdef on adrelid = attrelid"
    " and adnum = attnum where attrelid = $1::text::regclass and attgenerated = 's'"
)


async def test_generated_columns_go_on_being_generated(
    etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """The next INSERT gets its values as in SQLite; every row of today was compared."""
    path = make_source(case_script("generated"))
    done = etl("migrate", path, database_dsn)
    assert done.status == 5, done.err
    for column in ("longer", "rounded"):
        assert f"generated column item.{column}: the column holds today's values as plain data" in done.out
    server = await asyncpg.connect(database_dsn)
    try:
        found = {row["attname"] for row in await server.fetch(EXPRESSIONS, "item")}
        assert found == {"total", "label", "big", "slug", "third", "per", "shown"}
        row = await server.fetchrow(
            "insert into item (name, price, qty) values ('ÉCO', 0.1, 3)"
            " returning total, label, big, slug, third, per, shown"
        )
        assert tuple(row) == (0.1 * 3, "ÉCO #5", False, "Éco", 1, 3, "3")
        plain = await server.fetchval("select longer from item where id = 1")
        assert plain == "abx"
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
