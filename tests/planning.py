"""Plans of real SQLite sources for the tests; a case is a folder of ``tests/data`` with its ``source.sql``."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiosqlite

from etl.extract.catalog import SIZES_SQL, parse_sizes, read_catalog, read_storage_classes
from etl.model import Plan, SourceCatalog, SourceTable, Statement, TablePlan
from etl.options import Options
from etl.transform.schema import ddl
from etl.transform.schema.plan import plan_tables, select_tables, undecided_columns

DATA = Path(__file__).parent / "data"


def case_script(case: str) -> str:
    return (DATA / case / "source.sql").read_text(encoding="utf-8")


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(f"file:{path}?mode=ro", uri=True) as connection:
        yield connection


async def catalog_of(path: Path) -> SourceCatalog:
    async with opened(path) as connection:
        with closing(sqlite3.connect(path)) as other:
            sizes = parse_sizes(other.execute(SIZES_SQL).fetchall())
        return await read_catalog(connection, sizes)


async def plan_of(
    path: Path,
    casts: tuple[str, ...] = (),
    tables: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    **options: Any,
) -> Plan:
    """What the pipeline would plan for the source."""
    async with opened(path) as connection:
        catalog = select_tables(await read_catalog(connection), tables, exclude)
        census = await read_storage_classes(connection, undecided_columns(catalog, casts))
    return plan_tables(catalog, census, Options(path, "", casts=casts, **options))


def source_table(catalog: SourceCatalog, name: str) -> SourceTable:
    return next(table for table in catalog.tables if table.name == name)


def target_table(plan: Plan, name: str) -> TablePlan:
    return next(table for table in plan.tables if table.name == name)


def all_statements(plan: Plan, schema: str) -> tuple[Statement, ...]:
    """The whole DDL in the order of a run."""
    return (
        *ddl.create_tables(plan, schema),
        *ddl.create_keys(plan, schema),
        *ddl.create_indexes(plan, schema),
        *ddl.create_foreign_keys(plan, schema),
    )


def types_of(table: TablePlan) -> dict[str, str]:
    return {column.name: str(column.type) for column in table.columns}


def untranslated(plan: Plan, kind: str) -> dict[str, str]:
    """Name → reason of one kind."""
    return {thing.name: thing.reason for thing in plan.untranslated if thing.kind == kind}
