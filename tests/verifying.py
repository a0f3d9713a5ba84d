"""Verification on its own: tables written to both sides by plain SQL, so that nothing of the load is involved."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi
import asyncpg

from etl.model import (
    PLAIN_READING,
    Affinity,
    ColumnPlan,
    PgType,
    Reading,
    SourceColumn,
    SourceTable,
    TablePlan,
    VerifiedTable,
)
from etl.verify.compare import verify_table

_TYPE = re.compile(r"([a-z0-9 ]+?)(?:\((\d+)(?:,(\d+))?\))?$")


def pg_type(text: str) -> PgType:
    """``numeric(10,2)`` or ``integer[]`` as a value."""
    if text.endswith("[]"):
        return PgType(text, base=pg_type(text.removesuffix("[]")))
    match = _TYPE.fullmatch(text)
    assert match is not None
    name, first, second = match.groups()
    if first is None:
        return PgType(name)
    return (
        PgType(name, precision=int(first), scale=int(second or 0))
        if name == "numeric"
        else PgType(name, length=int(first))
    )


def affinity_of(declared: str) -> Affinity:
    """datatype3.html §3.1."""
    upper = declared.upper()
    if "INT" in upper:
        return Affinity.INTEGER
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if not upper or "BLOB" in upper:
        return Affinity.BLOB
    return Affinity.REAL if any(word in upper for word in ("REAL", "FLOA", "DOUB")) else Affinity.NUMERIC


@dataclass(frozen=True)
class Specimen:
    """A table of both sides: (column, declared SQLite type, PostgreSQL type)."""

    name: str
    columns: tuple[tuple[str, str, str], ...]
    primary_key: tuple[str, ...] = ()
    largest_row_bytes: int = 500
    readings: Mapping[str, Reading] = field(default_factory=dict)  # of columns whose reading is not the plain one

    @property
    def plan(self) -> TablePlan:
        sources = [SourceColumn(name, declared, affinity_of(declared)) for name, declared, _ in self.columns]
        source = SourceTable(self.name, tuple(sources), largest_row_bytes=self.largest_row_bytes)
        pairs = zip(sources, self.columns, strict=True)
        columns = tuple(
            ColumnPlan(column, column.name, pg_type(kind), reading=self.readings.get(column.name, PLAIN_READING))
            for column, (_, _, kind) in pairs
        )
        return TablePlan(source, self.name, columns, primary_key=self.primary_key)

    def create_source(self, path: Path, rows: Iterable[Sequence[Any]]) -> Path:
        """Write the rows as SQLite stores them."""
        listed = ", ".join(f'"{name}" {declared}' for name, declared, _ in self.columns)
        marks = ", ".join("?" * len(self.columns))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("pragma synchronous = off")
            connection.execute(f'create table "{self.name}" ({listed})')
            connection.executemany(f'insert into "{self.name}" values ({marks})', rows)
            connection.commit()
        return path

    async def create_target(self, target: asyncpg.Connection, rows: Iterable[Sequence[str | None]]) -> None:
        """Write the rows as texts that PostgreSQL reads itself."""
        listed = ", ".join(f'"{name}" {kind}' for name, _, kind in self.columns)
        await target.execute(f'drop table if exists "{self.name}"; create table "{self.name}" ({listed})')
        casts = ", ".join(f"${place + 1}::text::{kind}" for place, (_, _, kind) in enumerate(self.columns))
        listed_rows = [tuple(row) for row in rows]
        if listed_rows:  # asyncpg leaves a transaction open after an executemany of nothing
            await target.executemany(f'insert into "{self.name}" values ({casts})', listed_rows)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def verify(
    path: Path,
    target: asyncpg.Connection,
    plan: TablePlan,
    rejected: Sequence[int] = (),
    way: Callable[..., Awaitable[VerifiedTable]] = verify_table,
) -> VerifiedTable:
    """The verification of one table in schema public; ``way`` is `verify_table` or what stands for it."""
    with closing(adbc_driver_sqlite.dbapi.connect(f"file:{path}?mode=ro")) as source:
        return await way(source, target, plan, "public", lambda rows, size: None, rejected=rejected)


def found(verified: VerifiedTable) -> set[tuple[str, str, str | None]]:
    """What was reported: kind, key, column."""
    return {(one.kind, one.key, one.column) for one in verified.differences}
