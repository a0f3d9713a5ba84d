"""What pg_catalog says of some tables: columns, constraints, indexes.

Invariant: three queries, whatever the number of tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from etl.verify.catalog_columns import TABLES, Column, read_columns

ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
# to_jsonb: conenforced exists from PostgreSQL 18 on
_CONSTRAINTS = f"""
with tables as ({TABLES})
select t.relname as table, c.conname as name, c.contype::text as kind,
       c.convalidated and coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true) as whole,
       array(select a.attname::text from unnest(c.conkey) with ordinality as k (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number order by k.place)
           as columns,
       p.relname as parent,
       array(select a.attname::text from unnest(c.confkey) with ordinality as k (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number order by k.place)
           as parent_columns,
       c.confupdtype::text as on_update, c.confdeltype::text as on_delete,
       c.condeferrable as deferrable, c.condeferred as deferred,
       pg_catalog.pg_get_expr(c.conbin, c.conrelid) as expression
from tables t
join pg_catalog.pg_constraint c on c.conrelid = t.oid
left join pg_catalog.pg_class p on p.oid = c.confrelid
order by t.relname, c.conname
"""
_INDEXES = f"""
with tables as ({TABLES})
select t.relname as table, i.relname as name, x.indisunique as unique,
       x.indisvalid and x.indisready and x.indislive as valid,
       pg_catalog.pg_get_expr(x.indpred, x.indrelid) as predicate,
       pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
       exists (select from pg_catalog.pg_constraint c where c.conindid = x.indexrelid and c.contype in ('u', 'p'))
           as constraint,
       array(select coalesce(a.attname::text, '') from generate_series(1, x.indnkeyatts) k
             left join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = x.indkey[k - 1] and a.attnum > 0
             order by k) as columns,
       array(select (x.indoption[k - 1] & 1) = 1 from generate_series(1, x.indnkeyatts) k order by k) as descending
from tables t
join pg_catalog.pg_index x on x.indrelid = t.oid
join pg_catalog.pg_class i on i.oid = x.indexrelid
order by t.relname, i.relname
"""


@dataclass(frozen=True, slots=True)
class Constraint:
    name: str
    kind: str  # as contype: p, u, c, f
    whole: bool  # validated and enforced
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str
    deferrable: bool
    deferred: bool
    expression: str | None  # of a CHECK


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    unique: bool
    valid: bool
    constraint: bool
    predicate: str | None
    terms: tuple[tuple[str, bool], ...]  # (column, descending); '' for an expression
    definition: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """By table name; a table without columns is not there."""

    columns: Mapping[str, Mapping[str, Column]]
    constraints: Mapping[str, Sequence[Constraint]]
    indexes: Mapping[str, Sequence[Index]]


async def read_catalog(target: asyncpg.Connection, schema: str, tables: Sequence[str]) -> Catalog:
    """Everything about these tables of ``schema``."""
    columns = await read_columns(target, schema, tables)
    constraints: dict[str, list[Constraint]] = {}
    for row in await target.fetch(_CONSTRAINTS, schema, list(tables)):
        constraints.setdefault(row["table"], []).append(
            Constraint(
                name=row["name"],
                kind=row["kind"],
                whole=row["whole"],
                columns=tuple(row["columns"]),
                parent=row["parent"] or "",
                parent_columns=tuple(row["parent_columns"]),
                on_update=ACTIONS.get(row["on_update"], ""),
                on_delete=ACTIONS.get(row["on_delete"], ""),
                deferrable=row["deferrable"],
                deferred=row["deferred"],
                expression=row["expression"],
            )
        )
    indexes: dict[str, list[Index]] = {}
    for row in await target.fetch(_INDEXES, schema, list(tables)):
        terms = tuple(zip(row["columns"], row["descending"], strict=True))
        names = ("name", "unique", "valid", "constraint", "predicate", "definition")
        indexes.setdefault(row["table"], []).append(Index(terms=terms, **{name: row[name] for name in names}))
    return Catalog(columns, constraints, indexes)
