"""Resolve foreign keys: which table and which columns each one means, and whether PostgreSQL can have it.

Invariant: a foreign key is created only where SQLite itself would accept it: its parent key is there and unique, and
both sides compare by bytes. Every other one keeps the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from etl.model import Affinity, SourceCatalog, SourceForeignKey, SourceTable
from etl.transform.schema.names import fold


@dataclass(frozen=True, slots=True)
class Reference:
    """One foreign key of the source with its parent found; ``problem`` says why it cannot be created."""

    source: SourceForeignKey
    parent: SourceTable | None = None
    parent_columns: tuple[str, ...] = ()  # as the parent spells them
    problem: str | None = None


def resolve_references(catalog: SourceCatalog) -> Mapping[str, tuple[Reference, ...]]:
    """The foreign keys of every table by its name, in the order of declaration."""
    tables = {fold(table.name): table for table in catalog.tables}
    left_out = {fold(name) for name in catalog.left_out}
    return {
        table.name: tuple(_resolve(key, tables.get(fold(key.parent)), left_out) for key in table.foreign_keys)
        for table in catalog.tables
    }


def _resolve(key: SourceForeignKey, parent: SourceTable | None, left_out: Collection[str]) -> Reference:
    if parent is None:
        missing = "is not part of this run" if fold(key.parent) in left_out else "does not exist in the source"
        return Reference(key, problem=f"its parent table {key.parent} {missing}")
    spelled = {fold(column.name): column.name for column in parent.columns}
    wanted = key.parent_columns or parent.primary_key
    columns = tuple(spelled.get(fold(name), "") for name in wanted)
    if not all(columns) or len(columns) != len(key.columns):
        return Reference(key, parent, problem=f"its columns do not match a key of {parent.name}")
    return Reference(key, parent, columns, _key_problem(parent, columns))


def _key_problem(parent: SourceTable, columns: tuple[str, ...]) -> str | None:
    """None where the columns are a unique key of the parent that compares by bytes."""
    if parent.rowid_alias is not None and columns == (parent.rowid_alias,):
        return None
    listed = f"{parent.name}({', '.join(columns)})"
    problem = f"{listed} is not unique: create a unique index on it in the source, and run again"
    for index in parent.indexes:
        if not index.unique or index.partial or {term.column for term in index.terms} != set(columns):
            continue
        foreign = {t.collation for t in index.terms if t.collation != "BINARY" and _is_text(parent, t.column)}
        if not foreign:
            return None
        problem = f"{listed} compares by the collation {', '.join(sorted(foreign))}"
    return problem


def _is_text(table: SourceTable, column: str | None) -> bool:
    return column is not None and table.column(column).affinity in {Affinity.TEXT, Affinity.BLOB}
