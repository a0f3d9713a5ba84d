"""Compares the foreign keys of a created table with the plan, and looks for rows without a parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from etl.model import Difference, ForeignKeyPlan, TablePlan
from etl.verify.readings import quoted
from etl.verify.schema.catalog_rows import Catalog, Constraint
from etl.verify.schema.object_differences import listed, object_difference

SHOWN_ORPHANS = 3
SMALL_ROWS = 10_000
CLAIMS_A_QUERY = 50  # each takes locks on both tables and their indexes
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


@dataclass(frozen=True, slots=True)
class _Claim:
    """A foreign key that says of itself that every row has its parent."""

    table: TablePlan
    plan: ForeignKeyPlan
    names: tuple[str, ...]  # of the columns by which a row is told

    def orphans(self, place: int, schema: str) -> str:
        """A query for how many rows have none, with the first of them."""
        child = f"only {quoted(schema)}.{quoted(self.table.name)}"
        parent = f"only {quoted(schema)}.{quoted(self.plan.parent)}"
        given = " and ".join(f"child.{quoted(name)} is not null" for name in self.plan.columns)
        pairs = zip(self.plan.columns, self.plan.parent_columns, strict=True)
        same = " and ".join(f"parent.{quoted(theirs)} = child.{quoted(ours)}" for ours, theirs in pairs)
        shown = ", ".join(f"child.{quoted(name)}::text" for name in self.names)
        return (
            f"(select {place} as place, count(*) over () as orphans, array[{shown}] as key from {child} as child"
            f" where {given} and not exists (select from {parent} as parent where {same}) limit {SHOWN_ORPHANS})"
        )


async def find_orphans(
    target: asyncpg.Connection, tables: Sequence[TablePlan], schema: str, catalog: Catalog
) -> list[Difference]:
    """Rows whose parent is missing, whatever the constraint says of itself.

    Foreign keys of small tables share a query; a large one has the memory of a query to itself.
    """
    claims = [claim for table in tables for claim in _claims(table, catalog)]
    small = [claim for claim in claims if claim.table.source.rows_estimate <= SMALL_ROWS]
    groups = [[claim] for claim in claims if claim.table.source.rows_estimate > SMALL_ROWS]
    groups += [small[start : start + CLAIMS_A_QUERY] for start in range(0, len(small), CLAIMS_A_QUERY)]
    return [difference for group in groups for difference in await _orphans_of(target, schema, group)]


def _claims(table: TablePlan, catalog: Catalog) -> Iterator[_Claim]:
    for plan in table.foreign_keys:
        found = _find(plan, catalog.constraints.get(table.name, ()))
        claimed = plan.validated or (found is not None and found.validated)
        if claimed and _can_be_joined(table, plan, catalog):
            ours_there = all(name in catalog.columns[table.name] for name in table.primary_key)
            yield _Claim(table, plan, table.primary_key if table.primary_key and ours_there else plan.columns)


async def _orphans_of(target: asyncpg.Connection, schema: str, claims: Sequence[_Claim]) -> Iterator[Difference]:
    found: dict[int, list[asyncpg.Record]] = {}
    for row in await target.fetch(
        " union all ".join(claim.orphans(place, schema) for place, claim in enumerate(claims))
    ):
        found.setdefault(row["place"], []).append(row)
    return (_told(claims[place], rows) for place, rows in found.items())


def _told(claim: _Claim, rows: Sequence[asyncpg.Record]) -> Difference:
    keys = "; ".join(", ".join(f"{n}={v}" for n, v in zip(claim.names, row["key"], strict=True)) for row in rows)
    return object_difference(
        claim.table,
        claim.plan.name,
        f"a parent in {claim.plan.parent} for every row",
        f"{rows[0]['orphans']:,} without one, as {keys}",
    )


def _can_be_joined(table: TablePlan, plan: ForeignKeyPlan, catalog: Catalog) -> bool:
    """Whether both ends are there: what is missing is told elsewhere."""
    ours, theirs = catalog.columns[table.name], catalog.columns.get(plan.parent, {})
    return all(name in ours for name in plan.columns) and all(name in theirs for name in plan.parent_columns)
