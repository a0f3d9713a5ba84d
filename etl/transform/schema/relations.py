"""What stands in a query's FROM: tables, views, queries, and how they are joined.

Invariant: a name means what it means in SQLite: without a table it is the one column of that name, after USING the
left one, and else it is ambiguous.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlglot import exp

from etl.model import Affinity
from etl.transform.schema.expressions import condition
from etl.transform.schema.names import fold, quote
from etl.transform.schema.row_order import RowOrder
from etl.transform.schema.scope import Operand, QueryScope, ScopeColumn
from etl.transform.schema.syntax import Untranslatable, written

SCHEMA = "\0"  # no name and no SQL text can hold it
JOINS = frozenset({"", "INNER", "CROSS", "OUTER"})
SIDES = frozenset({"", "LEFT", "RIGHT", "FULL"})
LEFT_SIDE = "\0left"  # qualifies the columns that USING compares with those of the new table


@dataclass(frozen=True, slots=True)
class Relation:
    """What may stand in FROM; ``sql`` is its qualified name or a query in parentheses."""

    sql: str
    columns: tuple[ScopeColumn, ...]
    names: tuple[str, ...]  # of the columns, as SQLite calls them
    name: str = ""  # in the target, where it is a view
    tables: tuple[str, ...] = ()  # the source tables whose rows it shows
    keys: tuple[frozenset[str], ...] = ()  # columns, as the target calls them, that tell its rows apart
    scan: tuple[str, ...] | None = None  # columns in whose order SQLite finds its rows; () for the order they come in


@dataclass(frozen=True, slots=True)
class Query:
    sql: str
    names: tuple[str, ...]  # of the columns, as SQLite calls them
    operands: tuple[Operand, ...]
    collations: tuple[str, ...]
    keys: tuple[frozenset[str], ...] = ()  # names of columns that tell its rows apart
    is_ordered: bool = False


class Translator(Protocol):
    """What translates a whole query."""

    relations: Mapping[str, Relation]
    used: set[str]
    outer: Mapping[str, ScopeColumn | None]
    by_bytes: bool

    def translate(self, node: exp.Expression) -> Query: ...

    def within(self, scope: QueryScope, node: exp.Expression) -> tuple[str, list[Operand]]: ...


class Sources:
    """The sources of one SELECT; ``columns`` is what it may name, as it grows from join to join."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self.sources: list[tuple[str, Relation, set[str]]] = []  # alias, relation, columns that USING has merged
        self.columns: dict[str, ScopeColumn | None] = dict(translator.outer)
        self.local: set[str] = set()
        self.merged: dict[str, ScopeColumn] = {}  # the columns that USING and NATURAL have made one of two

    @property
    def scope(self) -> QueryScope:
        return QueryScope(self.columns, lambda node, scope: self.translator.within(scope, node))

    @property
    def rows(self) -> RowOrder:
        """What is known of the joined rows: they are found source by source."""

        def named(alias: str, names: Iterable[str]) -> tuple[str, ...]:
            return tuple(f"{quote(alias)}.{quote(name)}" for name in names)

        keys = [{frozenset(named(alias, key)) for key in relation.keys} for alias, relation, _ in self.sources]
        scans = [(alias, relation.scan) for alias, relation, _ in self.sources]
        unknown = any(scan is None or (not scan and len(scans) > 1) for _, scan in scans)
        scan = None if unknown else tuple(name for alias, names in scans for name in named(alias, names or ()))
        return RowOrder(keys, scan)

    def render(self, node: exp.Select) -> list[str]:
        clause = node.args.get("from_")
        if clause is None:
            return []
        rendered = [f"from {self._source(clause.this)}"]
        rendered += [self._join(join) for join in node.args.get("joins") or []]
        return rendered

    def _join(self, join: exp.Expression) -> str:
        kind, side = (join.args.get("kind") or "").upper(), (join.args.get("side") or "").upper()
        method = (join.args.get("method") or "").upper()
        if kind not in JOINS or side not in SIDES or method not in {"", "NATURAL"}:
            raise Untranslatable(f"a {' '.join(filter(None, (method, side, kind)))} join is not translated")
        before = dict(self.columns)
        source = self._source(join.this)
        on, using = join.args.get("on"), [str(part.name) for part in join.args.get("using") or []]
        if method:
            using = self._common_names()
        if using:
            return f"{side.lower()} join {source} on {self._using(using, side, before)}".strip()
        if on is None:
            return f"cross join {source}" if not side else f"{side.lower()} join {source} on true"
        return f"{side.lower()} join {source} on {condition(on, self.scope)}".strip()

    def _common_names(self) -> list[str]:
        """The columns by which a NATURAL join compares: those that the new table shares with any before it."""
        names = {fold(name) for _, relation, _ in self.sources[:-1] for name in relation.names}
        return [name for name in self.sources[-1][1].names if fold(name) in names]

    def _using(self, names: Sequence[str], side: str, before: Mapping[str, ScopeColumn | None]) -> str:
        """The equality of the merged columns; alone they mean the left one, or whichever of the two is there."""
        alias, relation, _ = self.sources[-1]
        conditions = []
        for name in map(fold, names):
            owners = [rel for _, rel, merged in self.sources[:-1]
                      if name in map(fold, rel.names) and name not in merged]  # fmt: skip
            left, right = before.get(name), self.columns.get(f"{fold(alias)}.{name}")
            if len(owners) != 1 or left is None or right is None:
                raise Untranslatable(f"a join by {name}, which several tables have, is not translated")
            scope = QueryScope({**self.columns, f"{LEFT_SIDE}.{name}": left}, self.scope.subquery)
            equal = exp.EQ(this=exp.column(name, table=LEFT_SIDE), expression=exp.column(name, table=alias))
            conditions.append(condition(equal, scope))
            self.columns[name] = self.merged[name] = _merged(left, right, side)
        self.sources[-1] = (alias, relation, {fold(name) for name in names})
        return " and ".join(conditions)

    def _source(self, node: exp.Expression) -> str:
        """A table, a view or a query, with its columns in the scope."""
        alias = node.alias
        if isinstance(node, exp.Subquery):
            query = self.translator.translate(node.this)
            alias = alias or f"query_{len(self.sources) + 1}"
            relation = as_relation(f"({query.sql})", query)
            rendered = f"{relation.sql} as {quote(alias)} ({column_list(query.names)})"
        elif isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            found = self.translator.relations.get(fold(node.name))
            if found is None or (node.db and node.db.lower() != "main"):
                raise Untranslatable(f"it reads {written(node)}, which is not part of this run")
            self.translator.used.add(fold(node.name))
            alias, relation = alias or node.name, found
            rendered = f"{relation.sql} as {quote(alias)}"
        else:
            raise Untranslatable(f"{written(node)} in FROM is not translated")
        self._add(alias, relation)
        return rendered

    def _add(self, alias: str, relation: Relation) -> None:
        self.sources.append((alias, relation, set()))
        for name, column in zip(relation.names, relation.columns, strict=True):
            qualified = replace(column, qualifier=alias)
            self.columns[f"{fold(alias)}.{fold(name)}"] = qualified
            ambiguous = fold(name) in self.local
            self.columns[fold(name)] = None if ambiguous else qualified
            self.local.add(fold(name))


