"""The keys and indexes of a planned table: which of them rows may not fit into, and what is said of such rows.

Invariant: what is neither doubtful nor long here takes every row that SQLite's own key has taken.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection

from etl.model import NOCASE_COLLATION, IndexPlan, RefusedRow, TablePlan

LARGEST_INDEX_ENTRY = 2_704  # bytes, after compression: BTMaxItemSize of 8 kB pages
MOST_REPEATED = 4  # how often an expression of an index holds a column that stands in it once
SURELY_SMALL_ENTRY = 2_600  # bytes of the values alone, which leaves room for what stands around them

# different values of SQLite stay different in these, as long as none is coerced
ONE_TO_ONE = frozenset(
    {
        "smallint",
        "integer",
        "bigint",
        "double precision",
        "numeric",
        "boolean",
        "text",
        "varchar",
        "bytea",
        "uuid",
        "date",
    }
)
FIXED_SIZE = ONE_TO_ONE - {"numeric", "text", "varchar", "bytea"} | {"real", "time", "timestamp", "timestamptz"}


def all_keys(table: TablePlan) -> list[IndexPlan]:
    """The indexes of a table, its primary key first."""
    return [*([key_index(table)] if table.primary_key else []), *table.indexes]


def key_index(table: TablePlan) -> IndexPlan:
    """The primary key as the unique index that it is."""
    name = table.primary_key_name or f"{table.name}_pkey"
    return IndexPlan(name, tuple(map(quoted, table.primary_key)), unique=True, constraint=True)


def doubtful_keys(table: TablePlan, coerced: Collection[str]) -> list[IndexPlan]:
    """The unique keys of which different values of the source may be the same in the target.

    ``coerced``: the source columns of which a value was coerced.
    """
    doubtful = {
        column.name
        for column in table.columns
        if column.source.name in coerced or column.type.name not in ONE_TO_ONE or column.collation == NOCASE_COLLATION
    }
    return [index for index in all_keys(table) if index.unique and doubtful & set(columns_of(table, index))]


def long_indexes(table: TablePlan) -> list[IndexPlan]:
    """The indexes that a row as large as the table's largest one may not fit into; one may hold a column twice."""
    varying = [column.name for column in table.columns if column.type.name not in FIXED_SIZE]
    most = {index: max((_copies(index, name) for name in varying), default=0) for index in all_keys(table)}
    return [index for index, copies in most.items() if copies * table.source.largest_row_bytes > SURELY_SMALL_ENTRY]


def _copies(index: IndexPlan, column: str) -> int:
    """How often an entry of the index may hold a value of the column."""
    name = quoted(column)
    plain = (name, f"lower({name}")
    return sum(term.count(name) * (1 if term.startswith(plain) else MOST_REPEATED) for term in index.terms)


def columns_of(table: TablePlan, index: IndexPlan) -> tuple[str, ...]:
    """The columns that stand in the index's terms."""
    return tuple(column.name for column in table.columns if any(quoted(column.name) in term for term in index.terms))


def bare(term: str) -> str:
    """An index's term without its direction."""
    return term.removesuffix(" desc")


def collision(table: TablePlan, index: IndexPlan, position: int, other: int, place: str | None = None) -> RefusedRow:
    """A row that a unique index takes for the same as the one at ``other``."""
    columns = columns_of(table, index)
    return RefusedRow(
        position,
        columns,
        f"{{values}} is the same in {index.name} as that of the row {{other}}",
        f"correct one of the two rows in SQLite, {_ways_apart(table, columns)}or set the later one aside with"
        " --on-error reject",
        other,
        place,
    )


def long_entry(table: TablePlan, index: IndexPlan, position: int, place: str | None = None) -> RefusedRow:
    """A row that an index cannot hold."""
    return RefusedRow(
        position,
        columns_of(table, index),
        f"{{values}} is too long for {index.name}: an entry holds {LARGEST_INDEX_ENTRY:,} bytes after compression",
        "shorten it in SQLite, leave the indexes out with --no-indexes, or set the row aside with --on-error reject",
        None,
        place,
    )


def list_orphans(table: str) -> str:
    """The command that lists the rows of a source table without a parent, to be pasted into a shell."""
    return f"sqlite3 FILE {shlex.quote(f'pragma foreign_key_check({quoted(table)})')}"


def quoted(name: str) -> str:
    """A name as it stands in a term."""
    return '"' + name.replace('"', '""') + '"'


def _ways_apart(table: TablePlan, columns: tuple[str, ...]) -> str:
    """Under NOCASE of ASCII, and as text, values that are not the same in SQLite are not the same in the target."""
    if any(column.name in columns and column.collation == NOCASE_COLLATION for column in table.columns):
        return "run with --nocase lower, "
    converted = [column for column in table.columns if column.name in columns and column.type.name != "text"]
    if not converted or any(column.identity for column in converted):
        return ""
    return f"--cast {shlex.quote(f'{table.source.name}.{converted[0].source.name}=text')}, "
