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

import asyncpg

from etl.model import Difference, TablePlan
from etl.verify.readings import quoted
from etl.verify.schema.catalog_rows import Catalog
from etl.verify.schema.collation_clauses import collations_in, with_casts
from etl.verify.schema.object_differences import object_difference

PAIRS_A_QUERY = 200  # a row has room for 1,600 columns


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
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """The defaults, generated columns and CHECKs of a table that are there and say something else than promised."""
    pairs = [*_column_pairs(table, catalog), *_check_pairs(table, catalog)]
    return [
        object_difference(table, pair.name, pair.promised, pair.found, pair.column)
        for pair, same in zip(pairs, await are_same(target, table, schema, pairs), strict=True)
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


async def are_same(target: asyncpg.Connection, table: TablePlan, schema: str, pairs: Sequence[Pair]) -> list[bool]:
    """Whether the server makes the same of both sides of each pair, whose columns are those of ``table``."""
    rows = f"only {quoted(schema)}.{quoted(table.name)}"
    same = await _are_printed_alike(target, rows, [pair.sides for pair in pairs])
    # those that are may still name other collations
    named = {
        place: [name for side in pair.sides for name in collations_in(side)]
        for place, pair in enumerate(pairs)
        if same[place]
    }
    collated = [place for place, names in named.items() if names]
    numbers = {name: number for number, name in enumerate(sorted({name for names in named.values() for name in names}))}
    sides = [pairs[place].sides for place in collated]
    cast = [(with_casts(left, numbers), with_casts(right, numbers)) for left, right in sides]
    for place, alike in zip(collated, await _are_printed_alike(target, rows, cast), strict=True):
        same[place] = alike
    return same


async def _are_printed_alike(target: asyncpg.Connection, rows: str, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether the server prints both expressions of each pair in the same words."""
    alike: list[bool] = []
    for start in range(0, len(pairs), PAIRS_A_QUERY):
        alike += await _ask(target, rows, pairs[start : start + PAIRS_A_QUERY])
    return alike


async def _ask(target: asyncpg.Connection, rows: str, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """One query; where the server cannot read one of many, each is asked for alone."""
    try:
        async with target.transaction():  # inside a running one a savepoint
            explained = await target.fetchval(
                f"explain (verbose, costs off, format json) select"
                f" {', '.join(side for sides in pairs for side in sides)} from {rows}"
            )
    except asyncpg.PostgresError:
        return [(await _ask(target, rows, [pair]))[0] for pair in pairs] if len(pairs) > 1 else [False]
    printed = json.loads(explained)[0]["Plan"]["Output"]
    return [left == right for left, right in zip(printed[::2], printed[1::2], strict=True)]
