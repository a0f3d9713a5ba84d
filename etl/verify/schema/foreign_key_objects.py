"""Compares the foreign keys of a created table with the plan, and looks for rows without a parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import asyncpg

from etl.model import Difference, ForeignKeyPlan, TablePlan
from etl.verify.readings import quoted
from etl.verify.schema.catalog_rows import Catalog, Constraint
from etl.verify.schema.object_differences import listed, object_difference

SHOWN_ORPHANS = 3
SIMPLE = "s"  # confmatchtype of MATCH SIMPLE
NOT_VALID = " not valid"


def compare_foreign_keys(table: TablePlan, schema: str, catalog: Catalog) -> Iterator[Difference]:
    """The planned foreign keys that are missing, not valid or different.

    One that was planned NOT VALID may be valid by now.
    """
    for plan in table.foreign_keys:
        found = _find(plan, catalog.constraints.get(table.name, ()))
        wanted, actual = _planned(plan), "nothing" if found is None else _found(found, schema)
        if found is not None and not plan.validated and actual == wanted.removesuffix(NOT_VALID):
            continue
        if actual != wanted:
            yield object_difference(table, plan.name, wanted, actual)


def _find(plan: ForeignKeyPlan, constraints: Sequence[Constraint]) -> Constraint | None:
    """The foreign key of that name; without one, another that links the same columns with the same table."""
    keys = [constraint for constraint in constraints if constraint.kind == "f"]
    for key in keys:
        if key.name == plan.name:
            return key
    return next((key for key in keys if (key.columns, key.parent) == (plan.columns, plan.parent)), None)


def _planned(plan: ForeignKeyPlan) -> str:
    said = f"{listed(plan.columns)} references {plan.parent} {listed(plan.parent_columns)}"
    said += f" on update {plan.on_update} on delete {plan.on_delete}"
    said += _deferral(plan.deferrable, plan.initially_deferred)
    return said if plan.validated else said + NOT_VALID


def _found(key: Constraint, schema: str) -> str:
    parent = key.parent if key.parent_schema == schema else f"{key.parent_schema}.{key.parent}"
    said = f"{listed(key.columns)} references {parent} {listed(key.parent_columns)}"
    said += "" if key.match == SIMPLE else " match full"
    said += " by periods" if key.of_periods else ""
    said += f" on update {key.on_update} on delete {key.on_delete}"
    said += f" {listed(key.emptied)}" if key.emptied else ""
    said += _deferral(key.deferrable, key.deferred)
    if not key.enforced:
        return f"{said}, which is not enforced"
    said += "" if key.validated else NOT_VALID
    return f"{said}, whose triggers are disabled" if key.triggers_off else said


def _deferral(deferrable: bool, deferred: bool) -> str:
    return (" deferrable" + (" initially deferred" if deferred else "")) if deferrable else ""


async def find_orphans(target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog) -> list[Difference]:
    """Rows whose parent is missing, whatever the constraint says of itself."""
    differences = []
    for plan in table.foreign_keys:
        found = _find(plan, catalog.constraints.get(table.name, ()))
        claimed = plan.validated or (found is not None and found.validated)
        if not claimed or not _can_be_joined(table, plan, catalog):
            continue
        child = f"only {quoted(schema)}.{quoted(table.name)}"
        parent = f"only {quoted(schema)}.{quoted(plan.parent)}"
        given = " and ".join(f"child.{quoted(name)} is not null" for name in plan.columns)
        pairs = zip(plan.columns, plan.parent_columns, strict=True)
        same = " and ".join(f"parent.{quoted(theirs)} = child.{quoted(ours)}" for ours, theirs in pairs)
        ours_there = all(name in catalog.columns[table.name] for name in table.primary_key)
        names = table.primary_key if table.primary_key and ours_there else plan.columns
        shown = ", ".join(f"child.{quoted(name)}::text" for name in names)
        rows = await target.fetch(
            f"select count(*) over () as orphans, array[{shown}] as key from {child} as child"
            f" where {given} and not exists (select from {parent} as parent where {same}) limit {SHOWN_ORPHANS}"
        )
        if rows:
            keys = "; ".join(", ".join(f"{n}={v}" for n, v in zip(names, row["key"], strict=True)) for row in rows)
            orphans = f"{rows[0]['orphans']:,} without one, as {keys}"
            differences.append(object_difference(table, plan.name, f"a parent in {plan.parent} for every row", orphans))
    return differences


def _can_be_joined(table: TablePlan, plan: ForeignKeyPlan, catalog: Catalog) -> bool:
    """Whether both ends are there: what is missing is told elsewhere."""
    ours, theirs = catalog.columns[table.name], catalog.columns.get(plan.parent, {})
    return all(name in ours for name in plan.columns) and all(name in theirs for name in plan.parent_columns)
