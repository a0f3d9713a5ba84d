"""Which checks of values are left to the server: JSON documents, which it reads anyhow.

To read every document here as well costs as much as all other conversions of a wide table together. So the first
load of a table sends them unread. When the server refuses one, the table is loaded again with our own eyes, and those
name the cell, the reason and the way out.

Invariant: what the server accepts of an unread document is what our own rules would have sent; the one rule that they
would have counted, ``json-duplicate-keys``, is then counted by the verification, which reads the documents anyhow.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import TargetError
from etl.model import BINARY_JSON, ColumnPlan, TablePlan

DOCUMENT_TYPES = frozenset({"json", "jsonb"})
REFUSAL_CLASSES = ("22", "54")  # SQLSTATE: data exception; program limit exceeded (too deep, too long)


def left_to_server(table: TablePlan) -> TablePlan:
    """The table with its documents unread; the table itself where it has none."""
    columns = tuple(_unread(column) for column in table.columns)
    return table if columns == table.columns else replace(table, columns=columns)


def _unread(column: ColumnPlan) -> ColumnPlan:
    if column.type.name not in DOCUMENT_TYPES or column.reading.how == BINARY_JSON:
        return column  # what SQLite decoded was never seen by the server
    return replace(column, reading=replace(column.reading, left_to_server=True))


def is_refusal(error: TargetError) -> bool:
    """Whether the server objected to a value, which our own rules then name."""
    return (error.sqlstate or "").startswith(REFUSAL_CLASSES)
