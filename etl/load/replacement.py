"""Replace tables that are there by those of the run, inside the publish (--mode replace).

    read what they have and what stands on them ─► drop ─► (the new ones move in)
      ─► foreign keys, views, triggers of others ─► grants, comments, publications, owner

Invariant: whose a table is, who may use it and where it is published stay as they were; what others have built upon it
is named before a row moves, and touched only when the user said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from etl.errors import TargetError, TargetOccupiedError
from etl.load.acl import acl_grants
from etl.load.connect import literal, named_errors, quote
from etl.load.dependents import Dependents, read_dependents
from etl.load.surroundings import remove, restore
from etl.model import Plan, TablePlan

NAMED_AT_MOST = 10
_OLD = """
select c.oid, c.relname as name, c.relkind::text as kind, pg_catalog.pg_get_userbyid(c.relowner)::text as owner,
       current_user::text as role, pg_catalog.pg_has_role(c.relowner, 'usage') as is_owned,
       pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'create') as may_own,
       pg_catalog.obj_description(c.oid, 'pg_class') as comment, c.relreplident::text as replica_identity
from pg_catalog.pg_class c
where c.relnamespace = to_regnamespace($1) and c.relname = any($2::text[]) and c.relkind in ('r', 'p', 'v')
order by c.relname
"""
_COMMENTS = """
select a.attname as name, pg_catalog.col_description(a.attrelid, a.attnum) as comment from pg_catalog.pg_attribute a
where a.attrelid = $1 and a.attnum > 0 and pg_catalog.col_description(a.attrelid, a.attnum) is not null
"""
_INDEX_COMMENTS = """
select c.relname as name, pg_catalog.obj_description(c.oid, 'pg_class') as comment
from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
where x.indrelid = $1 and pg_catalog.obj_description(c.oid, 'pg_class') is not null
order by c.relname
"""
REPLICA_IDENTITIES = {"f": "full", "n": "nothing"}
_PUBLICATIONS = """
select p.pubname as name, pg_catalog.pg_has_role(p.pubowner, 'usage') as is_owned, {filter} as filter,
       {columns} as columns
