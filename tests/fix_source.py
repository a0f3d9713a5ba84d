"""Real SQLite files for the tests, made in the test's own folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Rows = Mapping[str, Iterable[Sequence[Any]]]
MakeSource = Callable[..., Path]


def build_source(path: Path, script: str = "", rows: Rows | None = None) -> Path:
    """Make the SQLite file at ``path``: run the script, then insert ``rows`` (table → tuples in column order)."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma synchronous = off")  # no file of a test outlives a power cut
        connection.executescript(script)
        for table, values in (rows or {}).items():
            quoted = '"' + table.replace('"', '""') + '"'
            listed = [tuple(row) for row in values]
            if listed:
                marks = ",".join("?" * len(listed[0]))
                connection.executemany(f"insert into {quoted} values ({marks})", listed)
        connection.commit()
    return path


@pytest.fixture
def make_source(tmp_path: Path) -> MakeSource:
    """``make_source(script, rows={"t": [(1, 'a')]}, name="source.db") -> Path`` of a real SQLite file."""

    def make(script: str = "", rows: Rows | None = None, name: str = "source.db") -> Path:
        return build_source(tmp_path / name, script, rows)

    return make


@pytest.fixture
def sqlite_path(make_source: MakeSource) -> Path:
    """A small source: one table, three rows, a NULL."""
    return make_source(
        "create table person (id integer primary key, name text not null, born date);",
        {"person": [(1, "Ada", "1815-12-10"), (2, "Грейс", "1906-12-09"), (3, "😀", None)]},
    )
