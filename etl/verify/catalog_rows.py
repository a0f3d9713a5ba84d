"""What pg_catalog says of some tables: columns, constraints, indexes.

Invariant: three queries, whatever the number of tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from etl.verify.catalog_columns import TABLES, Column, read_columns
from etl.verify.catalog_indexes import Index, read_indexes

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
    return Catalog(columns, constraints, await read_indexes(target, schema, tables))
