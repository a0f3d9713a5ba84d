"""Compares the primary key, the UNIQUE constraints and the indexes of a created table with the plan.

What was planned and what is there are told in the same form, and differ in it wherever they differ at all:

    expected  unique index (lower("name" collate "C"), "part" desc)
    actual    unique index (lower("name" collate "C") collate "POSIX", "part" desc nulls last) include (note)

Invariant: an expression that means the same is told in the plan's words on both sides, whatever the server calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from etl.model import Difference, TablePlan
from etl.verify.readings import quoted
from etl.verify.schema.catalog_indexes import Index, IndexTerm
from etl.verify.schema.catalog_rows import Catalog
from etl.verify.schema.object_differences import object_difference
from etl.verify.schema.object_expressions import Pair, are_same

KINDS = {"p": "primary key", "u": "unique constraint", "x": "exclusion constraint"}
UNIQUE = ("primary key", "unique constraint", "unique index")  # each does what the later ones do


@dataclass(frozen=True, slots=True)
class _Term:
    """A planned term: SQL without its direction; ``column`` is None for an expression."""

    sql: str
    descending: bool
    column: str | None


@dataclass(frozen=True, slots=True)
class _Promise:
    name: str
    kind: str
    terms: tuple[_Term, ...]
    predicate: str | None = None


async def compare_indexes(
    target: asyncpg.Connection, table: TablePlan, schema: str, catalog: Catalog
) -> list[Difference]:
    """The planned keys, UNIQUE constraints and indexes that are missing, not valid or different."""
    promised = list(_promised(table))
    found = [_find(catalog.indexes.get(table.name, ()), promise) for promise in promised]
    both = [(promise, index) for promise, index in zip(promised, found, strict=True) if index is not None]
    words = await _Words.ask(target, table, schema, both)
    differences = []
    for promise, index in zip(promised, found, strict=True):
        wanted = _say(promise.kind, map(words.of_promise, promise.terms), promise.predicate)
        actual = "nothing" if index is None else words.of_index(promise, index)
        if wanted != actual:
            differences.append(object_difference(table, promise.name, wanted, actual))
    return differences


def _promised(table: TablePlan) -> Iterator[_Promise]:
    if table.primary_key:
        terms = tuple(_Term(quoted(name), False, name) for name in table.primary_key)
        yield _Promise(table.primary_key_name or f"{table.name}_pkey", "primary key", terms)
    for index in table.indexes:
        kind = "unique constraint" if index.constraint else "unique index" if index.unique else "index"
        yield _Promise(index.name, kind, tuple(map(_term, index.terms)), index.predicate)


def _term(sql: str) -> _Term:
    bare = sql[: -len(" desc")] if sql.lower().endswith(" desc") else sql
    inner = bare[1:-1]
    is_name = len(bare) > 2 and bare[0] == bare[-1] == '"' and '"' not in inner.replace('""', "")
    return _Term(bare, bare != sql, inner.replace('""', '"') if is_name else None)


def _find(indexes: Sequence[Index], promise: _Promise) -> Index | None:
    """The primary key, or the index of that name; without one, an index of another name over the same columns."""
    if promise.kind == "primary key":
        return next((index for index in indexes if index.constraint == "p"), None)
    for index in indexes:
        if index.name == promise.name:
            return index
    if promise.predicate is not None or any(term.column is None for term in promise.terms):
        return None
    wanted = [(term.column, term.descending) for term in promise.terms]
    same = [
        index
        for index in indexes
        if [(term.column, term.descending) for term in index.terms] == wanted
        and index.unique == (promise.kind in UNIQUE)
        and index.predicate is None
    ]
    # one that is a constraint, where that was planned
    return max(same, key=lambda index: _kind(index) in UNIQUE[: UNIQUE.index("unique index")], default=None)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the server says of expressions: which mean the same, and under which collation a promised one stands."""

    same: frozenset[tuple[str, str]]  # (promised, found)
    collations: dict[str, str]  # promised expression → its collation, where the index has one

    @classmethod
    async def ask(
        cls, target: asyncpg.Connection, table: TablePlan, schema: str, both: Sequence[tuple[_Promise, Index]]
    ) -> _Words:
        """Two questions for all indexes of a table; none where they have neither expressions nor conditions."""
        terms = [
            (ours, theirs)
            for promise, index in both
            for ours, theirs in zip(promise.terms, index.terms, strict=False)
            if ours.column is None or theirs.column is None
        ]
        # the server keeps the outermost COLLATE of a term beside the term
        pairs = [Pair("", ours.sql, theirs.sql) for ours, theirs in terms]
        pairs += [Pair("", ours.sql, theirs.sql, collation=theirs.collation) for ours, theirs in terms]
        pairs += [
            Pair("", promise.predicate, index.predicate)
            for promise, index in both
            if promise.predicate is not None and index.predicate is not None
        ]
        alike = await are_same(target, table, schema, pairs) if pairs else []
        same = frozenset((pair.promised, pair.found) for pair, is_same in zip(pairs, alike, strict=True) if is_same)
        wanted = [ours.sql for ours, theirs in terms if theirs.collation and (ours.sql, theirs.sql) in same]
        return cls(same, await _collations(target, table, schema, wanted) if wanted else {})

    def of_promise(self, term: _Term) -> str:
        return _directed(term.sql + _collated(self.collations.get(term.sql)), term.descending, term.descending)

    def of_index(self, promise: _Promise, index: Index) -> str:
        """An index in the words of what was promised, as far as it is the same."""
        pairs = zip(promise.terms, index.terms, strict=False)
        terms = [self._of_term(ours, theirs) for ours, theirs in pairs]
        terms += [self._of_term(None, term) for term in index.terms[len(promise.terms) :]]
        predicate = index.predicate
        if promise.predicate is not None and (promise.predicate, predicate) in self.same:
            predicate = promise.predicate
        kind = _kind(index)
        if kind in UNIQUE and promise.kind in UNIQUE[UNIQUE.index(kind) :] and promise.kind != "primary key":
            kind = promise.kind
        return _say(kind, terms, predicate, index)

    def _of_term(self, ours: _Term | None, theirs: IndexTerm) -> str:
        same = ours is not None and (
            (ours.sql, theirs.sql) in self.same or (ours.column is not None and ours.column == theirs.column)
        )
        sql = ours.sql if ours is not None and same else theirs.sql
        as_asked = same and ours is not None and ours.column is None  # see of_promise
        collation = theirs.collation if as_asked or (theirs.column and not theirs.is_own_collation) else None
        text = sql + _collated(collation) + (f" {theirs.operator_class}" if theirs.operator_class else "")
        return _directed(text, theirs.descending, theirs.nulls_first)


