"""Read the tables that the target has already, by their names.

Invariant: the catalog alone is read, but for one look into each table, whether it holds a row; four queries and that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

import asyncpg

from etl.errors import TargetError
from etl.load.connect import named_errors, quote
from etl.model import ForeignKeyPlan, TargetColumn, TargetTable

KINDS = {
    "r": "table",
    "p": "partitioned table",
    "f": "foreign table",
    "v": "view",
    "m": "materialized view",
    "S": "sequence",
    "i": "index",
    "I": "index",
    "c": "type",
}
_RELATIONS = """
select c.oid, c.relname as name, c.relkind::text as kind, pg_catalog.pg_has_role(c.relowner, 'usage') as is_owned,
       pg_catalog.has_table_privilege(c.oid, 'select') as is_readable,
       c.relkind in ('r', 'p') and pg_catalog.row_security_active(c.oid) as hides_rows
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and pg_catalog.lower(c.relname) = any($2::text[])
order by c.relname
"""
# A domain is followed to the type under it, whose modifier the last domain before it bears; an array to its elements,
# and these, where they are of a domain, likewise. Elements that are arrays, by a domain, stay so: nobody knows them.
_COLUMNS = """
with recursive typed as (
    select a.attrelid as relation, a.attnum as number, a.atttypid as type, a.atttypmod as modifier, a.atttypid as own,
           null::oid as list, null::oid as own_list, a.attnotnull as not_null
    from pg_catalog.pg_attribute a
    where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped
  union all
    select relation, number, case t.typtype when 'd' then t.typbasetype else e.oid end,
           case t.typtype when 'd' then t.typtypmod else modifier end,
           case t.typtype when 'd' then own else e.oid end,
           case t.typtype when 'd' then list else t.oid end,
           case t.typtype when 'd' then own_list else own end,
           not_null or t.typtype = 'd' and t.typnotnull and list is null
    from typed
    join pg_catalog.pg_type t on t.oid = typed.type
    left join pg_catalog.pg_type e on e.oid = t.typelem and e.typarray = t.oid
    where t.typtype = 'd' or e.oid is not null and typed.list is null
)
select typed.relation, a.attname as name,
       case when t.typnamespace = 'pg_catalog'::regnamespace or t.typelem <> 0
            then pg_catalog.format_type(typed.type, typed.modifier) else t.typname end as type,
       case when typed.own <> typed.type then o.typname when t.typtype = 'e' then t.typname end as own_name,
       array(select e.enumlabel::text from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder)
           as labels,
       typed.list is not null as is_array,
       case when typed.own_list <> typed.list then d.typname end as array_name,
       typed.not_null, a.atthasdef or a.attidentity <> '' as has_default, a.attidentity <> '' as identity,
       a.attgenerated <> '' as generated,
       (select max(q.seqmax) from pg_catalog.pg_depend d join pg_catalog.pg_sequence q on q.seqrelid = d.objid
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
          and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and q.seqincrement > 0) as last_number
from typed
join pg_catalog.pg_type t on t.oid = typed.type
join pg_catalog.pg_type o on o.oid = typed.own
left join pg_catalog.pg_type d on d.oid = typed.own_list
join pg_catalog.pg_attribute a on a.attrelid = typed.relation and a.attnum = typed.number
where t.typtype <> 'd'
      and (typed.list is not null or not exists (select from pg_catalog.pg_type e where e.typarray = t.oid))
