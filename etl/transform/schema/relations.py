"""What stands in a query's FROM: tables, views, queries, and how they are joined.

Invariant: a name means what it means in SQLite: without a table it is the one column of that name, after USING the
left one, and else it is ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlglot import exp

from etl.model import Affinity
from etl.transform.schema.expressions import condition
from etl.transform.schema.names import quote
from etl.transform.schema.scope import Operand, QueryScope, ScopeColumn
from etl.transform.schema.syntax import Untranslatable, written

SCHEMA = "\0"  # no name and no SQL text can hold it
JOINS = frozenset({"", "INNER", "CROSS"})


@dataclass(frozen=True, slots=True)
class Relation:
    """What may stand in FROM; ``sql`` is its qualified name or a query in parentheses."""

    sql: str
    columns: tuple[ScopeColumn, ...]
    names: tuple[str, ...]  # of the columns, as SQLite calls them
    name: str = ""  # in the target, where it is a view
    tables: tuple[str, ...] = ()  # the source tables whose rows it shows


@dataclass(frozen=True, slots=True)
class Query:
    sql: str
    names: tuple[str, ...]  # of the columns, as SQLite calls them
    operands: tuple[Operand, ...]
    collations: tuple[str, ...]


class Translator(Protocol):
    """What translates a whole query."""

    relations: Mapping[str, Relation]
    used: set[str]
    outer: Mapping[str, ScopeColumn | None]

    def translate(self, node: exp.Expression) -> Query: ...

    def within(self, scope: QueryScope, node: exp.Expression) -> tuple[str, list[Operand]]: ...


class Sources:
    """The sources of one SELECT; ``columns`` is what it may name, as it grows from join to join."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self.sources: list[tuple[str, Relation, set[str]]] = []  # alias, relation, columns that USING has merged
        self.columns: dict[str, ScopeColumn | None] = dict(translator.outer)
        self.local: set[str] = set()

    @property
    def scope(self) -> QueryScope:
        return QueryScope(self.columns, lambda node, scope: self.translator.within(scope, node))

    def render(self, node: exp.Select) -> list[str]:
        clause = node.args.get("from_")
        if clause is None:
            return []
        rendered = [f"from {self._source(clause.this)}"]
        rendered += [self._join(join) for join in node.args.get("joins") or []]
        return rendered

    def _join(self, join: exp.Expression) -> str:
        kind, side = (join.args.get("kind") or "").upper(), (join.args.get("side") or "").upper()
        if join.args.get("method") or kind not in JOINS or side not in {"", "LEFT"}:
            raise Untranslatable("NATURAL, RIGHT and FULL joins are not translated")
        source = self._source(join.this)
        on, using = join.args.get("on"), join.args.get("using") or []
        scope = self.scope
        if using:
            return f"{side.lower()} join {source} on {self._using(using, scope)}".strip()
        if on is None:
            return f"cross join {source}" if not side else f"left join {source} on true"
        return f"{side.lower()} join {source} on {condition(on, scope)}".strip()

    def _using(self, names: Sequence[exp.Expression], scope: QueryScope) -> str:
        """The equality of the merged columns; alone they mean the left one."""
        alias, relation, _ = self.sources[-1]
        conditions = []
        for name in (str(part.name).lower() for part in names):
            owners = [
                other for other, rel, merged in self.sources[:-1]
                if name in map(str.lower, rel.names) and name not in merged
            ]  # fmt: skip
            if len(owners) != 1:
                raise Untranslatable(f"USING ({name}) with several tables is not translated")
            left, right = exp.column(name, table=owners[0]), exp.column(name, table=alias)
            conditions.append(condition(exp.EQ(this=left, expression=right), scope))
            self.columns[name] = self.columns[f"{owners[0].lower()}.{name}"]
        self.sources[-1] = (alias, relation, {str(part.name).lower() for part in names})
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
            found = self.translator.relations.get(node.name.lower())
            if found is None or (node.db and node.db.lower() != "main"):
                raise Untranslatable(f"it reads {written(node)}, which is not part of this run")
            self.translator.used.add(node.name.lower())
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
            self.columns[f"{alias.lower()}.{name.lower()}"] = qualified
            ambiguous = name.lower() in self.local
            self.columns[name.lower()] = None if ambiguous else qualified
            self.local.add(name.lower())


def as_relation(sql: str, query: Query) -> Relation:
    """A query to select from; what is computed compares by bytes and by its own kind."""
    affinities = {"integer": Affinity.INTEGER, "real": Affinity.REAL, "text": Affinity.TEXT}
    columns = tuple(
        ScopeColumn(name, operand.type, affinities.get(operand.kind, Affinity.NUMERIC), collation,
                    reading=operand.reading)
        for name, operand, collation in zip(query.names, query.operands, query.collations, strict=True)
    )  # fmt: skip
    return Relation(sql, columns, query.names)


def column_list(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names))


def require_bytes(collations: Sequence[str]) -> None:
    other = sorted(set(collations) - {"BINARY"})
    if other:
        raise Untranslatable(f"it groups, orders or unites by the collation {', '.join(other)}")
