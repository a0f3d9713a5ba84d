"""Take out of a plan, or weaken in it, what the rows of the source themselves contradict: CHECKs and foreign keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from etl.counted_nouns import counted
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


def with_unvalidated(plan: Plan, broken: Statement, orphan_count: int, first: str) -> Plan:
    """The plan with a foreign key that is NOT VALID, for rows without a parent are there; listed as needing you."""
    (table,) = (table for table in plan.tables if table.name == broken.table)
    (key,) = (key for key in table.foreign_keys if key.name == broken.name)
    keys = tuple(replace(other, validated=False) if other is key else other for other in table.foreign_keys)
    found = SkippedObject(
        "foreign key",
        key.name,
        broken.sql,
        f"{counted(orphan_count, 'row')} of {table.source.name} without a parent in {key.parent}, first {first}: it is"
        " NOT VALID"
        " (kept for new rows, not proven for these)",
        table=table.source.name,
    )
    tables = tuple(replace(table, foreign_keys=keys) if other is table else other for other in plan.tables)
    return replace(plan, tables=tables, untranslated=(*plan.untranslated, found))
