"""Sabotage of indexes and keys: whatever a term, or the index itself, says otherwise than planned is objected to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from etl.model import Affinity, ColumnPlan, IndexPlan, Plan, SourceColumn, SourceTable, TablePlan
from etl.verify.schema.objects import compare_objects
from tests.verifying import connected, pg_type

DDL = """
create table note (id bigint, part integer not null, title text collate "C", place text, code varchar(5), kind char(3),
                   n bigint, constraint note_key primary key (id, part));
alter table note add constraint note_code unique (code, part);
create index by_title on note (title, part desc);
create unique index by_lower on note (lower(title collate "C"), n);
create index by_both on note ((title || place collate "C") desc);
create index by_sum on note ((n * 2 + part));
create index by_case on note (n) where place collate "C" > 'a' and kind collate "C" like 'x%';
create index by_constant on note ((case when place > 'x' collate "C" then 1 else 2 end));
"""


def column(name: str, kind: str, *, collation: str | None = None, not_null: bool = False) -> ColumnPlan:
    source = SourceColumn(name, "", Affinity.BLOB)
    return ColumnPlan(source, name, pg_type(kind), collation=collation, not_null=not_null)


NOTE = TablePlan(
    SourceTable("note", ()),
    "note",
    (
        column("id", "bigint"),
        column("part", "integer", not_null=True),
        column("title", "text", collation="C"),
        column("place", "text"),
        column("code", "varchar(5)"),
        column("kind", "char(3)"),
        column("n", "bigint"),
    ),
    primary_key=("id", "part"),
    primary_key_name="note_key",
    indexes=(
        IndexPlan("note_code", ('"code"', '"part"'), unique=True, constraint=True),
        IndexPlan("by_title", ('"title"', '"part" desc')),
        IndexPlan("by_lower", ('lower("title" collate "C")', '"n"'), unique=True),
        IndexPlan("by_both", ('("title" || "place" collate "C") desc',)),
        IndexPlan("by_sum", ('("n" * 2 + "part")',)),
        IndexPlan("by_case", ('"n"',), predicate='"place" collate "C" > \'a\' and "kind" collate "C" like \'x%\''),
        IndexPlan("by_constant", ('(case when "place" > \'x\' collate "C" then 1 else 2 end)',)),
    ),
)
PLAN = Plan("public", (NOTE,))


@pytest.fixture
async def target(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A target with every index as the plan asks for it."""
    async with connected(database_dsn) as connection:
        await connection.execute(DDL)
        yield connection


async def test_indexes_as_planned_raise_no_objection(target: asyncpg.Connection) -> None:
    """Expressions, collations and orders are recognised in the server's words."""
    assert await compare_objects(target, PLAN, "public") == ()


async def test_a_collation_of_a_whole_term_is_the_index_s_own(target: asyncpg.Connection) -> None:
    """The server keeps the outermost COLLATE of a term beside it, and of a bare column nothing else is left."""
    await target.execute('create index by_place on note ((place collate "C")); create index by_n on note ((n))')
    more = (IndexPlan("by_place", ('("place" collate "C")',)), IndexPlan("by_n", ('("n")',)))
    plan = replace(NOTE, indexes=(*NOTE.indexes, *more))
    assert await compare_objects(target, Plan("public", (plan,)), "public") == ()
    await target.execute("drop index by_place; create index by_place on note (place)")
    (difference,) = await compare_objects(target, Plan("public", (plan,)), "public")
    assert difference.expected == 'index (("place" collate "C"))'
    assert difference.actual == "index (place)"


