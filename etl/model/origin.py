"""The source as it is: SQLite's own words for its tables, columns, keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StorageClass(StrEnum):
    """What SQLite's ``typeof()`` says of one value."""

    NULL = "null"
    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BLOB = "blob"


class Affinity(StrEnum):
    """What SQLite prefers to store in a column; it follows from the declared type (datatype3.html §3.1)."""

    TEXT = "text"
    NUMERIC = "numeric"
    INTEGER = "integer"
    REAL = "real"
    BLOB = "blob"


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column as ``pragma table_xinfo`` tells it."""

    name: str
    declared: str  # the declared type as written, '' when there is none
    affinity: Affinity
    not_null: bool = False
    default: str | None = None  # SQL text as written
    key_position: int = 0  # 1-based place in the primary key, 0 outside it
    generated: bool = False
    virtual: bool = False  # generated when it is read


@dataclass(frozen=True, slots=True)
class IndexTerm:
    """One key column of an index; ``column`` is None for an expression and for the rowid."""

    column: str | None
    descending: bool = False
    collation: str = "BINARY"


@dataclass(frozen=True, slots=True)
class SourceIndex:
    name: str
    unique: bool
    origin: str  # 'c' create index, 'u' UNIQUE constraint, 'pk' primary key
    partial: bool
    terms: tuple[IndexTerm, ...]
    sql: str | None  # None for the automatic index behind a constraint


@dataclass(frozen=True, slots=True)
class SourceForeignKey:
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]  # empty for `references t`, which means t's primary key
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"


@dataclass(frozen=True, slots=True)
class SourceTable:
    """An ordinary table of the source."""

    name: str
    columns: tuple[SourceColumn, ...]
    primary_key: tuple[str, ...] = ()
    rowid_alias: str | None = None  # the INTEGER PRIMARY KEY column
    rowid_name: str | None = "rowid"  # a name for the true rowid that no column shadows; None when there is none
    autoincrement: bool = False
    without_rowid: bool = False
    strict: bool = False
    indexes: tuple[SourceIndex, ...] = ()
    foreign_keys: tuple[SourceForeignKey, ...] = ()
    sequence: int | None = None  # sqlite_sequence.seq
    largest_id: int | None = None  # the largest INTEGER PRIMARY KEY in use; None: no row, no such key, not known
    rows_estimate: int = 0  # for progress only, never for correctness
    bytes: int = 0  # payload, as dbstat counts it
    largest_row_bytes: int = 0
    sql: str = ""
    module: str | None = None  # of a virtual table that keeps rows of its own

    def column(self, name: str) -> SourceColumn:
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True, slots=True)
class SourceView:
    name: str
    sql: str
    columns: tuple[str, ...] = ()
    problem: str | None = None  # what SQLite says when it is asked for them


@dataclass(frozen=True, slots=True)
class SkippedObject:
    """Something of the source that is not moved, with its SQL and the reason (views, triggers, virtual tables …)."""

    kind: str
    name: str
    sql: str
    reason: str
    needs_attention: bool = True  # False for what nobody misses: shadow tables, sqlite_stat1
    table: str | None = None  # the source table that it belongs to, where it belongs to one


@dataclass(frozen=True, slots=True)
class SourceCatalog:
    path: str
    encoding: str
    tables: tuple[SourceTable, ...]
    skipped: tuple[SkippedObject, ...] = ()
    file_bytes: int = 0
    views: tuple[SourceView, ...] = ()
    left_out: tuple[str, ...] = ()  # tables of the source that are not among these: not selected, or virtual
