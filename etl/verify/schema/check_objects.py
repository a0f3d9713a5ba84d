"""Compares the CHECKs of a created table with the plan; what they say is compared by ``object_expressions``."""

from __future__ import annotations

import asyncpg

from etl.model import Difference, TablePlan
from etl.verify.readings import quoted
from etl.verify.schema.catalog_rows import Catalog, Constraint
from etl.verify.schema.object_differences import object_difference

WHOLE = "a check of all rows"


async def compare_checks(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """Each planned CHECK; one that is missing is no difference where the rows contradict it.

    SQLite can be told to ignore its CHECKs, and PostgreSQL cannot hold one that its rows do not keep.
    """
    differences = []
    for check in table.checks:
        constraints = catalog.constraints.get(table.name, ())
        found = next((one for one in constraints if one.kind == "c" and one.name == check.name), None)
        if found is not None and _state(found) == WHOLE:
            continue
        if found is None and await _is_contradicted(target, table, schema, check.condition):
            continue
        differences.append(object_difference(table, check.name, WHOLE, _state(found)))
    return differences


async def _is_contradicted(target: asyncpg.Connection, table: TablePlan, schema: str, condition: str) -> bool:
    """Whether a row of the target makes the condition false; not where the server cannot tell."""
    rows = f"only {quoted(schema)}.{quoted(table.name)}"
    try:
        async with target.transaction():  # inside a running one a savepoint
            contradicted: bool = await target.fetchval(f"select exists (select from {rows} where not ({condition}))")
    except asyncpg.PostgresError:
        return False
    return contradicted


def _state(constraint: Constraint | None) -> str:
    if constraint is None:
        return "nothing"
    if not constraint.enforced:
        return "a check that is not enforced"
    if not constraint.validated:
        return "a check of new rows only"
    return "a check that no inheriting table has" if constraint.not_inherited else WHOLE
