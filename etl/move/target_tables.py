"""What is in the target: its tables, which of them hold rows, which of their columns may not be NULL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.phases.enquiry import open_target, quoted
from etl.redaction import mask_dsn

TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition
      and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
                      and d.deptype = 'e')
    order by 1
"""
COLUMNS = """
    select c.relname as table_name, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
           a.attnotnull as not_null
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = any($2) and a.attnum > 0 and not a.attisdropped
"""
SERVER = """
    select current_user as role, current_database() as database,
           has_database_privilege(current_database(), 'create') as may_create,
           current_setting('server_version') as version,
           (select setting from pg_settings where name = 'data_directory') as data_directory
"""


@dataclass(frozen=True, slots=True)
class TargetTables:
    """The target as preflight sees it."""

    display: str  # without password
    schema: str
    tables: tuple[str, ...]
    filled: tuple[str, ...]  # those with at least one row
    user: str
    database: str
    may_create: bool
    server_version: str
    data_directory: Path | None  # where the role may know it


@dataclass(frozen=True, slots=True)
class TargetColumn:
    type: str
    not_null: bool


async def read_target(dsn: str, schema: str) -> TargetTables:
    """Ask the server; raises TargetError when it cannot be reached."""
    async with open_target(dsn) as connection:
        (server,) = await connection.fetch(SERVER)
        names = [row[0] for row in await connection.fetch(TABLES, schema)]
        filled = [
            name
            for name in names
            if await connection.fetchval(f"select exists (select from {quoted(schema)}.{quoted(name)})")
        ]
    return TargetTables(
        display=mask_dsn(dsn) or "of the PG* variables",
        schema=schema,
        tables=tuple(names),
        filled=tuple(filled),
        user=server["role"],
        database=server["database"],
        may_create=server["may_create"],
        server_version=server["version"].split()[0],
        data_directory=Path(server["data_directory"]) if server["data_directory"] else None,
    )


async def read_columns(dsn: str, schema: str, tables: list[str]) -> dict[str, Mapping[str, TargetColumn]]:
    """Table → column → type and NOT NULL; a table that is not there is absent."""
    async with open_target(dsn) as connection:
        rows = await connection.fetch(COLUMNS, schema, tables)
    found: dict[str, dict[str, TargetColumn]] = {}
    for row in rows:
        found.setdefault(row["table_name"], {})[row["name"]] = TargetColumn(row["type"], row["not_null"])
    return dict(found)