def _collated(name: str | None) -> str:
    return f" collate {name}" if name else ""


def _directed(sql: str, descending: bool, nulls_first: bool) -> str:
    nulls = "" if descending == nulls_first else f" nulls {'first' if nulls_first else 'last'}"
    return sql + (" desc" if descending else "") + nulls


def _kind(index: Index) -> str:
    return KINDS.get(index.constraint or "", "unique index" if index.unique else "index")


def _say(kind: str, terms: Iterable[str], predicate: str | None, index: Index | None = None) -> str:
    """``unique index (a, b desc) where c > 1``, and whatever an index says beyond what can be planned."""
    said = f"{kind} ({', '.join(terms)})"
    if index is not None:
        said += f" include ({', '.join(index.included)})" if index.included else ""
        said += " nulls not distinct" if index.nulls_not_distinct else ""
        said += " without overlaps" if index.without_overlaps else ""
        said += f" by the method {index.method}" if index.method != "btree" else ""
    said += f" where {predicate}" if predicate is not None else ""
    if index is not None:
        said += " deferrable" if index.deferrable else ""
        said += " initially deferred" if index.deferred else ""
        said += "" if index.valid else ", which is not valid"
        said += "" if index.ready else ", which is not ready"
    return said


async def _collations(
    target: asyncpg.Connection, table: TablePlan, schema: str, expressions: Sequence[str]
) -> dict[str, str]:
    """The collation of each expression, as the server derives it; no row is read for it."""
    rows = f"only {quoted(schema)}.{quoted(table.name)}"
    asked = ", ".join(f"pg_catalog.pg_collation_for((select {sql} from {rows} where false))" for sql in expressions)
    try:
        async with target.transaction():  # inside a running one a savepoint
            names = await target.fetchval(f"select array[{asked}]")
    except asyncpg.PostgresError:
        return {}
    return dict(zip(expressions, names, strict=True))