from pg_catalog.pg_publication_rel r join pg_catalog.pg_publication p on p.oid = r.prpubid
where r.prrelid = $1 order by p.pubname
"""
FILTERED_SINCE = 15  # row filters and column lists of publications
PUBLISHED = {
    "filter": "pg_catalog.pg_get_expr(r.prqual, r.prrelid)",
    "columns": "array(select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = r.prrelid"
    " and a.attnum = any(r.prattrs::int2[]) order by a.attnum)",
}
PUBLISHED_BEFORE = {"filter": "null::text", "columns": "null::text[]"}


@dataclass(frozen=True, slots=True)
class Replacing:
    """Whether tables that are there give way to those of the run, and with them what others have built upon them."""

    tables: bool = False  # --mode replace
    dependents: bool = False  # --rebuild-dependents


NOTHING = Replacing()
SEQUENCE = "\0"  # stands for the sequence of the new table, whose name is known when it is there


@dataclass(frozen=True, slots=True)
class Replacement:
    """What is to be done around the move of the new tables: ``dependents`` off and on again, then ``belongings``."""

    dependents: Dependents
    belongings: tuple[str, ...]  # statements
    of_sequences: tuple[tuple[str, str, str], ...]  # (table, column, statement with SEQUENCE in it)

    async def make_room(self, connection: asyncpg.Connection, plan: Plan) -> None:
        """Drop the old tables and views; one DROP names the tables, so that keys among them need no CASCADE."""
        await remove(connection, [thing for thing in reversed(self.dependents.rebuildable) if thing.remove])
        for view in reversed(plan.views):
            await connection.execute(f"drop view if exists {quote(plan.schema)}.{quote(view.name)}")
        names = ", ".join(f"{quote(plan.schema)}.{quote(table.name)}" for table in plan.tables)
        if names:
            await connection.execute(f"drop table if exists {names}")

    async def settle(self, connection: asyncpg.Connection) -> None:
        """The new tables are in their place."""
        for thing in self.dependents.rebuildable:
            await restore(connection, thing)
        for table, column, statement in self.of_sequences:
            sequence = await connection.fetchval("select pg_catalog.pg_get_serial_sequence($1, $2)", table, column)
            if sequence is not None:
                await connection.execute(statement.replace(SEQUENCE, sequence))
        for statement in self.belongings:
            with named_errors(statement):
                await connection.execute(statement)


async def check_replacement(connection: asyncpg.Connection, plan: Plan, rebuild: bool) -> None:
    """Raise before a row moves what would stop the publish: another owner, and what others built upon the tables."""
    rows = await _old(connection, plan)
    for row in rows:
        if not row["is_owned"]:
            raise TargetError(
                f"the role {row['role']} may not replace {plan.schema}.{row['name']}, which belongs to {row['owner']}",
                f"connect as {row['owner']}, or grant {quote(row['owner'])} to {quote(row['role'])};",
            )
        if plan.owner is None and row["owner"] != row["role"] and not row["may_own"]:
            raise TargetError(
                f"{row['owner']}, the owner of {plan.schema}.{row['name']}, may not own new tables in that schema",
                f"grant create on schema {quote(plan.schema)} to {quote(row['owner'])}; or name another --owner",
            )
    await _belongings(connection, plan, rows)
    dependents = await read_dependents(connection, [row["oid"] for row in rows])
    if dependents.others:
        raise TargetOccupiedError(
            f"these stand on the tables to be replaced, and cannot be made again: {_some(dependents.others)}",
            "drop them yourself and make them again afterwards; or --mode fill, which leaves the tables where they are",
        )
    if dependents.rebuildable and not rebuild:
        raise TargetOccupiedError(
            f"these stand on the tables to be replaced: {_some(dependents.named)}",
            "--rebuild-dependents makes them again upon the new tables, in the publish; or --mode fill",
        )


async def read_replacement(connection: asyncpg.Connection, plan: Plan, rebuild: bool) -> Replacement:
    """What has to be done; inside the publish transaction, so that it is what the old tables have now."""
    rows = await _old(connection, plan)
    belongings = await _belongings(connection, plan, rows)
    sequences = await _sequence_grants(connection, plan)
    dependents = await read_dependents(connection, [row["oid"] for row in rows]) if rebuild else Dependents((), ())
    return Replacement(dependents, tuple(belongings), tuple(sequences))


async def _old(connection: asyncpg.Connection, plan: Plan) -> list[asyncpg.Record]:
    names = [*(table.name for table in plan.tables), *(view.name for view in plan.views)]
    rows: list[asyncpg.Record] = await connection.fetch(_OLD, quote(plan.schema), names)
    return rows


async def _belongings(connection: asyncpg.Connection, plan: Plan, rows: Sequence[asyncpg.Record]) -> list[str]:
    """Grants, comments, publications and at last the owner, as statements; raises for publications of others."""
    tables = {table.name: table for table in plan.tables}
    statements: list[str] = []
    for row in rows:
        name, table = f"{quote(plan.schema)}.{quote(row['name'])}", tables.get(row["name"])
        columns = frozenset(column.name for column in table.columns) if table else None
        statements += await acl_grants(connection, row["oid"], name, columns=columns)
        statements += await _comments(connection, row, name, table)
        if table is not None:
            statements += await _publications(connection, row["oid"], name, columns or frozenset())
            if identity := REPLICA_IDENTITIES.get(row["replica_identity"]):
                statements.append(f"alter table {name} replica identity {identity}")
        if plan.owner is None and row["owner"] != row["role"]:
            statements.append(f"alter {'table' if table else 'view'} {name} owner to {quote(row['owner'])}")
    return statements


async def _comments(
    connection: asyncpg.Connection, row: asyncpg.Record, name: str, table: TablePlan | None
) -> list[str]:
    """Of a table, its columns and those of its indexes that the new one has by the same names; of a view."""
    kind, comment = "table" if table else "view", row["comment"]
    statements = [] if comment is None else [f"comment on {kind} {name} is {literal(comment)}"]
    if table is None:
        return statements
    columns = {column.name for column in table.columns}
    indexes = {index.name for index in table.indexes}
    schema = name.removesuffix(f".{quote(table.name)}")
    statements += [
        f"comment on column {name}.{quote(column['name'])} is {literal(column['comment'])}"
        for column in await connection.fetch(_COMMENTS, row["oid"])
        if column["name"] in columns
    ]
    return statements + [
        f"comment on index {schema}.{quote(index['name'])} is {literal(index['comment'])}"
        for index in await connection.fetch(_INDEX_COMMENTS, row["oid"])
        if index["name"] in indexes
    ]


async def _sequence_grants(connection: asyncpg.Connection, plan: Plan) -> list[tuple[str, str, str]]:
    """For those who may use the number sequences of the old tables."""
    found = []
    for table in plan.tables:
        name = f"{quote(plan.schema)}.{quote(table.name)}"
        for column in (column for column in table.columns if column.identity):
            oid = await connection.fetchval(
                "select pg_catalog.pg_get_serial_sequence($1, a.attname)::regclass::oid from pg_catalog.pg_attribute a"
                " where a.attrelid = to_regclass($1) and a.attname = $2",
                name,
                column.name,
            )
            if oid is not None:
                grants = await acl_grants(connection, oid, SEQUENCE, kind="sequence")
                found += [(name, column.name, grant) for grant in grants]
    return found


async def _publications(connection: asyncpg.Connection, oid: int, name: str, columns: frozenset[str]) -> list[str]:
    statements = []
    known = PUBLISHED if connection.get_server_version().major >= FILTERED_SINCE else PUBLISHED_BEFORE
    for row in await connection.fetch(_PUBLICATIONS.format(**known), oid):
        publication = quote(row["name"])
        if not row["is_owned"]:
            raise TargetError(
                f"{name} is part of the publication {row['name']}, which belongs to another role",
                f"run as its owner; or: alter publication {publication} drop table {name};",
            )
        listed = [column for column in row["columns"] or () if column in columns]
        only = f" ({', '.join(map(quote, listed))})" if listed else ""
        where = f" where ({row['filter']})" if row["filter"] else ""
        statements.append(f"alter publication {publication} add table {name}{only}{where}")
    return statements


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more
