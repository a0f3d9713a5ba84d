"""Whole SQLite databases by a number: tables of many types, keys or none, foreign keys, views, generated columns.

The same number gives the same database, so that a failure can be seen again.
"""

from __future__ import annotations

import random
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.options import Options
from tests.random_values import KINDS, Kind, Value

NAMES = ["a", "b", "name", "Order", "user id", "été", "x%y", 'q"q', "value", "ts", "n", "payload", "SELECT", "z9"]
ROW_COUNTS = [0, 1, 2, 5, 20, 20, 60, 60, 900]


@dataclass(frozen=True)
class Key:
    """The key of a table: its columns as SQL, its constraint, the table's options, and the n-th value (n from 1)."""

    columns: str
    constraint: str
    options: str
    value: Callable[[int], tuple[Any, ...]]
    child: str | None  # the declared type of a column that refers to it; None: nobody does


KEYS = [
    Key('"id" INTEGER PRIMARY KEY', "", "", lambda n: (n,), "INTEGER"),
    Key('"id" INTEGER PRIMARY KEY AUTOINCREMENT', "", "", lambda n: (n * 7 - 50,), "INTEGER"),
    Key('"id" INTEGER PRIMARY KEY', "", "", lambda n: (n * 2**40 - 2**50,), "INTEGER"),
    Key('"id" INT PRIMARY KEY NOT NULL', "", "", lambda n: (-n,), "INT"),
    Key('"id" TEXT PRIMARY KEY NOT NULL', "", "", lambda n: (f"é{n * 7919 % 1009}",), "TEXT"),
    Key('"id" UUID PRIMARY KEY NOT NULL', "", "", lambda n: (f"{uuid.uuid5(uuid.NAMESPACE_OID, str(n))}",), "UUID"),
    Key('"id" TEXT NOT NULL', ', PRIMARY KEY ("id")', " WITHOUT ROWID", lambda n: (f"k{n * 7919 % 1009}",), "TEXT"),
    Key('"id" INTEGER NOT NULL, "no" TEXT NOT NULL', ', PRIMARY KEY ("no", "id")', "", lambda n: (n % 5, f"{n}"), None),
    Key(
        '"id" BLOB NOT NULL, "no" INT NOT NULL', ', PRIMARY KEY ("id", "no")', " WITHOUT ROWID",
        lambda n: (bytes([n % 7]), n), None,
    ),
    Key('"id" INTEGER', "", "", lambda n: (n % 9,), None),
    Key('"id" INTEGER', ', UNIQUE ("id")', "", lambda n: (n,), None),
]  # fmt: skip


@dataclass(frozen=True)
class RandomDatabase:
    """A file, and how it is moved into the schema of its own name."""

    number: int
    path: Path
    casts: tuple[str, ...]
    rows: int
    tables: int
    filled: bool  # into tables that are there

    def options(self, dsn: str) -> Options:
        rng = random.Random(-self.number)
        return Options(
            self.path,
            dsn,
            self.schema,
            casts=self.casts,
            jobs=rng.choice([1, 2, 3]),
            page_bytes=rng.choice([16 << 10, 2 << 20]),
            accept_untranslated=True,
            timezone=rng.choice(["UTC", "UTC", "America/New_York"]),
            ambiguous="earliest",
        )

    @property
    def schema(self) -> str:
        return f"random {self.number}"


def random_database(number: int, folder: Path) -> RandomDatabase:
    """The database of this number, made in ``folder``."""
    rng = random.Random(number)
    path = folder / f"random{number}.db"
    builder = _Builder(rng)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute(f"pragma page_size = {rng.choice([512, 1024, 4096, 4096])}")
        connection.execute(f"pragma encoding = '{rng.choice(['UTF-8'] * 6 + ['UTF-16le', 'UTF-16be'])}'")
        if rng.random() < 0.15:
            connection.execute("pragma journal_mode = wal")
        connection.execute("begin")
        for _ in range(rng.choice([1, 2, 3, 4, 6])):
            builder.add_table(connection)
        connection.execute("commit")
    return RandomDatabase(
        number, path, tuple(builder.casts), builder.rows, len(builder.parents) + builder.childless, rng.random() < 0.25
    )


