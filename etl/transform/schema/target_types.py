"""The types of the target's own columns, from the catalog's words, and those that an extension gives to ours.

Invariant: a type without rules is refused by name, before a row moves.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import PlanError, UsageError
from etl.model import NOCASE_COLLATION, PgType, Plan, TargetColumn, Way
from etl.transform.schema.types import parse_type


def target_type(column: TargetColumn, place: str) -> PgType:
    """The type of a column; raises PlanError that names ``place`` and the type."""
    kind = _type_under_array(column, place)
    if not column.is_array:
        return kind
    array = PgType(f"{kind}[]", base=kind)
    return array if column.array_name is None else PgType(column.array_name, base=array)


def _type_under_array(column: TargetColumn, place: str) -> PgType:
    """The type of a column's values; of the elements, where they are arrays."""
    if column.labels:
        return PgType(column.own_name or column.type, labels=column.labels)
    try:
        kind = parse_type(column.type)
    except UsageError:
        raise _unknown(column, place) from None
    if column.is_array and kind.name.endswith("[]"):  # by a domain over the inner array
        raise _unknown(column, place)
    return kind if column.own_name is None else PgType(column.own_name, base=kind)


def _unknown(column: TargetColumn, place: str) -> PlanError:
    shown = f"{column.own_name or column.type}[]" if column.is_array else column.type
    return PlanError(
        f"{place}: nothing is known of the type {shown}, which the target's column {column.name} has",
        f"--ignore-columns '{place}' leaves it behind; or alter the column to text, and back after the run",
    )


def with_collation_of(plan: Plan, schema: str) -> Plan:
    """The plan whose columns without case use the collation that stands in ``schema`` already."""
    tables = (
        replace(
            table,
            columns=tuple(
                replace(c, collation_schema=schema) if c.collation == NOCASE_COLLATION else c for c in table.columns
            ),
        )
        for table in plan.tables
    )
    return replace(plan, tables=tuple(tables))


def wants_citext(plan: Plan) -> bool:
    """Whether a column that the run creates is of the extension's type."""
    created = (table for table in plan.tables if table.way is Way.CREATE)
    return any(column.type.name == "citext" for table in created for column in table.columns)


def with_citext_of(plan: Plan, schema: str) -> Plan:
    """The plan with the schema that the extension's type stands in."""
    tables = (
        replace(
            table,
            columns=tuple(replace(c, type_schema=schema) if c.type.name == "citext" else c for c in table.columns),
        )
        for table in plan.tables
    )
    return replace(plan, tables=tuple(tables))
