"""Compares the keys, UNIQUE constraints and indexes of a created table with the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etl.model import Difference, TablePlan
from etl.verify.catalog_rows import Catalog, Index
from etl.verify.object_differences import listed, object_difference


def compare_keys(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    """The planned primary key, where it is missing or another."""
    constraints = catalog.constraints.get(table.name, ())
    keys = [constraint for constraint in constraints if constraint.kind == "p"]
    if table.primary_key:
        name = table.primary_key_name or f"{table.name}_pkey"
        actual = listed(keys[0].columns) if keys else "nothing"
        if actual != listed(table.primary_key):
            yield object_difference(table, name, f"primary key {listed(table.primary_key)}", actual)


def compare_indexes(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    """The planned indexes and UNIQUE constraints that are missing, not valid or different."""
    indexes = catalog.indexes.get(table.name, ())
    for plan in table.indexes:
        wanted = _IndexShape(plan.unique or plan.constraint, len(plan.terms), plan.predicate is not None)
        found = _find_index(indexes, plan.name, _plain_terms(plan.terms), wanted)
        if found is None:
            yield object_difference(table, plan.name, _say_index(plan.terms, wanted), "nothing")
            continue
        shape = _IndexShape(found.unique, len(found.terms), found.predicate is not None)
        named = _plain_terms(plan.terms)
        same = all(ours is None or ours == theirs for ours, theirs in zip(named, found.terms, strict=False))
        if not found.valid:
            yield object_difference(table, plan.name, _say_index(plan.terms, wanted), "an index that is not valid")
        elif shape != wanted or not same or (plan.constraint and not found.constraint):
            yield object_difference(table, plan.name, _say_index(plan.terms, wanted), found.definition)


@dataclass(frozen=True, slots=True)
class _IndexShape:
    unique: bool
    term_count: int
    partial: bool


def _find_index(
    indexes: Sequence[Index], name: str, terms: Sequence[tuple[str, bool] | None], wanted: _IndexShape
) -> Index | None:
    """The index of that name; without one, an index of another name over the same plain columns."""
    for index in indexes:
        if index.name == name:
            return index
    for index in indexes:
        shape = _IndexShape(index.unique, len(index.terms), index.predicate is not None)
        if shape == wanted and not wanted.partial and None not in terms and list(index.terms) == list(terms):
            return index
    return None


def _plain_terms(terms: Sequence[str]) -> list[tuple[str, bool] | None]:
    """(column, descending) of each term that is a quoted column name; None for anything else."""
    plain: list[tuple[str, bool] | None] = []
    for term in terms:
        bare = term.removesuffix(" DESC").removesuffix(" desc")
        inner = bare[1:-1]
        is_name = len(bare) > 2 and bare[0] == bare[-1] == '"' and '"' not in inner.replace('""', "")
        plain.append((inner.replace('""', '"'), bare != term) if is_name else None)
    return plain


def _say_index(terms: Sequence[str], shape: _IndexShape) -> str:
    return f"{'a unique' if shape.unique else 'an'} index on ({', '.join(terms)})" + (
        " where …" if shape.partial else ""
    )
