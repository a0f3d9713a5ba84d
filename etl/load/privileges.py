"""Whose the published objects are, and who may use them: default privileges, ``--owner``, ``--grant``.

Invariant: all of it happens inside the publish transaction, and what the role may not do is said before a row moves.
PostgreSQL applies a schema's default privileges to what is created there, and not to what is moved there: so they are
read from its catalog and granted by us.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from etl.errors import TargetError
from etl.load.connect import literal, quote
from etl.model import Grant, Plan

WRITES = frozenset({"insert", "update", "all"})
_DEFAULTS = """
select d.defaclobjtype::text as kind, coalesce(r.rolname, '') as grantee, a.privilege_type as privilege,
       a.is_grantable as grantable
from pg_catalog.pg_default_acl d
cross join lateral pg_catalog.aclexplode(d.defaclacl) a
left join pg_catalog.pg_roles r on r.oid = a.grantee
where d.defaclnamespace = pg_catalog.to_regnamespace($1) and d.defaclobjtype in ('r', 'S')
  and d.defaclrole = (select oid from pg_catalog.pg_roles where rolname = $2)
order by 1, 2, 3"""


async def check_roles(connection: asyncpg.Connection, plan: Plan) -> None:
    """Raise TargetError for roles that are not there, and for an owner that this role cannot make one."""
    roles = [*([plan.owner] if plan.owner else []), *(grant.role for grant in plan.grants if not _is_public(grant))]
    for role in roles:
        if not await connection.fetchval("select exists (select from pg_catalog.pg_roles where rolname = $1)", role):
            raise TargetError(f"there is no role {role} on the server", f"create role {quote(role)};")
    if plan.owner is None:
        return
    (row,) = await connection.fetch(
        "select current_user as role, pg_has_role(current_user, $1, 'member') as member,"
        " to_regnamespace($2) is null or has_schema_privilege($1, to_regnamespace($2), 'create') as may_own",
        plan.owner,
        quote(plan.schema),
    )
    if not row["member"]:
        raise TargetError(
            f"the role {row['role']} may not give tables to {plan.owner}",
            f"grant {quote(plan.owner)} to {quote(row['role'])};",
        )
    if not row["may_own"]:
        raise TargetError(
            f"{plan.owner} may not own tables in the schema {plan.schema}",
            f"grant create on schema {quote(plan.schema)} to {quote(plan.owner)};",
        )


async def settle_privileges(connection: asyncpg.Connection, plan: Plan, schema_is_new: bool) -> None:
    """Grant and hand over what has just been moved; call it inside the publish transaction."""
    schema = quote(plan.schema)
    names = [*(table.name for table in plan.tables), *(view.name for view in plan.views)]
    relations = [f"{schema}.{quote(name)}" for name in names]
    sequences = await _sequences(connection, plan)
    if not relations:
        return
    owner = plan.owner or await connection.fetchval("select current_user")
    for row in await connection.fetch(_DEFAULTS, schema, owner):
        kind, objects = ("table", relations) if row["kind"] == "r" else ("sequence", sequences)
        option = " with grant option" if row["grantable"] else ""
        if objects:
            await _grant(connection, [row["privilege"]], kind, objects, row["grantee"], option)
    for grant in plan.grants:
        grantee = "" if _is_public(grant) else grant.role
        await _grant(connection, grant.privileges, "table", relations, grantee)
        if sequences and WRITES & set(grant.privileges):
            await _grant(connection, ["usage", "select"], "sequence", sequences, grantee)
        if schema_is_new:
            await connection.execute(f"grant usage on schema {schema} to {_role(grantee)}")
    if plan.owner is not None:
        await _hand_over(connection, plan, schema_is_new)


async def _grant(
    connection: asyncpg.Connection,
    privileges: Iterable[str],
    kind: str,
    names: Sequence[str],
    grantee: str,
    option: str = "",
) -> None:
    words = ", ".join(privileges)
    await connection.execute(f"grant {words} on {kind} {', '.join(names)} to {_role(grantee)}{option}")


async def _hand_over(connection: asyncpg.Connection, plan: Plan, schema_is_new: bool) -> None:
    """An identity's sequence and the indexes follow their table."""
    schema, owner = quote(plan.schema), quote(plan.owner or "")
    for table in plan.tables:
        await connection.execute(f"alter table {schema}.{quote(table.name)} owner to {owner}")
    for view in plan.views:
        await connection.execute(f"alter view {schema}.{quote(view.name)} owner to {owner}")
    if schema_is_new:
        await connection.execute(f"alter schema {schema} owner to {owner}")


async def _sequences(connection: asyncpg.Connection, plan: Plan) -> list[str]:
    """The qualified names of the identities' sequences."""
    schema = quote(plan.schema)
    calls = [
        f"pg_get_serial_sequence({literal(f'{schema}.{quote(table.name)}')}, {literal(column.name)})"
        for table in plan.tables
        for column in table.columns
        if column.identity
    ]
    if not calls:
        return []
    return [row["name"] for row in await connection.fetch(f"select unnest(array[{', '.join(calls)}]) as name")]


def _is_public(grant: Grant) -> bool:
    return grant.role.lower() == "public"


def _role(grantee: str) -> str:
    return quote(grantee) if grantee else "public"
