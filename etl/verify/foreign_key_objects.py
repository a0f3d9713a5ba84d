"""Compares the foreign keys of a created table with the plan, and looks for rows without a parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import asyncpg

from etl.model import Difference, ForeignKeyPlan, TablePlan
from etl.verify.catalog_rows import Catalog, Constraint
from etl.verify.object_differences import listed, object_difference
from etl.verify.readings import quoted

SHOWN_ORPHANS = 3


def compare_foreign_keys(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    """The planned foreign keys that are missing, not valid or different."""
    for plan in table.foreign_keys:
        found = _find_foreign_key(plan, catalog.constraints.get(table.name, ()))
        wanted = _say_reference(plan.columns, plan.parent, plan.parent_columns, plan.on_update, plan.on_delete)
        if plan.deferrable:
            wanted += " deferrable" + (" initially deferred" if plan.initially_deferred else "")
        wanted += "" if plan.validated else " not valid"
        actual = "nothing"
        if found is not None:
            actual = _say_reference(found.columns, found.parent, found.parent_columns, found.on_update, found.on_delete)
            if found.deferrable:
                actual += " deferrable" + (" initially deferred" if found.deferred else "")
            actual += "" if found.whole else " not valid"
        if actual != wanted:
            yield object_difference(table, plan.name, wanted, actual)


def _find_foreign_key(plan: ForeignKeyPlan, constraints: Sequence[Constraint]) -> Constraint | None:
    keys = [constraint for constraint in constraints if constraint.kind == "f"]
    for key in keys:
        if key.name == plan.name:
            return key
    return next((key for key in keys if (key.columns, key.parent) == (plan.columns, plan.parent)), None)


def _say_reference(
    columns: Sequence[str], parent: str, parent_columns: Sequence[str], on_update: str, on_delete: str
) -> str:
    actions = f"on update {on_update} on delete {on_delete}"
    return f"{listed(columns)} references {parent} {listed(parent_columns)} {actions}"


async def find_orphans(target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog) -> list[Difference]:
    """Rows whose parent is missing, whatever the constraint says of itself."""
    differences = []
    for plan in table.foreign_keys:
        if not plan.validated or not _can_be_joined(table, plan, catalog):
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
            found = f"{rows[0]['orphans']:,} without one, as {keys}"
            differences.append(object_difference(table, plan.name, f"a parent in {plan.parent} for every row", found))
    return differences


def _can_be_joined(table: TablePlan, plan: ForeignKeyPlan, catalog: Catalog) -> bool:
    """Whether both ends are there: what is missing is told elsewhere."""
    ours, theirs = catalog.columns[table.name], catalog.columns.get(plan.parent, {})
    return all(name in ours for name in plan.columns) and all(name in theirs for name in plan.parent_columns)
