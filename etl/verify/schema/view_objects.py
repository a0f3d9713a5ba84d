"""Compares the target's views, as pg_catalog tells them, with the plan.

The server keeps no text of a view's query, and prints one of its own. So it is asked how it would execute what was
planned and what it prints: the same query, collations made visible, is executed in the same way.

Invariant: a view counts when it is there with the planned columns in their order and with the planned query; its rows
are compared as a table's. Nothing is executed and nothing is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import asyncpg

from etl.model import Difference, Plan, ViewPlan
from etl.verify.readings import quoted
from etl.verify.schema.collation_clauses import collations_in, with_casts

SCHEMA = "\0"  # stands for the schema in the query of a ViewPlan

_PART = re.compile(r'"\*SELECT\* \d+"\.')
_VIEWS = (
    "select c.relname as name, array(select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = c.oid"
    " and a.attnum > 0 order by a.attnum) as columns from pg_catalog.pg_class c"
    " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'v'"
)


async def read_view_names(target: asyncpg.Connection, schema: str) -> frozenset[str]:
    """The names of the views in ``schema``."""
    return frozenset(row["name"] for row in await target.fetch(_VIEWS, schema))


async def compare_views(target: asyncpg.Connection, plan: Plan, schema: str) -> list[Difference]:
    """Each planned view, with its columns in their order and its query; its rows are compared elsewhere.

    A view whose plan has no query was made by nobody knows whom; then the rows have to do.
    """
    found = {row["name"]: tuple(row["columns"]) for row in await target.fetch(_VIEWS, schema)}
    differences = []
    for view in plan.views:
        wanted = tuple(column.name for column in view.table.columns)
        actual = found.get(view.name)
        if actual != wanted:
            shown = "nothing" if actual is None else f"a view {_listed(actual)}"
            expected = f"a view {_listed(wanted)}"
        elif view.sql:
            expected = view.sql.replace(SCHEMA, quoted(schema))
            shown = await _query_of(target, view, schema)
            if await _are_executed_alike(target, expected, shown):
                continue
            shown = " ".join(shown.split())  # the server breaks it into lines
        else:
            continue
        differences.append(Difference(view.source.name, "object", view.name, expected=expected, actual=shown))
    return differences


async def _query_of(target: asyncpg.Connection, view: ViewPlan, schema: str) -> str:
    """The query of a view, in the server's words."""
    name = f"{quoted(schema)}.{quoted(view.name)}"
    query: str = await target.fetchval("select pg_catalog.pg_get_viewdef($1::text::regclass)", name)
    return query.strip().removesuffix(";")


async def _are_executed_alike(target: asyncpg.Connection, promised: str, found: str) -> bool:
    """Whether the server makes the same plan of both; asked twice, since its statistics may change in between."""
    names = sorted({name for query in (promised, found) for name in collations_in(query)})
    numbers = {name: number for number, name in enumerate(names)}
    sides = [with_casts(query, numbers) for query in (promised, found)]
    for _ in range(2):
        plans = [await _explained(target, query) for query in sides]
        if plans[0] == plans[1] is not None:
            return True
    return False


async def _explained(target: asyncpg.Connection, query: str) -> Any:
    """How the query would be executed; None where the server cannot read it."""
    try:
        async with target.transaction():  # inside a running one a savepoint
            explained: str = await target.fetchval(f"explain (verbose, costs off, format json) {query}")
    except asyncpg.PostgresError:
        return None
    return _by_places(json.loads(explained))


def _by_places(plan: Any) -> Any:
    """The plan with the columns that parts of INTERSECT and EXCEPT hand on called by their places.

    Which names they have there is of no effect, and in the server's own words these are others than in ours.
    """
    places: dict[str, str] = {}
    for node in _nodes(plan):
        part = f'"{node.get("Alias", "")}".'
        if _PART.fullmatch(part):
            told = {column: f"{part}{place}" for place, column in enumerate(node["Output"]) if column.startswith(part)}
            places = told | places
    if not places:
        return plan
    names = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
    return _renamed(plan, re.compile(rf'(?:{names})(?![\w$"])'), places)


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every object in the plan."""
    if isinstance(plan, dict):
        yield plan
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from _nodes(part)


def _renamed(plan: Any, names: re.Pattern[str], places: Mapping[str, str]) -> Any:
    if isinstance(plan, dict):
        return {key: _renamed(value, names, places) for key, value in plan.items()}
    if isinstance(plan, list):
        return [_renamed(value, names, places) for value in plan]
    return names.sub(lambda found: places[found[0]], plan) if isinstance(plan, str) else plan


def _listed(names: Sequence[str]) -> str:
    return f"({', '.join(names)})"
