"""What stands around the rows of an application's tables: foreign keys, indexes, triggers, taken away and put back.

Invariant: what is put back is what the catalog said before: name, definition, validity, comment, each trigger's own
state. Only what the role owns is touched, and only inside the transaction that fills the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from etl.load.connect import literal, named_errors, quote

ROWS_WORTH_AN_INDEX = 50_000  # below, rows are put into a plain index one by one as fast as it is built anew
# tgenabled → what ALTER TABLE calls it
TRIGGER_STATES = {"O": "enable trigger", "R": "enable replica trigger", "A": "enable always trigger"}

_FOREIGN_KEYS = """
select k.conname as name, k.conrelid as child, k.confrelid as parent, n.nspname as schema, c.relname as table,
       pg_catalog.pg_get_constraintdef(k.oid) as definition,
       pg_catalog.obj_description(k.oid, 'pg_constraint') as comment,
       pg_catalog.pg_has_role(c.relowner, 'usage')
       and pg_catalog.has_table_privilege(k.confrelid, 'references')
       and not exists (select from pg_catalog.pg_trigger t where t.tgconstraint = k.oid and t.tgenabled <> 'O')
           as is_ours
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and k.conparentid = 0 and (k.conrelid = any($1::oid[]) or k.confrelid = any($1::oid[]))
order by n.nspname, c.relname, k.conname
"""
# Plain ones alone: nothing stands on them, and everything that they are is in their definition and their comment.
_INDEXES = """
select i.relname as name, c.relname as table, n.nspname as schema,
       pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
       pg_catalog.obj_description(x.indexrelid, 'pg_class') as comment
from pg_catalog.pg_index x
join pg_catalog.pg_class c on c.oid = x.indrelid
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_namespace n on n.oid = i.relnamespace
where x.indrelid = any($1::oid[]) and c.relkind = 'r' and pg_catalog.pg_has_role(c.relowner, 'usage')
  and not x.indisunique and not x.indisexclusion and not x.indisreplident and not x.indisclustered and x.indisvalid
  and i.reltablespace = 0 and not i.relispartition
  and not exists (select from pg_catalog.pg_constraint k where k.conindid = x.indexrelid)
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_class'::regclass and d.objid = x.indexrelid
                  and d.deptype not in ('a', 'n'))
  and not exists (select from pg_catalog.pg_attribute a where a.attrelid = x.indexrelid and a.attstattarget >= 0)
order by n.nspname, i.relname
"""
_TRIGGERS = """
select t.tgname as name, t.tgenabled::text as state, n.nspname as schema, c.relname as table
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid in (select coalesce(p.relid, r) from unnest($1::oid[]) r left join pg_partition_tree(r) p on true)
  and not t.tgisinternal and t.tgenabled <> 'D' and pg_catalog.pg_has_role(c.relowner, 'usage')
order by c.relispartition, n.nspname, c.relname, t.tgname
"""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key from or onto one of the tables.

    ``is_ours``: the role may drop it and make it again. One whose triggers were set otherwise (``disable trigger all``)
    stays: a new one would have them enabled.
    """

    name: str
    child: int  # oid
    parent: int  # oid
    table: str  # the child's name
    shown: str  # with its schema, both quoted
    definition: str
    comment: str | None
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Removable:
    """Something that is taken away for the load; ``restore`` makes it what it was."""

    kind: str
    name: str
    table: str
    remove: str
    restore: tuple[str, ...]


async def read_foreign_keys(connection: asyncpg.Connection, oids: Sequence[int]) -> list[ForeignKey]:
    """Every foreign key that leaves one of the tables or arrives there."""
    return [
        ForeignKey(
            row["name"],
            row["child"],
            row["parent"],
            row["table"],
            f"{quote(row['schema'])}.{quote(row['table'])}",
            row["definition"],
            row["comment"],
            row["is_ours"],
        )
        for row in await connection.fetch(_FOREIGN_KEYS, oids)
    ]


def removable_key(key: ForeignKey) -> Removable:
    name = quote(key.name)
    restore = [f"alter table {key.shown} add constraint {name} {key.definition}"]
    if key.comment is not None:
        restore.append(f"comment on constraint {name} on {key.shown} is {literal(key.comment)}")
    drop = f"alter table {key.shown} drop constraint {name}"
    return Removable("foreign key", key.name, key.table, drop, tuple(restore))


async def read_indexes(connection: asyncpg.Connection, oids: Sequence[int]) -> list[Removable]:
    """The plain secondary indexes of these tables."""
    removable = []
    for row in await connection.fetch(_INDEXES, oids):
        name = f"{quote(row['schema'])}.{quote(row['name'])}"
        restore = [row["definition"]]
        if row["comment"] is not None:
            restore.append(f"comment on index {name} is {literal(row['comment'])}")
        removable.append(Removable("index", row["name"], row["table"], f"drop index {name}", tuple(restore)))
    return removable


async def read_triggers(connection: asyncpg.Connection, oids: Sequence[int]) -> list[Removable]:
    """The user's own triggers that would fire, those of partitions among them."""
    removable = []
    for row in await connection.fetch(_TRIGGERS, oids):
        table, name = f"alter table {quote(row['schema'])}.{quote(row['table'])}", quote(row["name"])
        restore = f"{table} {TRIGGER_STATES[row['state']]} {name}"
        removable.append(Removable("trigger", row["name"], row["table"], f"{table} disable trigger {name}", (restore,)))
    return removable


async def remove(connection: asyncpg.Connection, things: Sequence[Removable]) -> None:
    for thing in things:
        with named_errors(f"{thing.kind} {thing.name}"):
            await connection.execute(thing.remove)


async def restore(connection: asyncpg.Connection, thing: Removable) -> None:
    """Make it again; raises TargetError where the rows do not allow it."""
    for statement in thing.restore:
        with named_errors(f"{thing.kind} {thing.name}"):
            await connection.execute(statement)
