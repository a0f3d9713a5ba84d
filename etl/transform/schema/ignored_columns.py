"""Columns that --ignore-columns leaves behind.

Invariant: what stays behind is named, and nothing that comes leads to it: numbers that the target would give in its
place are not those that the foreign keys of other rows hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.errors import UsageError
from etl.model import TablePlan, TargetColumn
from etl.transform.schema.casts import matches_glob, near_misses
from etl.transform.schema.names import fold


def check_ignored(tables: Sequence[TablePlan], globs: Sequence[str]) -> None:
    """Raise UsageError for a glob that names no column of the run; those of kept tables are no columns too many."""
    places = [f"{table.source.name}.{column.source.name}" for table in tables for column in table.columns]
    for glob in globs:
        if not any(matches_glob(place, glob) for place in places):
            raise UsageError(f"--ignore-columns {glob!r} matches no table.column", near_misses(glob, places))


def is_ignored(place: str, globs: Sequence[str]) -> bool:
    """Whether the column ``place``, table.column in the source's names, stays behind."""
    return any(matches_glob(place, glob) for glob in globs)


def how_to_ignore(place: str) -> str:
    """The flag that leaves a column behind, as a hint."""
    return f"--ignore-columns '{place}' leaves it behind"


def led_to(
    table: TablePlan, column: str, target: TargetColumn | None, tables: Sequence[TablePlan], globs: Sequence[str]
) -> str | None:
    """The column of the run whose values lead to this one, for which the target has its own; None where none do."""
    if target is None or target.generated:
        return None
    return next((place for place in _leading(table, column, tables) if not is_ignored(place, globs)), None)


def _leading(table: TablePlan, column: str, tables: Sequence[TablePlan]) -> Iterator[str]:
    name = fold(column)
    for other in tables:
        for key in other.source.foreign_keys:
            if fold(key.parent) != fold(table.source.name):
                continue
            parents = key.parent_columns or table.source.primary_key
            for own, parent in zip(key.columns, parents, strict=False):
                if fold(parent) == name:
                    yield f"{other.source.name}.{own}"
