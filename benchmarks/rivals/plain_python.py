"""Plain Python, row by row: aiosqlite `fetchmany`, a function per value, asyncpg `copy_records_to_table`.

Invariant: it loads the contract's types with exact values; it is what one writes without columns.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import aiosqlite
import asyncpg

from benchmarks.rivals import Job, Rival, worker_command, worker_phases
from benchmarks.rivals.worker import main
from benchmarks.schema import TABLES, Column, Kind, Table, TypeSet

_FETCH_ROWS = 2_000
_CENT = Decimal("0.01")

_COERCERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.DECIMAL: lambda value: Decimal(repr(value)).quantize(_CENT),
    Kind.BOOLEAN: bool,
    Kind.TIMESTAMP: datetime.fromisoformat,
    Kind.DATE: date.fromisoformat,
    Kind.UUID: UUID,
}


def version() -> str:
    """The two drivers' versions."""
    names = ("aiosqlite", "asyncpg")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def load(job: Job) -> None:
    """All tables, one COPY each."""
    asyncio.run(_load(job))


async def _load(job: Job) -> None:
    target = await asyncpg.connect(job.dsn)
    async with aiosqlite.connect(f"file:{job.source}?mode=ro", uri=True) as source:
        for table in TABLES:
            await target.copy_records_to_table(table.name, records=_read_rows(source, table, job.types))
    await target.close()


async def _read_rows(source: aiosqlite.Connection, table: Table, types: TypeSet) -> AsyncIterator[tuple[Any, ...]]:
    coercers = [_coercer(column, types) for column in table.columns]
    async with source.execute(f"select * from {table.name}") as cursor:
        while rows := await cursor.fetchmany(_FETCH_ROWS):
            for row in rows:
                yield tuple(
                    value if value is None or coerce is None else coerce(value)
                    for value, coerce in zip(row, coercers, strict=True)
                )


def _coercer(column: Column, types: TypeSet) -> Callable[[Any], Any] | None:
    declared = column.postgres_type(types)
    if declared in {"text", "double precision"}:  # the type set keeps this one as SQLite has it
        return float if declared == "double precision" else None
    return _COERCERS.get(column.kind)


RIVALS = (
    Rival(
        name="plain-python",
        title="aiosqlite + coercers + asyncpg records, contract types",
        types=TypeSet.CONTRACT,
        version=version,
        command=worker_command("plain_python"),
        phases=worker_phases,
    ),
)

if __name__ == "__main__":
    main(load)
