"""Compares the expressions in the target's schema with the promised ones: defaults, CHECKs, generated columns.

PostgreSQL prints an expression in words of its own, and no text of ours can equal them. So the server is asked what it
makes of both: EXPLAIN VERBOSE parses, types and folds each beside the other, and prints them in the same words. It does
not print collations: where some are named, the pair is asked for once more in a form that shows them
(``collation_clauses``).

Invariant: nothing is executed and nothing is written; an expression that the server cannot read is no equal of any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import asyncpg

from etl.model import Difference, TablePlan
from etl.verify.readings import quoted
from etl.verify.schema.catalog_rows import Catalog
from etl.verify.schema.collation_clauses import collations_in, with_casts
from etl.verify.schema.object_differences import object_difference

_Sides = tuple[str, str, str]  # the table that has the columns, and both expressions
PAIRS_A_QUERY = 200  # of as many tables as they are of; a row has room for 1,600 columns


@dataclass(frozen=True, slots=True)
class Pair:
    """An expression that was promised and the one that is there, both as values of one type ('' for their own)."""

    name: str
    promised: str
    found: str
    type: str = ""
    column: str | None = None  # source name
    collation: str | None = None  # under which the one stands that is there, where the server keeps that beside it

    @property
    def sides(self) -> tuple[str, str]:
        cast = f"::{self.type}" if self.type else ""
        collated = f" collate {self.collation}" if self.collation else ""
        return f"({self.promised}){cast}", f"({self.found}){cast}{collated}"


async def compare_expressions(
    target: asyncpg.Connection, tables: Sequence[TablePlan], schema: str, catalog: Catalog
) -> list[Difference]:
    """The defaults, generated columns and CHECKs of tables that are there and say something else than promised."""
    pairs = [
        (table, pair) for table in tables for pair in (*_column_pairs(table, catalog), *_check_pairs(table, catalog))
    ]
    return [
        object_difference(table, pair.name, pair.promised, pair.found, pair.column)
        for (table, pair), same in zip(pairs, await are_same(target, schema, pairs), strict=True)
        if not same
    ]


def _column_pairs(table: TablePlan, catalog: Catalog) -> Iterator[Pair]:
    there = catalog.columns[table.name]
    for column in table.columns:
        found = there.get(column.name)
        promised = column.generated if column.generated is not None else column.default
        if found is not None and promised is not None and found.expression is not None:
            yield Pair(column.name, promised, found.expression, found.full_type, column.source.name)


def _check_pairs(table: TablePlan, catalog: Catalog) -> Iterator[Pair]:
    found = {one.name: one.expression for one in catalog.constraints.get(table.name, ()) if one.kind == "c"}
    for check in table.checks:
        if expression := found.get(check.name):
            yield Pair(check.name, check.condition, expression)


async def are_same(target: asyncpg.Connection, schema: str, pairs: Sequence[tuple[TablePlan, Pair]]) -> list[bool]:
    """Whether the server makes the same of both sides of each pair, whose columns are those of the table beside it."""
    same = await _are_printed_alike(target, schema, [(table.name, *pair.sides) for table, pair in pairs])
    # those that are may still name other collations
    named = {
        place: [name for side in pair.sides for name in collations_in(side)]
        for place, (_, pair) in enumerate(pairs)
        if same[place]
    }
    collated = [place for place, names in named.items() if names]
    numbers = {name: number for number, name in enumerate(sorted({name for names in named.values() for name in names}))}
    cast: list[_Sides] = []
    for place in collated:
        table, pair = pairs[place]
        left, right = (with_casts(side, numbers) for side in pair.sides)
        cast.append((table.name, left, right))
    for place, alike in zip(collated, await _are_printed_alike(target, schema, cast), strict=True):
        same[place] = alike
    return same


async def _are_printed_alike(target: asyncpg.Connection, schema: str, pairs: Sequence[_Sides]) -> list[bool]:
    """Whether the server prints both expressions of each pair in the same words."""
    alike: list[bool] = []
    for start in range(0, len(pairs), PAIRS_A_QUERY):
        alike += await _ask(target, schema, pairs[start : start + PAIRS_A_QUERY])
    return alike


async def _ask(target: asyncpg.Connection, schema: str, pairs: Sequence[_Sides]) -> list[bool]:
    """One query; where the server cannot read one of many, each half of them is asked for alone."""
    parts = [
        f"q{place} as materialized (select {', '.join(f'{left}, {right}' for _, left, right in group)}"
        f" from only {quoted(schema)}.{quoted(table)})"
        for place, (table, group) in enumerate(groupby(pairs, key=lambda pair: pair[0]))
    ]
    every = ", ".join(f"(select 1 from q{place})" for place in range(len(parts)))  # one that is not read is not planned
    try:
        async with target.transaction():  # inside a running one a savepoint
            explained = await target.fetchval(
                f"explain (verbose, costs off, format json) with {', '.join(parts)} select {every}"
            )
    except asyncpg.PostgresError:
        if len(pairs) == 1:
            return [False]
        half = len(pairs) // 2
        return [*await _ask(target, schema, pairs[:half]), *await _ask(target, schema, pairs[half:])]
    plans = {plan.get("Subplan Name"): plan for plan in json.loads(explained)[0]["Plan"]["Plans"]}
    printed = [side for place in range(len(parts)) for side in plans[f"CTE q{place}"]["Output"]]
    return [left == right for left, right in zip(printed[::2], printed[1::2], strict=True)]
