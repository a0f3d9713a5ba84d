"""Take out of a plan the CHECKs that the source's own rows contradict: SQLite can be told to ignore a CHECK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from etl.model import Plan, SkippedObject, Statement


def without_checks(plan: Plan, broken: Sequence[Statement]) -> Plan:
    """The plan without these CHECKs, which rows of the source contradict; each is listed as untranslated."""
    names = {(statement.table, statement.name) for statement in broken}
    dropped = [
        SkippedObject(
            "check",
            check.name,
            f"check ({check.condition})",
            "rows of the source contradict it (pragma ignore_check_constraints)",
            table=table.source.name,
        )
        for table in plan.tables
        for check in table.checks
        if (table.name, check.name) in names
    ]
    tables = tuple(
        replace(table, checks=tuple(check for check in table.checks if (table.name, check.name) not in names))
        for table in plan.tables
    )
    return replace(plan, tables=tables, untranslated=(*plan.untranslated, *dropped))
