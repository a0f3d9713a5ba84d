"""The benchmark's tables: what SQLite declares and what each type set makes of it in PostgreSQL.

Invariant: a rival is only compared with the limit and with us in a type set that it loads itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class TypeSet(StrEnum):
    """Which PostgreSQL types the loaded tables have."""

    CONTRACT = "contract"  # what `etl migrate` creates by default: numeric, jsonb, uuid, varchar(n) …
    DOUBLE_TEXT = "double-text"  # what DuckDB's extensions give: numeric → double, json and uuid → text
    RAW = "raw"  # SQLite's storage classes as they are: dates are text, booleans are bigint
    TOOLS_OWN = "tool's own"  # the tool creates the tables itself, with its own idea of types


class Kind(StrEnum):
    """What a column means, whatever its type: decides how its contents are compared."""

    INTEGER = "integer"
    REAL = "real"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    TEXT = "text"
    JSON = "json"
    UUID = "uuid"
    BLOB = "blob"


# contract type (None: see Column.length), double-text type, raw type
_TYPES: dict[Kind, tuple[str, str, str]] = {
    Kind.INTEGER: ("bigint", "bigint", "bigint"),
    Kind.REAL: ("double precision", "double precision", "double precision"),
    Kind.DECIMAL: ("numeric(10,2)", "double precision", "double precision"),
    Kind.BOOLEAN: ("boolean", "boolean", "bigint"),
    Kind.TIMESTAMP: ("timestamp", "timestamp", "text"),
    Kind.DATE: ("date", "date", "text"),
    Kind.TEXT: ("text", "text", "text"),
    Kind.JSON: ("jsonb", "text", "text"),
    Kind.UUID: ("uuid", "text", "text"),
    Kind.BLOB: ("bytea", "bytea", "bytea"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``declared`` is SQLite's declaration without constraints."""

    name: str
    declared: str
    kind: Kind
    constraint: str = ""  # SQLite's: "primary key", "not null", "references …"

    def postgres_type(self, types: TypeSet) -> str:
        """The type of this column in a declared type set; raises KeyError for a tool's own types."""
        place = {TypeSet.CONTRACT: 0, TypeSet.DOUBLE_TEXT: 1, TypeSet.RAW: 2}[types]
        if types is TypeSet.CONTRACT and self.declared.startswith("VARCHAR"):
            return self.declared.lower()
        return _TYPES[self.kind][place]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``share`` is its rows as a part of the nominal row count."""

    name: str
    columns: tuple[Column, ...]
    share: float
    indexes: tuple[str, ...] = ()  # column lists
    constraints: tuple[str, ...] = field(default=())

    def rows(self, nominal_rows: int) -> int:
        """How many rows the table has when ``--rows`` is ``nominal_rows``; at least one."""
        return max(1, round(nominal_rows * self.share))

    def sqlite_ddl(self) -> str:
        """CREATE TABLE as the source declares it."""
        lines = [f"{quoted(c.name)} {c.declared} {c.constraint}".rstrip() for c in self.columns]
        return f"create table {quoted(self.name)} ({', '.join((*lines, *self.constraints))})"

    def postgres_ddl(self, types: TypeSet) -> str:
        """CREATE TABLE without any key or index: what a pure load writes into."""
        lines = (f"{quoted(c.name)} {c.postgres_type(types)}" for c in self.columns)
        return f"create table {quoted(self.name)} ({', '.join(lines)})"


def quoted(name: str) -> str:
    """The identifier in double quotes, for SQLite and PostgreSQL alike."""
    return '"' + name.replace('"', '""') + '"'


def _key() -> Column:
    return Column("id", "INTEGER", Kind.INTEGER, "primary key")


# 3,000,000 nominal rows are 3,120,000 rows and 20.7 million values.
TABLES: tuple[Table, ...] = (
    Table(
        "metrics",
        (
            _key(),
            Column("sensor", "INTEGER", Kind.INTEGER, "not null"),
            Column("value", "DOUBLE", Kind.REAL),
            Column("measured_at", "TIMESTAMP", Kind.TIMESTAMP, "not null"),
        ),
        share=2 / 3,
        indexes=("sensor",),
    ),
    Table(
        "events",
        (
            _key(),
            Column("user_id", "BIGINT", Kind.INTEGER, "not null"),
            Column("score", "DOUBLE", Kind.REAL),
            Column("amount", "DECIMAL(10,2)", Kind.DECIMAL),
            Column("active", "BOOLEAN", Kind.BOOLEAN, "not null"),
            Column("created_at", "DATETIME", Kind.TIMESTAMP, "not null"),
            Column("day", "DATE", Kind.DATE),
            Column("status", "VARCHAR(20)", Kind.TEXT, "not null"),
            Column("title", "TEXT", Kind.TEXT),
            Column("payload", "JSON", Kind.JSON),
            Column("token", "UUID", Kind.UUID),
            Column("note", "TEXT", Kind.TEXT),
        ),
        share=1 / 3,
        indexes=("user_id", "day"),
    ),
    Table(
        "documents",
        (
            _key(),
            Column("author", "VARCHAR(80)", Kind.TEXT, "not null"),
            Column("title", "TEXT", Kind.TEXT, "not null"),
            Column("body", "TEXT", Kind.TEXT, "not null"),
            Column("language", "VARCHAR(5)", Kind.TEXT),
            Column("updated_at", "DATETIME", Kind.TIMESTAMP),
        ),
        share=1 / 30,
        indexes=("author",),
    ),
    Table(
        "attachments",
        (
            _key(),
            Column("document_id", "INTEGER", Kind.INTEGER, "not null references documents (id)"),
            Column("name", "VARCHAR(120)", Kind.TEXT, "not null"),
            Column("size", "INTEGER", Kind.INTEGER, "not null"),
            Column("content", "BLOB", Kind.BLOB),
        ),
        share=1 / 150,
        indexes=("document_id",),
    ),
)

# `--cast` globs that make our tool create the DOUBLE_TEXT types.
DOUBLE_TEXT_CASTS = (
    "*.amount=double precision",
    "*.payload=text",
    "*.token=text",
    "events.status=text",
    "documents.author=text",
    "documents.language=text",
    "attachments.name=text",
)


def total_rows(nominal_rows: int) -> int:
    """Rows of all tables together."""
    return sum(table.rows(nominal_rows) for table in TABLES)


def total_values(nominal_rows: int) -> int:
    """Values (rows times columns) of all tables together."""
    return sum(table.rows(nominal_rows) * len(table.columns) for table in TABLES)
