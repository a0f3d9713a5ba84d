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

EXPRESSIONS_A_QUERY = 100
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


@dataclass(frozen=True, slots=True)
class _Match:
    """What was promised of a table, and the index that takes its place."""

    table: TablePlan
    promise: _Promise
    index: Index | None

    @property
    def expressions(self) -> list[tuple[_Term, IndexTerm]]:
        """The terms that stand for each other and are no columns on one side or on both."""
        terms = zip(self.promise.terms, self.index.terms if self.index is not None else (), strict=False)
        return [(ours, theirs) for ours, theirs in terms if ours.column is None or theirs.column is None]


async def compare_indexes(
    target: asyncpg.Connection, tables: Sequence[TablePlan], schema: str, catalog: Catalog
) -> list[Difference]:
    """The planned keys, UNIQUE constraints and indexes that are missing, not valid or different."""
    matched = [
        _Match(table, promise, _find(catalog.indexes.get(table.name, ()), promise))
        for table in tables
        for promise in _promised(table)
    ]
    words = await _Words.ask(target, schema, matched)
    differences = []
    for match in matched:
        wanted = words.of_promise(match)
        actual = "nothing" if match.index is None else words.of_index(match, match.index)
        if wanted != actual:
            differences.append(object_difference(match.table, match.promise.name, wanted, actual))
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

    same: frozenset[tuple[str, str, str]]  # (table, promised, found)
    collations: dict[tuple[str, str], str]  # (table, promised expression) → its collation, where the index has one

    @classmethod
    async def ask(cls, target: asyncpg.Connection, schema: str, matched: Sequence[_Match]) -> _Words:
        """Two questions for all indexes of many tables; none where they have neither expressions nor conditions."""
        terms = [(match.table, *both) for match in matched for both in match.expressions]
        # the server keeps the outermost COLLATE of a term beside the term
        pairs = [(table, Pair("", ours.sql, theirs.sql)) for table, ours, theirs in terms]
        pairs += [(table, Pair("", ours.sql, theirs.sql, collation=theirs.collation)) for table, ours, theirs in terms]
        pairs += [
            (match.table, Pair("", match.promise.predicate, match.index.predicate))
            for match in matched
            if match.index is not None
            if match.promise.predicate is not None and match.index.predicate is not None
        ]
        pairs.sort(key=lambda pair: pair[0].name)
        alike = await are_same(target, schema, pairs)
        same = frozenset(
            (table.name, pair.promised, pair.found)
            for (table, pair), is_same in zip(pairs, alike, strict=True)
            if is_same
        )
        wanted = [
            (table.name, ours.sql)
            for table, ours, theirs in terms
            if theirs.collation and (table.name, ours.sql, theirs.sql) in same
        ]
        return cls(same, await _collations(target, schema, wanted))

    def of_promise(self, match: _Match) -> str:
        collations = self.collations
        terms = (
            _directed(
                term.sql + _collated(collations.get((match.table.name, term.sql))), term.descending, term.descending
            )
            for term in match.promise.terms
        )
        return _say(match.promise.kind, terms, match.promise.predicate)

    def of_index(self, match: _Match, index: Index) -> str:
        """An index in the words of what was promised, as far as it is the same."""
        promise, table = match.promise, match.table.name
        terms = [self._of_term(table, *both) for both in zip(promise.terms, index.terms, strict=False)]
        terms += [self._of_term(table, None, term) for term in index.terms[len(promise.terms) :]]
        predicate = index.predicate
        if promise.predicate is not None and (table, promise.predicate, predicate) in self.same:
            predicate = promise.predicate
        kind = _kind(index)
        if kind in UNIQUE and promise.kind in UNIQUE[UNIQUE.index(kind) :] and promise.kind != "primary key":
            kind = promise.kind
        return _say(kind, terms, predicate, index)

    def _of_term(self, table: str, ours: _Term | None, theirs: IndexTerm) -> str:
        same = ours is not None and (
            (table, ours.sql, theirs.sql) in self.same or (ours.column is not None and ours.column == theirs.column)
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
    target: asyncpg.Connection, schema: str, expressions: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The collation of each (table, expression), as the server derives it; no row is read for it."""
    found: dict[tuple[str, str], str] = {}
    for start in range(0, len(expressions), EXPRESSIONS_A_QUERY):
        some = expressions[start : start + EXPRESSIONS_A_QUERY]
        asked = (
            f"pg_catalog.pg_collation_for((select {sql} from only {quoted(schema)}.{quoted(table)} where false))"
            for table, sql in some
        )
        try:
            async with target.transaction():  # inside a running one a savepoint
                names = await target.fetchval(f"select array[{', '.join(asked)}]")
        except asyncpg.PostgresError:
            continue
        found |= dict(zip(some, names, strict=True))
    return found
