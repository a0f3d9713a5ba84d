"""What others have built upon tables that are to be replaced: foreign keys, views, triggers.

Invariant: nothing is dropped that cannot be made again in the catalog's own words; what cannot is named, and stops the
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from etl.load.acl import acl_grants, revoke_defaults
from etl.load.connect import literal, quote
from etl.load.surroundings import TRIGGER_STATES, Removable, read_foreign_keys, removable_key

# Views upon views: each as deep as its longest way down.
_VIEWS = """
with recursive readers (oid, depth) as (
    select r.ev_class, 1 from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[])
      and r.ev_class <> all($1::oid[])
  union
    select r.ev_class, readers.depth + 1 from readers
    join pg_catalog.pg_depend d on d.refobjid = readers.oid and d.refclassid = 'pg_class'::regclass
      and d.classid = 'pg_rewrite'::regclass
    join pg_catalog.pg_rewrite r on r.oid = d.objid and r.ev_class <> readers.oid and r.ev_class <> all($1::oid[])
)
select c.oid, n.nspname as schema, c.relname as name, c.relkind::text as kind, c.reloptions as options,
       pg_catalog.pg_get_viewdef(c.oid) as definition, pg_catalog.obj_description(c.oid, 'pg_class') as comment,
       pg_catalog.pg_get_userbyid(c.relowner)::text as owner, pg_catalog.pg_has_role(c.relowner, 'usage') as is_owned,
       exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid)
       or exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN')
       or exists (select from pg_catalog.pg_attrdef f where f.adrelid = c.oid) as has_more
from (select oid, max(depth) as depth from readers group by oid) as deepest
join pg_catalog.pg_class c using (oid) join pg_catalog.pg_namespace n on n.oid = c.relnamespace
order by deepest.depth, n.nspname, c.relname
"""
_TRIGGERS = """
select t.tgname as name, c.relname as table, n.nspname as schema, t.tgenabled::text as state,
       pg_catalog.pg_get_triggerdef(t.oid) as definition
from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where t.tgrelid = any($1::oid[]) and not t.tgisinternal and c.relkind in ('r', 'p') order by c.relname, t.tgname
"""
# Functions, policies, row types and whatever else: known by their kind of dependency alone.
_OTHERS = """
select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) as what
from pg_catalog.pg_depend d
where d.deptype = 'n'
  and (d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[])
       or d.refclassid = 'pg_type'::regclass and d.refobjid in (
            select t.oid from pg_catalog.pg_type t
            where t.typrelid = any($1::oid[])
               or t.typelem in (select oid from pg_catalog.pg_type where typrelid = any($1::oid[]))))
  and d.classid not in ('pg_rewrite'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass,
                        'pg_publication_rel'::regclass)
  and not (d.classid = 'pg_class'::regclass and d.objid = any($1::oid[]))
union
select 'policy ' || p.polname || ' on table ' || p.polrelid::regclass from pg_catalog.pg_policy p
where p.polrelid = any($1::oid[])
union
select 'rule ' || r.rulename || ' on table ' || r.ev_class::regclass from pg_catalog.pg_rewrite r
where r.ev_class = any($1::oid[]) and r.rulename <> '_RETURN'
union
select 'the replica identity of table ' || c.oid::regclass || ' by an index' from pg_catalog.pg_class c
where c.oid = any($1::oid[]) and c.relreplident = 'i'
union
select 'row security of table ' || c.oid::regclass from pg_catalog.pg_class c
where c.oid = any($1::oid[]) and c.relrowsecurity
order by 1
"""


@dataclass(frozen=True, slots=True)
class Dependents:
    """``rebuildable`` in the order in which they are made again; ``others`` only by what the server calls them."""

    rebuildable: tuple[Removable, ...]
    others: tuple[str, ...]

    @property
    def named(self) -> list[str]:
        return [f"{thing.kind} {thing.name}" for thing in self.rebuildable] + list(self.others)


async def read_dependents(connection: asyncpg.Connection, oids: Sequence[int]) -> Dependents:
    """Everything from outside that would go with these tables and views."""
    rebuildable: list[Removable] = []
    others = [row["what"] for row in await connection.fetch(_OTHERS, oids)]
    for key in await read_foreign_keys(connection, oids):
        if key.child in oids:
            continue
        if key.is_ours:
            rebuildable.append(removable_key(key))
        else:
            others.append(f"foreign key {key.name} of {key.shown}, which the role does not own")
    for row in await connection.fetch(_VIEWS, oids):
        if row["kind"] != "v" or row["has_more"] or not row["is_owned"]:
            why = " and what stands on it" if row["has_more"] else "" if row["is_owned"] else ", of another owner"
            kind = "materialized view" if row["kind"] == "m" else "view"
            others.append(f"{kind} {row['schema']}.{row['name']}{why}")
            continue
        rebuildable.append(await _view(connection, row))
    rebuildable += [_trigger(row) for row in await connection.fetch(_TRIGGERS, oids)]
    return Dependents(tuple(rebuildable), tuple(others))


async def _view(connection: asyncpg.Connection, row: asyncpg.Record) -> Removable:
    name = f"{quote(row['schema'])}.{quote(row['name'])}"
    options = f" with ({', '.join(row['options'])})" if row["options"] else ""
    restore = [f"create view {name}{options} as {row['definition']}"]
    restore += await revoke_defaults(connection, row["oid"], name)
    restore += await acl_grants(connection, row["oid"], name)
    if row["comment"] is not None:
        restore.append(f"comment on view {name} is {literal(row['comment'])}")
    restore.append(f"alter view {name} owner to {quote(row['owner'])}")
    return Removable("view", f"{row['schema']}.{row['name']}", row["name"], f"drop view {name}", tuple(restore))


def _trigger(row: asyncpg.Record) -> Removable:
    """It goes with its table: nothing has to be removed first."""
    restore = [row["definition"]]
    table, name = f"alter table {quote(row['schema'])}.{quote(row['table'])}", quote(row["name"])
    if row["state"] != "O":
        restore.append(f"{table} {TRIGGER_STATES.get(row['state'], 'disable trigger')} {name}")
    return Removable("trigger", f"{row['name']} on {row['table']}", row["table"], "", tuple(restore))
