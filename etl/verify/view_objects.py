"""Compares the target's views, as pg_catalog tells them, with the plan.

Invariant: a view counts when it is there with the planned columns in their order; its rows are compared as a table's.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from etl.model import Difference, Plan

_VIEWS = (
    "select c.relname as name, array(select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = c.oid"
    " and a.attnum > 0 order by a.attnum) as columns from pg_catalog.pg_class c"
    " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'v'"
)


async def read_view_names(target: asyncpg.Connection, schema: str) -> frozenset[str]:
    """The names of the views in ``schema``."""
    return frozenset(row["name"] for row in await target.fetch(_VIEWS, schema))


async def compare_views(target: asyncpg.Connection, plan: Plan, schema: str) -> list[Difference]:
    """Each planned view, with its columns in their order; its rows are compared elsewhere."""
    found = {row["name"]: tuple(row["columns"]) for row in await target.fetch(_VIEWS, schema)}
    differences = []
    for view in plan.views:
        wanted = tuple(column.name for column in view.table.columns)
        actual = found.get(view.name)
        if actual != wanted:
            shown = "nothing" if actual is None else f"a view {_listed(actual)}"
            differences.append(
                Difference(view.source.name, "object", view.name, expected=f"a view {_listed(wanted)}", actual=shown)
            )
    return differences


def _listed(names: Sequence[str]) -> str:
    return f"({', '.join(names)})"