AGAIN = "drop index {0}; create {1} index {0} on note {2}"
DAMAGE = {
    "another expression": (AGAIN.format("by_sum", "", "((n * 3 + part))"), "by_sum"),
    "a column in place of an expression": (AGAIN.format("by_lower", "unique", "(title, n)"), "by_lower"),
    "an expression in place of a column": (AGAIN.format("by_title", "", "(lower(title), part desc)"), "by_title"),
    "another function": (AGAIN.format("by_lower", "unique", '(upper(title collate "C"), n)'), "by_lower"),
    "another collation inside an expression": (
        AGAIN.format("by_lower", "unique", '(lower(title collate "POSIX") collate "C", n)'),
        "by_lower",
    ),
    "another collation of an expression": (
        AGAIN.format("by_lower", "unique", '(lower(title collate "C") collate "POSIX", n)'),
        "by_lower",
    ),
    "another collation of a column": (AGAIN.format("by_title", "", '(title collate "POSIX", part desc)'), "by_title"),
    "another collation beside a constant": (
        AGAIN.format("by_constant", "", "((case when place > 'x' collate \"POSIX\" then 1 else 2 end))"),
        "by_constant",
    ),
    "another collation in a predicate": (
        AGAIN.format("by_case", "", "(n) where place collate \"POSIX\" > 'a' and kind collate \"C\" like 'x%'"),
        "by_case",
    ),
    "collations of a predicate exchanged": (
        AGAIN.format("by_case", "", "(n) where place collate \"C\" > 'a' and kind collate \"POSIX\" like 'x%'"),
        "by_case",
    ),
    "no collation in a predicate": (
        AGAIN.format("by_case", "", "(n) where place > 'a' and kind collate \"C\" like 'x%'"),
        "by_case",
    ),
    "an operator class": (AGAIN.format("by_title", "", "(title text_pattern_ops, part desc)"), "by_title"),
    "the other direction": (AGAIN.format("by_both", "", '((title || place collate "C"))'), "by_both"),
    "NULLs at the other end": (
        AGAIN.format("by_title", "", "(title nulls first, part desc nulls last)"),
        "by_title",
    ),
    "another method": (AGAIN.format("by_sum", "", "using hash ((n * 2 + part))"), "by_sum"),
    "columns in another order": (AGAIN.format("by_title", "", "(part desc, title)"), "by_title"),
    "a column more": (AGAIN.format("by_title", "", "(title, part desc, n)"), "by_title"),
    "a column included": (AGAIN.format("by_title", "", "(title, part desc) include (n)"), "by_title"),
    "NULLs that are the same": (
        AGAIN.format("by_lower", "unique", '(lower(title collate "C"), n) nulls not distinct'),
        "by_lower",
    ),
    "not unique": (AGAIN.format("by_lower", "", '(lower(title collate "C"), n)'), "by_lower"),
    "unique": (AGAIN.format("by_title", "unique", "(title, part desc)"), "by_title"),
    "not ready": ("update pg_index set indisready = false where indexrelid = 'by_sum'::regclass", "by_sum"),
    "a UNIQUE constraint that is but an index": (
        "alter table note drop constraint note_code; create unique index note_code on note (code, part)",
        "note_code",
    ),
    "a UNIQUE constraint in another order": (
        "alter table note drop constraint note_code, add constraint note_code unique (part, code)",
        "note_code",
    ),
    "a UNIQUE constraint that is deferrable": (
        "alter table note drop constraint note_code, add constraint note_code unique (code, part) deferrable",
        "note_code",
    ),
    "a UNIQUE constraint that is deferred": (
        "alter table note drop constraint note_code,"
        " add constraint note_code unique (code, part) deferrable initially deferred",
        "note_code",
    ),
    "a UNIQUE constraint with a column included": (
        "alter table note drop constraint note_code, add constraint note_code unique (code, part) include (n)",
        "note_code",
    ),
    "a primary key in another order": (
        "alter table note drop constraint note_key, add constraint note_key primary key (part, id)",
        "note_key",
    ),
    "a primary key that is deferrable": (
        "alter table note drop constraint note_key, add constraint note_key primary key (id, part) deferrable",
        "note_key",
    ),
    "a primary key with a column included": (
        "alter table note drop constraint note_key, add constraint note_key primary key (id, part) include (n)",
        "note_key",
    ),
    "a primary key that is not valid": (
        "update pg_index set indisvalid = false where indexrelid = 'note_key'::regclass",
        "note_key",
    ),
    "a primary key that is only unique": (
        "alter table note drop constraint note_key, alter id set not null, add constraint note_key unique (id, part)",
        "note_key",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_index_is_named(damage: str, target: asyncpg.Connection) -> None:
    """Exactly that index is reported, with what was planned and what is there, which are not the same words."""
    statements, name = DAMAGE[damage]
    await target.execute(statements)
    (difference,) = [one for one in await compare_objects(target, PLAN, "public") if one.column != "id"]
    assert (difference.kind, difference.key) == ("object", name)
    assert difference.expected != difference.actual
