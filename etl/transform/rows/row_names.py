"""Rows and cells by name, for people: the key of a row, and a refused cell with its place.

Invariant: what is said of a row leads to exactly this row of the source.
"""

from __future__ import annotations

import re
import shlex

import numpy as np
import pyarrow as pa

from etl.model import ColumnPlan, Refusal, SourcePage, StorageClass, TablePlan
from etl.transform.rows.buffers import Rows, as_binary
from etl.transform.rows.outcomes import Refused
from etl.transform.rows.rendering import SourceValue, render_key, render_source

_CAST = re.compile(r"--cast (?:'([^']*)'|(\S+?)(?=,? |,?$))")


def refusal_of(
    page: SourcePage,
    table: TablePlan,
    column: ColumnPlan,
    row: int,
    value: SourceValue,
    storage: StorageClass,
    refused: Refused,
) -> Refusal:
    """A refused cell with its place, for people."""
    source = column.source.name
    return Refusal(
        table=table.source.name,
        key=row_key(page, row),
        column=source,
        storage=storage,
        value=render_source(value, storage),
        reason=refused.reason,
        hint=_named(
            in_place(refused.hint, table, column) if column.fixed else refused.hint, f"{table.source.name}.{source}"
        ),
    )


def _named(hint: str, name: str) -> str:
    """The hint with the column's name, in which a cast can be pasted into a shell whatever the name is."""

    def quoted(cast: re.Match[str]) -> str:
        return f"--cast {shlex.quote((cast[1] or cast[2]).replace('{column}', name))}"

    if shlex.quote(name) != name:
        hint = _CAST.sub(quoted, hint)
    return hint.replace("{column}", name)


def in_place(hint: str, table: TablePlan, column: ColumnPlan) -> str:
    """The hint for a column that the target has already: a cast does not change its type, a reading still may."""
    altered = f"alter table {table.name} alter {column.name} type \\1 in the target"
    return re.sub(r"--cast '?\{column\}=([^:',]+)'?(?=,|$)", altered, hint)


def row_key(page: SourcePage, row: int) -> str:
    """The name of a row; its place in the page where the table has no key."""
    return row_keys(page, np.array([row]))[0] if page.row_count else ""


def row_keys(page: SourcePage, rows: Rows) -> list[str]:
    """The names of some rows of a page."""
    if not page.key_names:
        return [f"row {row + 1} of page {page.number + 1}" for row in rows.tolist()]
    cells = [_key_cells(key.take(pa.array(rows))) for key in page.keys]
    return [render_key(page.key_names, key) for key in zip(*cells, strict=True)]


def _key_cells(key: pa.Array) -> list[object]:
    cells: list[object] = (as_binary(key) if pa.types.is_string(key.type) else key).to_pylist()
    return cells
