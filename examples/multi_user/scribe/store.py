"""Where the sessions are: one interface, a SQLite file or a PostgreSQL database behind it."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from scribe.schema import DEFAULT_SETTINGS, LATEST, POSTGRES, SQLITE


class Store(Protocol):
    """What the service asks."""

    def version(self) -> str: ...

    def migrate(self) -> list[str]: ...

    def sessions(self, person: str | None, limit: int) -> list[dict[str, Any]]: ...

    def add_session(self, title: str, person: str, uid: int) -> str: ...


def open_store(place: str) -> Store:
    """A DSN is PostgreSQL, everything else the path of a SQLite file."""
    return PostgresStore(place) if place.startswith(("postgres://", "postgresql://")) else SqliteStore(Path(place))


class SqliteStore:
    """One user's file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def version(self) -> str:
        with closing(self._open()) as connection:
            return str(connection.execute("select max(version) from schema_migrations").fetchone()[0])

    def migrate(self, until: str = LATEST) -> list[str]:
        """Bring the file to a version; returns the migrations that ran."""
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute(
                "create table if not exists schema_migrations"
                " (version text primary key, applied_at text default current_timestamp)"
            )
            done = {row[0] for row in connection.execute("select version from schema_migrations")}
            pending = [version for version in SQLITE if version not in done and version <= until]
            for version in pending:
                connection.executescript(SQLITE[version])
                connection.execute("insert into schema_migrations (version) values (?)", (version,))
                connection.commit()
            return pending

    def sessions(self, person: str | None, limit: int) -> list[dict[str, Any]]:
        with closing(self._open()) as connection:  # one user: all sessions are his
            rows = connection.execute("select id, title, updated_at from sessions order by id limit ?", (limit,))
            return [{"id": row[0], "title": row[1], "updated_at": row[2]} for row in rows]

    def add_session(self, title: str, person: str, uid: int) -> str:
        key, now = str(uuid.uuid4()), datetime.now(UTC).replace(tzinfo=None)
        with closing(self._open()) as connection:
            connection.execute(
                "insert into sessions (id, title, created_at, updated_at) values (?, ?, ?, ?)",
                (key, title, now.isoformat(" ", "microseconds"), f"{now.isoformat(' ', 'microseconds')}+00:00"),
            )
            connection.execute(
                "insert into outbox (topic, payload, created_s, sent) values ('session', '{}', ?, 0)",
                (int(now.replace(tzinfo=UTC).timestamp()),),
            )
            connection.commit()
        return key

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            raise SystemExit(f"scribe: {self._path} does not exist")
        return sqlite3.connect(self._path)


class PostgresStore:
    """Everybody's database; a connection a question is enough for a small service."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def version(self) -> str:
        return str(self._ask("select max(version) from schema_migrations")[0][0])

    def migrate(self) -> list[str]:
        there = self._ask("select to_regclass('schema_migrations') is not null")[0][0]
        if there:
            return []

        async def make() -> None:
            connection = await self._connect()
            try:
                async with connection.transaction():
                    await connection.execute(
                        "create table schema_migrations"
                        " (version text primary key, applied_at timestamptz default now())"
                    )
                    await connection.execute(POSTGRES)
                    await connection.executemany("insert into settings values ($1, $2)", list(DEFAULT_SETTINGS.items()))
                    await connection.executemany(
                        "insert into schema_migrations (version) values ($1)", [(version,) for version in SQLITE]
                    )
            finally:
                await connection.close()

        asyncio.run(make())
        return list(SQLITE)

    def sessions(self, person: str | None, limit: int) -> list[dict[str, Any]]:
        rows = self._ask(
            "select id, title, updated_at from sessions where $1::text is null or owner_person = $1"
            " order by id limit $2",
            person,
            limit,
        )
        return [{"id": row[0], "title": row[1], "updated_at": row[2] and row[2].isoformat()} for row in rows]

    def add_session(self, title: str, person: str, uid: int) -> str:
        key = str(uuid.uuid4())
        self._ask(
            "with made as (insert into sessions (id, title, created_at, updated_at, owner_person, owner_uid)"
            " values ($1, $2, now(), now(), $3, $4))"
            " insert into outbox (topic, payload, created_s, sent) values ('session', '{}', now(), false)",
            key,
            title,
            person,
            uid,
        )
        return key

    def _ask(self, query: str, *values: Any) -> Sequence[Any]:
        async def ask() -> Sequence[Any]:
            connection = await self._connect()
            try:
                found: Sequence[Any] = await connection.fetch(query, *values)
                return found
            finally:
                await connection.close()

        return asyncio.run(ask())

    async def _connect(self) -> Any:
        import asyncpg

        return await asyncpg.connect(self._dsn)
