"""The collation of ``--nocase icu``: found in the target, moved with the tables that use it, gone with them.

Invariant: a collation never stays behind in a staging schema, where a DROP … CASCADE would take published columns with
it; one of the target's own is used as it is or not at all.
"""

from __future__ import annotations

import asyncpg

from etl.errors import TargetError, TargetOccupiedError
from etl.load.connect import quote
from etl.load.journal import Staging
from etl.model import NOCASE_COLLATION, NOCASE_LOCALE, Plan

# und-x-icu: every server that is built with ICU has it; PostgreSQL 16 and later list `unicode` even without
_FOUND = """
select exists (select from pg_catalog.pg_collation where collname = 'und-x-icu') as has_icu,
       found.collname is not null as is_there,
       found.collprovider = 'i' and not found.collisdeterministic and coalesce(
           to_jsonb(found) ->> 'colllocale', to_jsonb(found) ->> 'colliculocale', found.collcollate
       ) = $3 as is_ours
from (values (1)) as one
left join pg_catalog.pg_collation as found
       on found.collnamespace = to_regnamespace($1) and found.collname = $2 and found.collencoding in (-1, 6)
"""
_IS_USED = """
select exists (
    select from pg_catalog.pg_depend d
    join pg_catalog.pg_collation c on c.oid = d.refobjid and d.refclassid = 'pg_catalog.pg_collation'::regclass
    where c.collnamespace = to_regnamespace($1) and c.collname = $2
)
"""


async def has_nocase_collation(connection: asyncpg.Connection, schema: str) -> bool:
    """Whether ``schema`` has the collation already, as an earlier run has left it.

    Raises TargetError where the server has no ICU, TargetOccupiedError where the name stands for another collation.
    """
    (row,) = await connection.fetch(_FOUND, quote(schema), NOCASE_COLLATION, NOCASE_LOCALE)
    if not row["has_icu"]:
        raise TargetError(
            "--nocase icu: this server is built without ICU",
            "--nocase citext, where the server has that extension; or --nocase lower, which needs nothing",
        )
    if row["is_there"] and not row["is_ours"]:
        name = f"{quote(schema)}.{quote(NOCASE_COLLATION)}"
        raise TargetOccupiedError(
            f"in the way of this run: the collation {schema}.{NOCASE_COLLATION}, which is not that of --nocase icu",
            f"alter collation {name} rename to …; or choose another --target-schema",
        )
    return bool(row["is_there"])


async def move_collations(connection: asyncpg.Connection, staging: Staging, plan: Plan) -> None:
    """Into the target schema, inside the publish transaction; columns go on using them."""
    for name in await staging.collations(connection):
        await connection.execute(
            f"alter collation {quote(staging.schema)}.{quote(name)} set schema {quote(plan.schema)}"
        )
        if plan.owner is not None:
            await connection.execute(f"alter collation {quote(plan.schema)}.{quote(name)} owner to {quote(plan.owner)}")


async def drop_unused_collations(connection: asyncpg.Connection, staging: Staging) -> list[str]:
    """Drop those that no table of the staging schema uses; returns the names of the others."""
    used = []
    for name in await staging.collations(connection):
        if await connection.fetchval(_IS_USED, quote(staging.schema), name):
            used.append(name)
        else:
            await connection.execute(f"drop collation {quote(staging.schema)}.{quote(name)}")
    return used