class _Builder:
    """Adds tables to one database; a table may refer to those before it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._names = [f"{name}{place}" for place, name in enumerate(rng.sample(NAMES, 6))]
        self.parents: list[tuple[str, Key, int]] = []
        self.childless = 0
        self.casts: list[str] = []
        self.rows = 0

    def add_table(self, connection: sqlite3.Connection) -> None:
        rng, name = self._rng, self._names.pop()
        key, count = rng.choice(KEYS), rng.choice(ROW_COUNTS)
        names = rng.sample(NAMES, rng.randrange(1, 6))
        kinds = [rng.choice(KINDS) for _ in names]
        makers = [self._maker(kind) for kind in kinds]
        columns = [f"{quoted(column)} {kind.declared}" for column, kind in zip(names, kinds, strict=True)]
        self.casts += [f"{name}.{column}={kind.cast}" for column, kind in zip(names, kinds, strict=True) if kind.cast]
        if self.parents and rng.random() < 0.7:
            parent, of_parent, parents = rng.choice(self.parents)
            columns.append(f'"parent" {of_parent.child} REFERENCES {quoted(parent)} ("id")')
            makers.append(self._reference(of_parent, parents))
        if rng.random() < 0.2:
            columns.append(
                '"twice" INTEGER GENERATED ALWAYS AS (length("id") * 2) ' + rng.choice(["STORED", "VIRTUAL"])
            )
        body = ", ".join([key.columns, *columns]) + key.constraint
        connection.execute(f"create table {quoted(name)} ({body}){key.options}")
        marks = ", ".join("?" * (len(key.value(1)) + len(makers)))
        into = ", ".join(quoted(column) for column in self._written(key, names, makers))
        rows = [(*key.value(n), *(make(rng) for make in makers)) for n in range(1, count + 1)]
        connection.executemany(f"insert into {quoted(name)} ({into}) values ({marks})", rows)
        self._finish_table(connection, name, names[0], kinds[0])
        if key.child is None:
            self.childless += 1
        else:
            self.parents.append((name, key, count))
        self.rows += count

    @staticmethod
    def _written(key: Key, names: list[str], makers: list[Value]) -> list[str]:
        """The columns that an INSERT names: all but the generated one."""
        keys = ["id", "no"][: len(key.value(1))]
        return [*keys, *names, *(["parent"] if len(makers) > len(names) else [])]

    def _maker(self, kind: Kind) -> Value:
        """Cells of one column: clean or dirty, with no, some or only NULLs."""
        nulls = self._rng.choice([0.0, 0.0, 0.2, 0.2, 1.0])
        dirt = self._rng.choice([0.0, 0.0, 0.3]) if kind.dirty else 0.0

        def make(rng: random.Random) -> Any:
            if rng.random() < nulls:
                return None
            return (kind.dirty if kind.dirty and rng.random() < dirt else kind.clean)(rng)

        return make

    @staticmethod
    def _reference(key: Key, count: int) -> Value:
        return lambda rng: None if not count or rng.random() < 0.2 else key.value(rng.randrange(1, count + 1))[0]

    def _finish_table(self, connection: sqlite3.Connection, name: str, column: str, kind: Kind) -> None:
        """An index, a view, a column added later, now and then."""
        rng, table = self._rng, quoted(name)
        if rng.random() < 0.4 and kind.declared not in ("BLOB", "ANY"):
            where = rng.choice(["", ' where "id" is not null'])
            connection.execute(f"create index {quoted(name + ' i')} on {table} ({quoted(column)} desc){where}")
        if rng.random() < 0.3:
            connection.execute(
                f'create view {quoted(name + " v")} as select "id", count(*) as n from {table} group by 1'
            )
        if rng.random() < 0.2:
            connection.execute(
                f"alter table {table} add column added {rng.choice(['TEXT', 'INTEGER DEFAULT 7', 'REAL'])}"
            )


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
