"""Which row a server's error in a COPY names: the row at fault, another one, or none.

Setting rows aside (etl/load/careful.py) and naming them without --on-error reject rest on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from etl.errors import TargetError
from etl.load.careful import ROWS_AT_ONCE, place_of_fault
from etl.load.connect import named_errors
from etl.load.copy import line_of

ROWS, FAULT = 100, 40  # the line of the bad row, from 1
INCOMPRESSIBLE = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(1_200))
WIDE = ", ".join(f"c{n} text" for n in range(500))
REFUSE = (
    "create function refuse() returns trigger language plpgsql as"
    " $$begin if new.b < 0 then raise exception 'refused'; end if; return new; end$$;"
    " create trigger refuses {when} insert on t for each row execute function refuse()"
)
# what refuses → its SQLSTATE, tables, b of every good row ('%' is its line), b of the bad one
NAMED: dict[str, tuple[str, str, str, str]] = {
    "type": ("22P02", "create table t (a int, b int)", "%", "x"),
    "length": ("22001", "create table t (a int, b varchar(3))", "%", "long"),
    "not null": ("23502", "create table t (a int, b int not null)", "%", ""),
    "check": ("23514", "create table t (a int, b int check (b > 0))", "%", "-1"),
    "domain": ("23514", "create domain d as int check (value > 0); create table t (a int, b d)", "%", "-1"),
    "unique": ("23505", "create table t (a int, b int unique)", "%", "1"),
    "exclusion": ("23P01", "create table t (a int, b int4range, exclude using gist (b with &&))", '"[%,%]"', '"[1,9]"'),
    "expression of an index": ("22012", "create table t (a int, b int); create index on t ((1 / b))", "%", "0"),
    "generated column": ("22012", "create table t (a int, b int, g int generated always as (1 / b) stored)", "%", "0"),
    "entry of an index": ("54000", "create table t (a int, b text); create index on t (b)", "%", INCOMPRESSIBLE),
    "entry of a large index": (
        "54000",
        "create table t (a int, b text); create index on t (b)",
        "%",
        INCOMPRESSIBLE[:4_000],
    ),
    "depth": ("54001", "create table t (a int, b jsonb)", "%", "[" * 60_000 + "]" * 60_000),
    "partition": (
        "23514",
        "create table t (a int, b int) partition by range (b);"
        " create table part partition of t for values from (1) to (1000)",
        "%",
        "-1",
    ),
    "trigger before": ("P0001", f"create table t (a int, b int); {REFUSE.format(when='before')}", "%", "-1"),
}
UNNAMED: dict[str, tuple[str, str, str, str]] = {
    "foreign key": ("23503", "create table p (i int unique); insert into p values (1);"
                    " create table t (a int, b int references p (i))", "1", "2"),
    "trigger after": ("P0001", f"create table t (a int, b int); {REFUSE.format(when='after')}", "%", "-1"),
}  # fmt: skip


async def refusal(dsn: str, tables: str, good: str, bad: str) -> TargetError:
    """What a COPY of a hundred rows ends with, as the load sees it."""

    async def lines() -> AsyncIterator[bytes]:
        for n in range(1, ROWS + 1):
            yield f"{n},{bad if n == FAULT else good.replace('%', str(n))}\n".encode()

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(tables)
        with pytest.raises(TargetError) as caught, named_errors("t"):
            await connection.copy_to_table("t", source=lines(), format="csv", columns=await columns_of(connection))
        cause = caught.value.__cause__
        assert isinstance(cause, asyncpg.PostgresError)
        line = line_of(cause)
        caught.value.position = None if line is None else line - 1
        return caught.value
    finally:
        await connection.close()


async def columns_of(connection: asyncpg.Connection) -> list[str]:
    query = "select attname::text from pg_attribute where attrelid = 't'::regclass and attnum > 0 and attgenerated = ''"
    return [row["attname"] for row in await connection.fetch(query)]


@pytest.mark.parametrize("kind", NAMED)
async def test_the_row_at_fault_is_named(kind: str, database_dsn: str) -> None:
    """That row alone is sent by itself, and the error without --on-error reject names its key."""
    state, *how = NAMED[kind]
    error = await refusal(database_dsn, *how)
    assert error.sqlstate == state
    assert place_of_fault(error) == FAULT - 1


@pytest.mark.parametrize("kind", UNNAMED)
async def test_what_is_said_when_the_copy_is_over_names_no_row(kind: str, database_dsn: str) -> None:
    """The row is searched by halves."""
    state, *how = UNNAMED[kind]
    error = await refusal(database_dsn, *how)
    assert error.sqlstate == state
    assert place_of_fault(error) is None


async def test_a_row_too_big_for_a_page_is_not_the_one_that_is_named(database_dsn: str) -> None:
    """Rows are written several at once: the line is that of the last one. By the error's place in the server it is
    told from an entry too big for an index, which has the same SQLSTATE and the right line."""
    good, bad = (",".join([value] * 500) for value in ("y", "y" * 30))
    error = await refusal(database_dsn, f"create table t (a int, {WIDE})", good, bad)
    assert error.sqlstate == "54000"
    assert getattr(error.__cause__, "server_source_function", None) == ROWS_AT_ONCE
    assert error.position is not None
    assert error.position > FAULT - 1, "the server names the row by now: believe it"
    assert place_of_fault(error) is None
