"""Translate a SELECT: its tables, joins, groups and order, and what it selects.

Invariant: every clause is on an allow-list; a clause, a join or a function that is not on it makes the whole query
untranslatable, with the reason. ``SCHEMA`` stands for the schema of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from etl.model import PgType
from etl.transform.schema.expressions import condition
from etl.transform.schema.names import quote
from etl.transform.schema.relations import Query, Relation, Sources, as_relation, column_list, require_bytes
from etl.transform.schema.scalars import Scalars
from etl.transform.schema.scope import Operand, QueryScope, ScopeColumn, find_column
from etl.transform.schema.syntax import Untranslatable, unwrapped, written

CLAUSES = frozenset(
    {"expressions", "from_", "joins", "where", "group", "having", "distinct", "order", "limit", "offset", "with_"}
)
SET_OPERATIONS: Mapping[type[exp.Expression], str] = {
    exp.Union: "union",
    exp.Intersect: "intersect",
    exp.Except: "except",
}


@dataclass
class QueryTranslator:
    """Translates queries over ``relations`` (by name in lower case); ``used`` gathers those that were named."""

    relations: Mapping[str, Relation]
    used: set[str] = field(default_factory=set)
    outer: Mapping[str, ScopeColumn | None] = field(default_factory=dict)

    def translate(self, node: exp.Expression) -> Query:
        """A SELECT, or several in UNION, INTERSECT or EXCEPT. Raises Untranslatable."""
        node = unwrapped(node)
        if node.args.get("with_") is not None:
            return self._with(node)
        if type(node) in SET_OPERATIONS:
            return self._set_operation(node)
        if not isinstance(node, exp.Select):
            raise Untranslatable(f"{node.key.upper()} is not translated")
        unknown = {name for name, value in node.args.items() if value} - CLAUSES
        if unknown:
            raise Untranslatable(f"{', '.join(sorted(unknown)).upper()} is not translated")
        return _Select(self, node).translate()

    def within(self, scope: QueryScope, node: exp.Expression) -> tuple[str, list[Operand]]:
        """A query inside a query, which sees the columns of the outer one."""
        inner = QueryTranslator(self.relations, self.used, scope)
        query = inner.translate(node)
        return query.sql, list(query.operands)

    def _with(self, node: exp.Expression) -> Query:
        clause = node.args["with_"]
        if clause.args.get("recursive"):
            raise Untranslatable("WITH RECURSIVE is not translated")
        relations, rendered = dict(self.relations), []
        inner = QueryTranslator(relations, self.used, self.outer)
        for cte in clause.expressions:
            if cte.args["alias"].args.get("columns"):
                raise Untranslatable("names of columns in WITH are not translated")
            query, name = inner.translate(cte.this), cte.alias
            rendered.append(f"{quote(name)} ({column_list(query.names)}) as ({query.sql})")
            relations[name.lower()] = as_relation(quote(name), query)
        body = node.copy()
        body.set("with_", None)
        query = inner.translate(body)
        return replace(query, sql=f"with {', '.join(rendered)} {query.sql}")

    def _set_operation(self, node: exp.Expression) -> Query:
        if {name for name, value in node.args.items() if value} - {"this", "expression", "distinct"}:
            raise Untranslatable("ORDER BY and LIMIT of a UNION are not translated")
        left, right = self.translate(node.this), self.translate(node.expression)
        if [operand.kind for operand in left.operands] != [operand.kind for operand in right.operands]:
            raise Untranslatable("the two sides of a UNION have columns of different kinds")
        every = not node.args.get("distinct")
        if not every:
            require_bytes([*left.collations, *right.collations])
        word = SET_OPERATIONS[type(node)] + (" all" if every else "")
        sides = (f"({side.sql})" if isinstance(part, exp.Select) else side.sql for side, part in
                 ((left, node.this), (right, node.expression)))  # fmt: skip
        return replace(left, sql=f" {word} ".join(sides))


class _Select:
    """One SELECT being translated."""

    def __init__(self, translator: QueryTranslator, node: exp.Select) -> None:
        self.node, self.sources = node, Sources(translator)

    def translate(self) -> Query:
        tables = self.sources.render(self.node)
        self.scope = self.sources.scope
        self.scalars = Scalars(self.scope, condition)
        selected = list(self._selected())
        operands = tuple(_shown(operand) for _, operand, _ in selected)
        distinct = self.node.args.get("distinct")
        if distinct is not None:
            if distinct.args.get("on"):
                raise Untranslatable("DISTINCT ON is not translated")
            require_bytes([collation for _, _, collation in selected])
        parts = [f"select {'distinct ' if distinct is not None else ''}{', '.join(o.sql for o in operands)}", *tables]
        where, having = self.node.args.get("where"), self.node.args.get("having")
        if where is not None:
            parts.append(f"where {condition(where.this, self.scope)}")
        parts += self._group(selected)
        if having is not None:
            parts.append(f"having {condition(having.this, self.scope)}")
        parts += self._order(selected)
        names = tuple(name for name, _, _ in selected)
        return Query(" ".join(parts), names, operands, tuple(collation for _, _, collation in selected))

    # --- what is selected ------------------------------------------------------------------------------------------

    def _selected(self) -> Iterator[tuple[str, Operand, str]]:
        """(name, value, collation) of each column."""
        for node in self.node.expressions:
            if isinstance(node, exp.Star):
                yield from self._all_of(self.sources.sources)
            elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
                yield from self._all_of(
                    [s for s in self.sources.sources if s[0].lower() == node.table.lower()], merged=True
                )
            else:
                inner = unwrapped(node.this if isinstance(node, exp.Alias) else node)
                column = find_column(inner, self.scope)
                collation = column.collation if column is not None else "BINARY"
                yield node.alias_or_name or written(node), self._value(inner), collation

    def _all_of(
        self, sources: Sequence[tuple[str, Relation, set[str]]], *, merged: bool = False
    ) -> Iterator[tuple[str, Operand, str]]:
        for alias, relation, hidden in sources:
            for name, column in zip(relation.names, relation.columns, strict=True):
                if merged or name.lower() not in hidden:
                    yield name, _column_value(replace(column, qualifier=alias)), column.collation

    def _value(self, node: exp.Expression) -> Operand:
        """Columns of every type may be handed on; everything else is computed."""
        column = find_column(node, self.scope)
        return _column_value(column) if column is not None else self.scalars.value(node)

    # --- GROUP BY, ORDER BY, LIMIT ---------------------------------------------------------------------------------

    def _group(self, selected: Sequence[tuple[str, Operand, str]]) -> list[str]:
        clause = self.node.args.get("group")
        if clause is None:
            return []
        terms = []
        for node in map(unwrapped, clause.expressions):
            column = find_column(node, self.scope)
            if column is not None:
                require_bytes([column.collation])
                terms.append(column.sql)
            else:
                terms.append((self._named(node, selected) or self._value(node)).sql)
        return [f"group by {', '.join(terms)}"]

    def _order(self, selected: Sequence[tuple[str, Operand, str]]) -> list[str]:
        parts, clause = [], self.node.args.get("order")
        if clause is not None:
            terms = [self._ordered(term, selected) for term in clause.expressions]
            parts.append(f"order by {', '.join(terms)}")
        for word in ("limit", "offset"):
            bound = self.node.args.get(word)
            if bound is not None:
                if not isinstance(bound.expression, exp.Literal) or not str(bound.expression.this).isdigit():
                    raise Untranslatable(f"{word.upper()} is translated with a constant only")
                parts.append(f"{word} {bound.expression.this}")
        return parts

    def _ordered(self, term: exp.Expression, selected: Sequence[tuple[str, Operand, str]]) -> str:
        node = unwrapped(term.this)
        operand = self._named(node, selected)
        if operand is None:
            column = find_column(node, self.scope)
            require_bytes([column.collation] if column is not None else [])
            operand = self._value(node)
        collated = f'{operand.sql} collate "C"' if operand.kind == "text" else operand.sql
        nulls = "first" if term.args.get("nulls_first") else "last"
        return f"{collated}{' desc' if term.args.get('desc') else ''} nulls {nulls}"

    @staticmethod
    def _named(node: exp.Expression, selected: Sequence[tuple[str, Operand, str]]) -> Operand | None:
        """What a place or an alias of the selected columns stands for."""
        if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
            place = int(str(node.this))
            if 1 <= place <= len(selected):
                return _bytes_only(selected[place - 1])
        if isinstance(node, exp.Column) and not node.table:
            found = [entry for entry in selected if entry[0].lower() == node.name.lower()]
            if len(found) == 1:
                return _bytes_only(found[0])
        return None


def _bytes_only(entry: tuple[str, Operand, str]) -> Operand:
    require_bytes([entry[2]])
    return entry[1]


def _column_value(column: ScopeColumn) -> Operand:
    return replace(Operand.of(column.sql, column.type), reading=column.reading)


def _shown(operand: Operand) -> Operand:
    """The value as a column of a view: computed integers are bigint again."""
    if operand.kind == "integer" and operand.type.name == "numeric":
        return Operand.of(f"{operand.sql}::bigint", PgType("bigint"))
    if operand.kind == "integer" and operand.type.name != "bigint":
        return replace(operand, sql=f"{operand.sql}::bigint", type=PgType("bigint"))
    if operand.constant:
        return replace(operand, sql=f"{operand.sql}::{operand.type}")
    return operand
