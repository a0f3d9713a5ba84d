"""Privileges of a relation as the statements that grant them again.

Invariant: what its owner has by being the owner is not among them.
"""

from __future__ import annotations

import asyncpg

from etl.load.connect import quote

_GRANTS = """
select a.privilege_type as privilege, a.is_grantable as grantable, null as column,
       case when a.grantee = 0 then null else pg_catalog.pg_get_userbyid(a.grantee)::text end as grantee
from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
where c.oid = $1 and a.grantee <> c.relowner
union all
select a.privilege_type, a.is_grantable, t.attname::text,
       case when a.grantee = 0 then null else pg_catalog.pg_get_userbyid(a.grantee)::text end
from pg_catalog.pg_attribute t join pg_catalog.pg_class c on c.oid = t.attrelid
cross join lateral pg_catalog.aclexplode(t.attacl) a
where c.oid = $1 and not t.attisdropped and a.grantee <> c.relowner
order by 4, 1, 3
"""


_BY_DEFAULT = """
select distinct case when a.grantee = 0 then 'public'
                     else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as grantee
from pg_catalog.pg_default_acl d cross join lateral pg_catalog.aclexplode(d.defaclacl) a
where d.defaclobjtype = 'r' and d.defaclrole = current_user::regrole and a.grantee <> d.defaclrole
  and d.defaclnamespace in (0, (select relnamespace from pg_catalog.pg_class where oid = $1))
order by 1
"""


async def revoke_defaults(connection: asyncpg.Connection, oid: int, name: str) -> list[str]:
    """REVOKE of what default privileges give to a relation called ``name`` that is made anew in place of ``oid``."""
    grantees = [row["grantee"] for row in await connection.fetch(_BY_DEFAULT, oid)]
    return [f"revoke all on table {name} from {', '.join(grantees)}"] if grantees else []


async def acl_grants(
    connection: asyncpg.Connection, oid: int, name: str, *, kind: str = "table", columns: frozenset[str] | None = None
) -> list[str]:
    """GRANT statements for a relation called ``name``; of its columns those in ``columns``, None for all."""
    statements = []
    for row in await connection.fetch(_GRANTS, oid):
        if row["column"] is not None and columns is not None and row["column"] not in columns:
            continue
        column = f" ({quote(row['column'])})" if row["column"] is not None else ""
        grantee = "public" if row["grantee"] is None else quote(row["grantee"])
        option = " with grant option" if row["grantable"] else ""
        statements.append(f"grant {row['privilege']}{column} on {kind} {name} to {grantee}{option}")
    return statements
