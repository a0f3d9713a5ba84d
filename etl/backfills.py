"""Columns whose NULLs are filled on the way, because the plan of a move says so: the owner of rows that had none.

Invariant: what is filled is part of the column's reading, so that load, survey and verification know of it alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from etl.errors import PlanError
from etl.model import Plan, TablePlan
from etl.options import Backfill


def with_backfills(plan: Plan, backfills: Sequence[Backfill]) -> Plan:
    """The plan with the readings that fill NULLs; raises PlanError for a column that the plan does not have."""
    if not backfills:
        return plan
    wanted = {(backfill.table, backfill.column): backfill.value for backfill in backfills}
    there = {(table.source.name, column.source.name) for table in plan.tables for column in table.columns}
    for table, column in wanted:
        if (table, column) not in there:
            raise PlanError(
                f"{table}.{column}: is to get its owner, and no table that is moved has such a column",
                "check [[backfill]] in the plan of the move, and --tables and --exclude",
            )
    return replace(plan, tables=tuple(_filled(table, wanted) for table in plan.tables))


def _filled(table: TablePlan, wanted: dict[tuple[str, str], str]) -> TablePlan:
    columns = tuple(
        replace(column, reading=replace(column.reading, null_as=wanted[table.source.name, column.source.name]))
        if (table.source.name, column.source.name) in wanted
        else column
        for column in table.columns
    )
    return replace(table, columns=columns)
