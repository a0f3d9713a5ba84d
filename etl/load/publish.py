"""Before and after: what would stand in the way of a publish, and the one transaction that does it.

Invariant: outside the staging schema nothing changes but in that one transaction, and it never says CASCADE.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import asyncpg

from etl.counted_nouns import some
from etl.errors import TargetError, TargetOccupiedError, UsageError
from etl.load.circumstances import check_publications
from etl.load.collations import move_collations
from etl.load.commit import commit, uncommitted
from etl.load.connect import Lender, named_errors, quote
from etl.load.journal import JOURNAL_NAMES, Staging, batches
from etl.load.privileges import check_roles, settle_privileges
from etl.load.replacement import NOTHING, Replacing, check_replacement, read_replacement
from etl.model import Plan

KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "i": "index", "S": "sequence", "f": "table"}


async def check_target(
    connection: asyncpg.Connection, plan: Plan, replacing: Replacing, lent: str | None = None
) -> None:
    """Raise before anything is built what the server, the role or the schema would refuse at the end."""
    if (encoding := await connection.fetchval("show server_encoding")) != "UTF8":
        raise TargetError(
            f"the database's encoding is {encoding}, and text of any language is to be stored",
            "create the database with: createdb --encoding UTF8 --template template0 NAME",
        )
    if plan.created.tables or not plan.tables:
        await check_privileges(connection, plan.schema, lent)
        await check_roles(connection, plan)
        await check_publications(connection)
        check_own_names(plan.created)
        await check_room(connection, plan.created, replacing.tables)
        if replacing.tables:
            await check_replacement(connection, plan.created, replacing.dependents)
    elif plan.views:
        await check_roles(connection, plan)


def check_own_names(plan: Plan) -> None:
    """Raise TargetError for tables of the plan that are called as the journal beside them in the staging schema."""
    names = {table.name for table in plan.tables} | {index.name for table in plan.tables for index in table.indexes}
    if clash := sorted((names | {view.name for view in plan.views}) & JOURNAL_NAMES):
        raise TargetError(
            f"{clash[0]} is the name of this run's own journal, which stands beside the tables while they are built",
            "rename it for the move: alter table … rename to … in a copy of the source, and back in PostgreSQL",
        )


async def check_privileges(connection: asyncpg.Connection, schema: str, lent: str | None) -> None:
    (row,) = await connection.fetch(
        "select current_user as role, current_database() as database,"
        " has_database_privilege(current_database(), 'create') as may_stage,"
        " to_regnamespace($1) is not null as is_there,"
        " to_regnamespace($1) is null or has_schema_privilege($2, 'create') as may_publish",
        quote(schema),
        schema,
    )
    if lent == schema:
        raise UsageError(
            f"--staging-schema: {schema} is where the tables are published", "name another schema, an empty one"
        )
    if lent is not None:
        await check_lent(connection, lent, row["role"])
    elif not row["may_stage"]:
        raise TargetError(
            f"the role {row['role']} may not create schemas in the database {row['database']}",
            f"grant create on database {quote(row['database'])} to {quote(row['role'])};"
            " or name an empty schema that it may create in: --staging-schema",
        )
    if lent is not None and not row["is_there"]:
        raise TargetError(f"there is no schema {schema} in the target", f"create schema {quote(schema)};")
    if not row["may_publish"]:
        raise TargetError(
            f"the role {row['role']} may not create tables in the schema {schema}",
            f"grant create on schema {quote(schema)} to {quote(row['role'])};",
        )


async def check_lent(connection: asyncpg.Connection, schema: str, role: str) -> None:
    """Raise TargetError unless the role may build in the schema that was prepared for the run."""
    may_build = await connection.fetchval(
        "select has_schema_privilege(n, 'create') and has_schema_privilege(n, 'usage') from to_regnamespace($1) as n",
        quote(schema),
    )
    if may_build is None:
        raise TargetError(f"there is no staging schema {schema} in the target", f"create schema {quote(schema)};")
    if not may_build:
        raise TargetError(
            f"the role {role} may not create tables in the staging schema {schema}",
            f"grant usage, create on schema {quote(schema)} to {quote(role)};",
        )


async def check_room(connection: asyncpg.Connection, plan: Plan, replace: bool) -> None:
    """Raise TargetOccupiedError for relations and types of the target schema that bear a name of ours."""
    in_the_way = await names_in_the_way(connection, plan, replace)
    if in_the_way:
        raise TargetOccupiedError(
            f"in the way of this run: {some(in_the_way)}",
            "--mode auto fills tables that are there, --mode replace replaces them; or choose another --target-schema",
        )


async def names_in_the_way(connection: asyncpg.Connection, plan: Plan, replace: bool) -> list[str]:
    """The relations and types of the target schema that bear a name of ours; with ``replace`` without the tables."""
    tables, views = {table.name for table in plan.tables}, {view.name for view in plan.views}
    others = {
        name
        for table in plan.tables
        for name in (
            table.primary_key_name,
            *(index.name for index in table.indexes),
            *(f"{table.name}_{column.name}_seq" for column in table.columns if column.identity),
        )
        if name
    }
    rows = await connection.fetch(
        "select relname as name, relkind::text as kind, (select t.relname from pg_class t where t.oid = coalesce("
        " (select indrelid from pg_index where indexrelid = c.oid),"
        " (select refobjid from pg_depend where classid = 'pg_class'::regclass and objid = c.oid"
        "  and refclassid = 'pg_class'::regclass and deptype in ('a', 'i') limit 1))) as owner"
        " from pg_class c where relnamespace = to_regnamespace($1) and relname = any($2::text[])"
        " union all select typname, 'type', null from pg_type where typnamespace = to_regnamespace($1)"
        " and typname = any($2::text[]) and typrelid = 0",
        quote(plan.schema),
        sorted(tables | views | others),
    )
    kinds = {"r": tables, "p": tables, "v": views}
    replaced = {row["name"] for row in rows if replace and row["name"] in kinds.get(row["kind"], ())}
    return [
        f"{KINDS.get(row['kind'], row['kind'])} {plan.schema}.{row['name']}"
        for row in rows
        if row["name"] not in replaced and row["owner"] not in replaced
    ]


async def publish(
    connections: Lender, staging: Staging, plan: Plan, replacing: Replacing, decision: AbstractContextManager[None]
) -> None:
    """Move every table into the target schema in one transaction; indexes, constraints and sequences move along.

    Tables of the same name that give way are dropped in the same transaction. A connection lost during COMMIT is looked
    into; ``decision`` lasts from then to its outcome.
    """
    async with connections.borrow() as connection, uncommitted(connection) as transaction:
        with named_errors("publish"):
            await move_tables(connection, staging, plan, replacing)
        await commit(connection, transaction, connections.address, decision)


async def move_tables(
    connection: asyncpg.Connection, staging: Staging, plan: Plan, replacing: Replacing = NOTHING
) -> None:
    """The publish itself, inside a transaction: the tables move, and the staging schema is gone."""
    schema_is_new = not await connection.fetchval("select to_regnamespace($1) is not null", quote(plan.schema))
    if schema_is_new:
        await connection.execute(f"create schema {quote(plan.schema)}")
    replacement = await read_replacement(connection, plan, replacing.dependents) if replacing.tables else None
    if replacement is not None:
        await replacement.make_room(connection, plan)
    await move_collations(connection, staging, plan)
    moved = [*(("table", table.name) for table in plan.tables), *(("view", view.name) for view in plan.views)]
    for some_of_them in batches(moved):
        statements = (
            f"alter {kind} {quote(staging.schema)}.{quote(name)} set schema {quote(plan.schema)}"
            for kind, name in some_of_them
        )
        await connection.execute("; ".join(statements))
    await settle_privileges(connection, plan, schema_is_new)
    if replacement is not None:
        await replacement.settle(connection)
    await staging.dissolve(connection)
