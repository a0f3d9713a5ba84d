"""The types of the target's own columns, from the catalog's words.

Invariant: a type without rules is refused by name, before a row moves.
"""

from __future__ import annotations

from etl.errors import PlanError, UsageError
from etl.model import PgType, TargetColumn
from etl.transform.schema.types import parse_type


def target_type(column: TargetColumn, place: str) -> PgType:
    """The type of a column; raises PlanError that names ``place`` and the type."""
    if column.labels:
        return PgType(column.own_name or column.type, labels=column.labels)
    try:
        kind = parse_type(column.type)
    except UsageError:
        raise PlanError(
            f"{place}: nothing is known of the type {column.type}, which the target's column {column.name} has",
            f"--ignore-columns '{place}' leaves it behind; or alter the column to text, and back after the run",
        ) from None
    return kind if column.own_name is None else PgType(column.own_name, base=kind)
