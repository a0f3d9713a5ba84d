"""What of the server as a whole would make a run fail at its end, or hurt others: locks, publications.

Invariant: each is said before a row moves, with what to change.
"""

from __future__ import annotations

import math

import asyncpg

from etl.errors import TargetError
from etl.model import Plan, TablePlan

SAFE_SHARE = 0.9  # of the lock table: others need it too
# What PostgreSQL makes room for: every process that can take locks, max_locks_per_transaction times. The setting for
# autovacuum's processes has another name since version 18.
_ROOM = """
select pg_catalog.current_setting('max_locks_per_transaction')::bigint as setting,
       1 + sum(setting::bigint) as processes
from pg_catalog.pg_settings
where name in ('max_connections', 'max_prepared_transactions', 'max_worker_processes', 'max_wal_senders',
               case when exists (select from pg_catalog.pg_settings where name = 'autovacuum_worker_slots')
                    then 'autovacuum_worker_slots' else 'autovacuum_max_workers' end)
"""
# What tables of the target take beyond what is locked anyhow: to fill them, each with its indexes, TOAST and sequences,
# and the foreign keys that are taken away with the triggers that watch over them; to drop them, all that hangs on them.
_HELD = """
with tables as (
    select distinct t.oid, t.reltoastrelid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_partition_tree(c.oid) p on true
    join pg_catalog.pg_class t on t.oid = coalesce(p.relid, c.oid)
    where n.nspname = $1 and c.relname = any($2::text[]) and c.relkind in ('r', 'p')
), constraints as (
    select k.oid from pg_catalog.pg_constraint k
    where k.conrelid in (select oid from tables) and ($3 or k.contype = 'f')
       or k.confrelid in (select oid from tables)
)
select (select count(*) + 2 * count(nullif(reltoastrelid, 0)) from tables)
       + (select count(*) from pg_catalog.pg_index where indrelid in (select oid from tables))
       + (select count(distinct s.oid) from pg_catalog.pg_depend d
          join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
          where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid in (select oid from tables))
       + (select count(*) from constraints)
       + (select count(*) from pg_catalog.pg_trigger
          where tgconstraint in (select oid from constraints) or $3 and tgrelid in (select oid from tables))
       + case when $3 then (select 2 * count(*) from tables)  -- the types of a row and of an array of them
              + (select count(*) from pg_catalog.pg_attrdef where adrelid in (select oid from tables)) else 0 end
"""


async def check_locks(connection: asyncpg.Connection, plan: Plan, *, replace: bool) -> None:
    """Raise TargetError where the transaction that fills and publishes would lock more than the server has room for.

    It holds a lock on every table and sequence that it publishes, on all that belongs to a table that it fills, and,
    with ``replace``, on all that goes with a table that gives way.
    """
    needed = len(plan.views) + sum(
        _published(table, with_owner=plan.owner is not None) for table in plan.created.tables
    )
    if filled := [table.name for table in plan.filled.tables]:
        needed += await connection.fetchval(_HELD, plan.schema, filled, False)
    if replace:
        needed += await connection.fetchval(_HELD, plan.schema, [table.name for table in plan.created.tables], True)
    (room,) = await connection.fetch(_ROOM)
    slots = room["setting"] * int(room["processes"])
    if needed > slots * SAFE_SHARE:
        wanted = math.ceil(needed / SAFE_SHARE / int(room["processes"]))
        way = "fill each table by itself with --per-table" if filled and not plan.created.tables else ""
        raise TargetError(
            f"the transaction that makes all tables visible needs {needed:,} locks at once; the server has room for"
            f" {slots:,}, those of others included",
            f"raise max_locks_per_transaction from {room['setting']} to {wanted} or more and restart the server; or"
            f" {way or 'move the tables in parts with --tables'}",
        )


def _published(table: TablePlan, *, with_owner: bool) -> int:
    """How many locks it takes to move a table, and to give it to another owner, with its indexes and TOAST."""
    locks = 1 + sum(column.identity for column in table.columns)
    return locks + (bool(table.primary_key) + len(table.indexes) + 2 if with_owner else 0)


async def check_publications(connection: asyncpg.Connection) -> None:
    """A publication FOR ALL TABLES would send the staging schema to subscribers, which have no such tables."""
    name = await connection.fetchval(
        "select pubname from pg_catalog.pg_publication where puballtables and exists (select from"
        " pg_catalog.pg_replication_slots where slot_type = 'logical' and database = current_database()) limit 1"
    )
    if name is not None:
        raise TargetError(
            f"the publication {name} is FOR ALL TABLES: its subscribers would stop at the tables of this run",
            f"let {name} name its tables or schemas for the time of the run, and add the new tables afterwards",
        )
