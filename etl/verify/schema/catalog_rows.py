"""What pg_catalog says of some tables: what they are, their columns, constraints and indexes.

Invariant: four queries, whatever the number of tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from etl.verify.schema.catalog_columns import TABLES, Column, read_columns
from etl.verify.schema.catalog_indexes import Index, read_indexes

ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_RELATIONS = f"""
with tables as ({TABLES})
select c.relname as name, c.relkind::text as kind, c.relpersistence = 'u' as unlogged,
       pg_catalog.row_security_active(c.oid) as hides_rows
from tables t join pg_catalog.pg_class c on c.oid = t.oid
"""
# to_jsonb: conenforced and conperiod exist from PostgreSQL 18 on. A foreign key is watched over by triggers of its own,
# at both its ends; one that fires only in a replica (R) is as good as off.
_CONSTRAINTS = f"""
with tables as ({TABLES})
select t.relname as table, c.conname as name, c.contype::text as kind,
       c.convalidated as validated, coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true) as enforced,
       c.connoinherit as not_inherited, coalesce((to_jsonb(c) ->> 'conperiod')::boolean, false) as of_periods,
       exists (select from pg_catalog.pg_trigger g where g.tgconstraint = c.oid and g.tgenabled not in ('O', 'A'))
           as triggers_off,
       array(select a.attname::text from unnest(c.conkey) with ordinality as k (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number order by k.place)
           as columns,
       p.relname as parent, n.nspname as parent_schema, c.confmatchtype::text as match,
       array(select a.attname::text from unnest(c.confkey) with ordinality as k (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number order by k.place)
           as parent_columns,
       array(select a.attname::text from unnest(c.confdelsetcols) k
             join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k) as emptied,
       c.confupdtype::text as on_update, c.confdeltype::text as on_delete,
       c.condeferrable as deferrable, c.condeferred as deferred,
       pg_catalog.pg_get_expr(c.conbin, c.conrelid) as expression
from tables t
join pg_catalog.pg_constraint c on c.conrelid = t.oid
left join pg_catalog.pg_class p on p.oid = c.confrelid
left join pg_catalog.pg_namespace n on n.oid = p.relnamespace
order by t.relname, c.conname
"""


@dataclass(frozen=True, slots=True)
class Relation:
    kind: str  # as relkind: r for a table, p for a partitioned one, f for a foreign one
    unlogged: bool
    hides_rows: bool  # its row security applies to the role that asks


@dataclass(frozen=True, slots=True)
class Constraint:
    name: str
    kind: str  # as contype: p, u, c, f; n for NOT NULL
    validated: bool
    enforced: bool
    not_inherited: bool
    of_periods: bool  # of a foreign key with PERIOD, of a key WITHOUT OVERLAPS
    triggers_off: bool  # those that watch over a foreign key
    columns: tuple[str, ...]
    parent: str
    parent_schema: str
    parent_columns: tuple[str, ...]
    match: str  # as confmatchtype: s for MATCH SIMPLE, f for MATCH FULL
    on_update: str
    on_delete: str
    emptied: tuple[str, ...]  # the columns that ON DELETE SET NULL or SET DEFAULT names
    deferrable: bool
    deferred: bool
    expression: str | None  # of a CHECK


@dataclass(frozen=True, slots=True)
class Catalog:
    """By table name; a table without columns is not there."""

    relations: Mapping[str, Relation]
    columns: Mapping[str, Mapping[str, Column]]
    constraints: Mapping[str, Sequence[Constraint]]
    indexes: Mapping[str, Sequence[Index]]


async def read_catalog(target: asyncpg.Connection, schema: str, tables: Sequence[str]) -> Catalog:
    """Everything about these tables of ``schema``."""
    relations = {
        row["name"]: Relation(row["kind"], row["unlogged"], row["hides_rows"])
        for row in await target.fetch(_RELATIONS, schema, list(tables))
    }
    columns = await read_columns(target, schema, tables)
    constraints: dict[str, list[Constraint]] = {}
    for row in await target.fetch(_CONSTRAINTS, schema, list(tables)):
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
        }
        values |= {name: ACTIONS.get(values[name], "") for name in ("on_update", "on_delete")}
        values |= {name: values[name] or "" for name in ("parent", "parent_schema")}
        constraints.setdefault(values.pop("table"), []).append(Constraint(**values))
    return Catalog(relations, columns, constraints, await read_indexes(target, schema, tables))
