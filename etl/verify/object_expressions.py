"""Compares the expressions in the target's schema with the promised ones: defaults, CHECKs, generated columns, indexes.

PostgreSQL prints an expression in words of its own, and no text of ours can equal them. So the server is asked what it
makes of both: EXPLAIN VERBOSE parses, types and folds each beside the other, and prints them in the same words.

Invariant: nothing is executed and nothing is written; an expression that the server cannot read is no equal of any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from etl.model import Difference, TablePlan
from etl.verify.catalog_rows import Catalog
from etl.verify.readings import quoted

PAIRS_A_QUERY = 200  # a row has room for 1,600 columns


@dataclass(frozen=True, slots=True)
class Pair:
    """An expression that was promised and the one that is there, both as values of one type ('' for their own)."""

    name: str
    promised: str
    found: str
    type: str = ""
    column: str | None = None  # source name

    @property
    def sides(self) -> tuple[str, str]:
        cast = f"::{self.type}" if self.type else ""
        return f"({self.promised}){cast}", f"({self.found}){cast}"


async def compare_expressions(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """The expressions of a table that are there and say something else than promised."""
    pairs = [*_column_pairs(table, catalog), *_check_pairs(table, catalog), *_index_pairs(table, catalog)]
    rows = f"only {quoted(schema)}.{quoted(table.name)}"
    differences = []
    for start in range(0, len(pairs), PAIRS_A_QUERY):
        part = pairs[start : start + PAIRS_A_QUERY]
        for pair, same in zip(part, await _are_same(target, rows, part), strict=True):
            if not same:
                differences.append(
                    Difference(
                        table.source.name,
                        "object",
                        pair.name,
                        column=pair.column,
                        expected=pair.promised,
                        actual=pair.found,
                    )
                )
    return differences


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


def _index_pairs(table: TablePlan, catalog: Catalog) -> Iterator[Pair]:
    found: Mapping[str, str | None] = {one.name: one.predicate for one in catalog.indexes.get(table.name, ())}
    for index in table.indexes:
        if index.predicate is not None and (predicate := found.get(index.name)):
            yield Pair(index.name, index.predicate, predicate)


async def _are_same(target: asyncpg.Connection, rows: str, pairs: Sequence[Pair]) -> list[bool]:
    """Whether the server makes the same of both; where it cannot read one of many, each is asked for alone."""
    try:
        async with target.transaction():  # inside a running one a savepoint
            explained = await target.fetchval(
                f"explain (verbose, costs off, format json) select"
                f" {', '.join(side for pair in pairs for side in pair.sides)} from {rows}"
            )
    except asyncpg.PostgresError:
        return [(await _are_same(target, rows, [pair]))[0] for pair in pairs] if len(pairs) > 1 else [False]
    printed = json.loads(explained)[0]["Plan"]["Output"]
    return [left == right for left, right in zip(printed[::2], printed[1::2], strict=True)]
