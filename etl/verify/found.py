"""Fit a plan to the target as it is, for a verification that stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from etl.model import Difference, PgType, Plan


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
