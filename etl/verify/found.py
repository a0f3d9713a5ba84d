"""Fit a plan to the target as it is, for a verification that stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from etl.model import ColumnPlan, Difference, PgType, Plan, Way

# What the values of a column may have made of a type that nobody asked for (docs/coercion.md, "Declared types").
WIDER = {"varchar": ("text",), "numeric": ("numeric",), "timestamp": ("timestamptz",), "smallint": ("bigint",)}
INTEGERS = frozenset({"smallint", "integer", "bigint"})


def fit_plan(plan: Plan, found: Mapping[str, Mapping[str, PgType]]) -> tuple[Plan, tuple[Difference, ...]]:
    """The plan with the types that the target's columns (table → column → type) really have.

    Tables that the target has not are taken out, and returned as differences.
    """
    absent = tuple(
        Difference(table.source.name, "object", f"table {table.name}", expected="a table", actual="none")
        for table in plan.tables
        if table.name not in found
    )
    tables = tuple(
        replace(
            table,
            columns=tuple(
                replace(column, type=found[table.name].get(column.name, column.type)) for column in table.columns
            ),
        )
        for table in plan.tables
        if table.name in found
    )
    return replace(plan, tables=tables), absent


def type_differences(made: Plan, fitted: Plan, *, integers_fit: bool = False) -> tuple[Difference, ...]:
    """The columns of created tables that have in ``fitted`` a type that no run of ``made`` could have given them.

    ``integers_fit``: a run gives an integer the size of its values. An enum is told with its column.
    """
    planned = {table.source.name: {one.name: one for one in table.columns} for table in made.tables}
    return tuple(
        Difference(
            table.source.name,
            "object",
            column.name,
            column=column.source.name,
            expected=str(wanted.type),
            actual=str(column.type),
        )
        for table in fitted.tables
        if table.way is Way.CREATE
        for column in table.columns
        if (wanted := planned[table.source.name][column.name]) and not column.type.labels
        if str(column.type) not in _possible(wanted, integers_fit)
    )


def _possible(column: ColumnPlan, integers_fit: bool) -> frozenset[str]:
    """The types that a run may give to a planned column, as PostgreSQL writes them."""
    types = {str(column.type)}
    if not column.decided:
        types.update(WIDER.get(column.type.name, ()))
        types.update(INTEGERS if integers_fit and column.type.name in INTEGERS else ())
    return frozenset(types)
