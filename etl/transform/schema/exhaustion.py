"""Keys whose largest number is the last one that the target can give: the next INSERT without an id fails there.

SQLite goes on by looking for a free number at random, unless the key is AUTOINCREMENT (sqlite.org/autoinc.html).
"""

from __future__ import annotations

from collections.abc import Mapping

from etl.model import SourceTable, TablePlan, TargetColumn

LAST_NUMBERS: Mapping[str, int] = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def exhausted_identity(table: TablePlan) -> tuple[str, ...]:
    """What is to be said of a created table where the numbers of its key are used up, or do not come by themselves.

    The latter where --cast makes no integer of it.
    """
    for column in table.columns:
        if column.source.name == table.source.rowid_alias and not column.identity:
            told = f"{table.source.name}: {column.source.name} is {column.type}, as --cast says"
            return (f"{told}: SQLite gives numbers to rows without one, PostgreSQL refuses them",)
        last = LAST_NUMBERS.get(column.type.name)
        if column.identity and last is not None and _last_given(table.source) >= last:
            return (_said(table.source, f"the last number of {column.type}"),)
    return ()


def exhausted_sequence(table: SourceTable, target: TargetColumn) -> tuple[str, ...]:
    """The same of a table that is there, whose column takes the numbers of SQLite's INTEGER PRIMARY KEY."""
    if target.last_number is None or _last_given(table) < target.last_number:
        return ()
    return (_said(table, f"the last number of the target's {target.name}"),)


def _last_given(table: SourceTable) -> int:
    return max(number for number in (table.largest_id, table.sequence, -1) if number is not None)


def _said(table: SourceTable, last: str) -> str:
    alike = "as in SQLite" if table.autoincrement else "where SQLite looks for a free number at random"
    return (
        f"{table.name}: {table.rowid_alias} has reached {_last_given(table)}, {last}: the next INSERT without an id"
        f" fails, {alike}; give that row another id beforehand, or let the numbers begin in a gap afterwards"
    )