order by typed.relation, typed.number
"""
_KEYS = """
select x.indrelid as relation, x.indisprimary as is_primary,
       array(select a.attname::text from unnest(x.indkey[0:x.indnkeyatts - 1]) with ordinality as k (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.number order by k.place)
           as columns
from pg_catalog.pg_index x
where x.indrelid = any($1::oid[]) and x.indisunique and x.indisvalid and x.indpred is null and x.indexprs is null
"""

_FOREIGN_KEYS = """
select k.conrelid as relation, k.conname::text as name, p.relname::text as parent, k.convalidated as validated,
       k.condeferrable as deferrable, k.condeferred as initially_deferred, k.confupdtype::text as on_update,
       k.confdeltype::text as on_delete,
       array(select a.attname::text from unnest(k.conkey) with ordinality as c (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.number order by c.place)
           as columns,
       array(select a.attname::text from unnest(k.confkey) with ordinality as c (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = c.number order by c.place)
           as parent_columns
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid and c.relkind = 'r'
join pg_catalog.pg_class p on p.oid = k.confrelid and p.relkind = 'r' and p.relnamespace = c.relnamespace
where k.contype = 'f' and k.conparentid = 0 and k.conrelid = any($1::oid[])
order by k.conname
"""
ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


async def read_target_tables(
    connection: asyncpg.Connection, schema: str, names: Iterable[str]
) -> tuple[TargetTable, ...]:
    """The relations of ``schema`` that bear one of these names, in any case of letters."""
    with named_errors(f"the tables of {schema}"):
        await _require_usage(connection, schema)
        wanted = sorted({name.lower() for name in names})
        relations = await connection.fetch(_RELATIONS, schema, wanted)
        oids = [row["oid"] for row in relations if row["kind"] in "rp"]
        columns = await _read_columns(connection, oids)
        keys = await connection.fetch(_KEYS, oids)
        references = await connection.fetch(_FOREIGN_KEYS, oids)
        tables = []
        for row in relations:
            oid, own = row["oid"], [key for key in keys if key["relation"] == row["oid"]]
            table = TargetTable(
                name=row["name"],
                kind=KINDS.get(row["kind"], row["kind"]),
                columns=tuple(columns.get(oid, ())),
                primary_key=next((tuple(key["columns"]) for key in own if key["is_primary"]), ()),
                unique_keys=tuple(frozenset(key["columns"]) for key in own),
                foreign_keys=tuple(_foreign_key(key) for key in references if key["relation"] == oid),
                is_owned=row["is_owned"],
                is_empty=not (columns.get(oid) and _may_look(row) and await _has_rows(connection, schema, row)),
                hides_rows=row["hides_rows"],
            )
            tables.append(table)
        return tuple(tables)


async def _require_usage(connection: asyncpg.Connection, schema: str) -> None:
    may_use = await connection.fetchval(
        "select to_regnamespace($1) is null or pg_catalog.has_schema_privilege(to_regnamespace($1), 'usage')",
        quote(schema),
    )
    if not may_use:
        role = await connection.fetchval("select current_user::text")
        raise TargetError(
            f"the role {role} may not look into the schema {schema}",
            f"grant usage on schema {quote(schema)} to {quote(role)};",
        )


async def _read_columns(connection: asyncpg.Connection, oids: list[int]) -> Mapping[int, list[TargetColumn]]:
    columns: dict[int, list[TargetColumn]] = {}
    for row in await connection.fetch(_COLUMNS, oids):
        named = {field.name: row[field.name] for field in fields(TargetColumn)}
        column = TargetColumn(**named | {"labels": tuple(row["labels"])})
        columns.setdefault(row["relation"], []).append(column)
    return columns


def _foreign_key(row: asyncpg.Record) -> ForeignKeyPlan:
    return ForeignKeyPlan(
        name=row["name"],
        columns=tuple(row["columns"]),
        parent=row["parent"],
        parent_columns=tuple(row["parent_columns"]),
        on_update=ACTIONS[row["on_update"]],
        on_delete=ACTIONS[row["on_delete"]],
        deferrable=row["deferrable"],
        initially_deferred=row["initially_deferred"],
        validated=row["validated"],
    )


def _may_look(row: asyncpg.Record) -> bool:
    return row["is_readable"] and not row["hides_rows"]


async def _has_rows(connection: asyncpg.Connection, schema: str, row: asyncpg.Record) -> bool:
    only = "only " if row["kind"] == "r" else ""
    return bool(await connection.fetchval(f"select exists (select from {only}{quote(schema)}.{quote(row['name'])})"))


async def read_citext_schema(connection: asyncpg.Connection) -> str:
    """The schema of the extension citext. Raises TargetError where the database has not got it."""
    (row,) = await connection.fetch(
        "select current_database() as database, (select n.nspname::text from pg_catalog.pg_extension e"
        " join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'citext') as schema,"
        " exists (select from pg_catalog.pg_available_extensions where name = 'citext') as is_available"
    )
    if row["schema"] is None:
        raise TargetError(
            f"the database {row['database']} has no type citext: its extension is not there",
            "create extension citext;"
            if row["is_available"]
            else "this server has no citext (it is one of PostgreSQL's contrib modules); --nocase lower needs none",
        )
    return str(row["schema"])