def _merged(left: ScopeColumn, right: ScopeColumn, side: str) -> ScopeColumn:
    """What the name alone means after the join. Raises Untranslatable."""
    if side not in {"RIGHT", "FULL"}:
        return left
    if (left.type, left.reading, left.collation) != (right.type, right.reading, right.collation):
        raise Untranslatable(f"a {side} join by {left.name} of two types is not translated")
    return replace(left, instead=f"coalesce({left.sql}, {right.sql})")


def as_relation(sql: str, query: Query) -> Relation:
    """A query to select from; what is computed compares by bytes and by its own kind."""
    affinities = {"integer": Affinity.INTEGER, "real": Affinity.REAL, "text": Affinity.TEXT}
    columns = tuple(
        ScopeColumn(name, operand.type, affinities.get(operand.kind, Affinity.NUMERIC), collation,
                    reading=operand.reading)
        for name, operand, collation in zip(query.names, query.operands, query.collations, strict=True)
    )  # fmt: skip
    return Relation(sql, columns, query.names, keys=query.keys, scan=() if query.is_ordered else None)


def column_list(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names))


def require_bytes(collations: Sequence[str]) -> None:
    other = sorted(set(collations) - {"BINARY"})
    if other:
        raise Untranslatable(f"it groups, orders or unites by the collation {', '.join(other)}")
