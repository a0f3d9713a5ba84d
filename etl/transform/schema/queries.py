"""Translate a query: one SELECT, several of them united, and those that WITH gives names.

Invariant: every clause is on an allow-list; a clause, a join or a function that is not on it makes the whole query
untranslatable, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from etl.transform.schema.names import fold, quote
from etl.transform.schema.ordering import place_of, rows_at_the_end
from etl.transform.schema.relations import Query, Relation, as_relation, column_list, require_bytes
from etl.transform.schema.scope import Operand, QueryScope, ScopeColumn
from etl.transform.schema.select_statement import Select
from etl.transform.schema.syntax import Untranslatable, unwrapped

CLAUSES = frozenset(
    {
        *("expressions", "from_", "joins", "where", "group", "having", "distinct", "order", "limit", "offset"),
        *("with_", "windows"),
    }
)
AT_THE_END = ("order", "limit", "offset")
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
    by_bytes: bool = False  # what is selected is collated by bytes: both parts of a recursion must be

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
        return Select(self, node).translate()

    def within(self, scope: QueryScope, node: exp.Expression) -> tuple[str, list[Operand]]:
        """A query inside a query, which sees the columns of the outer one."""
        inner = QueryTranslator(self.relations, self.used, scope)
        query = inner.translate(node)
        return query.sql, list(query.operands)

    def _with(self, node: exp.Expression) -> Query:
        relations, rendered = dict(self.relations), []
        inner = QueryTranslator(relations, self.used, self.outer)
        recursive = ""
        for cte in node.args["with_"].expressions:
            if reads(cte.this, cte.alias):  # SQLite asks for no RECURSIVE
                recursive, query = "recursive ", inner.recursion(cte)
            else:
                query = _renamed(inner.translate(cte.this), cte)
            rendered.append(f"{quote(cte.alias)} ({column_list(query.names)}) as ({query.sql})")
            relations[fold(cte.alias)] = as_relation(quote(cte.alias), query)
        body = node.copy()
        body.set("with_", None)
        query = inner.translate(body)
        return replace(query, sql=f"with {recursive}{', '.join(rendered)} {query.sql}")

    def recursion(self, cte: exp.Expression) -> Query:
        """A CTE that reads itself: what it begins with, and the step from its rows to further ones."""
        union = unwrapped(cte.this)
        args = {name for name, value in union.args.items() if value}
        if (
            not isinstance(union, exp.Union)
            or args - {"this", "expression", "distinct"}
            or reads(union.this, cte.alias)
        ):
            raise Untranslatable(f"the recursion of {cte.alias} is not translated")
        relations = dict(self.relations)
        inner = QueryTranslator(relations, self.used, self.outer, by_bytes=True)
        first = _renamed(inner.translate(union.this), cte)
        relations[fold(cte.alias)] = as_relation(quote(cte.alias), replace(first, keys=(), is_ordered=False))
        return self._united(union, first, inner.translate(union.expression))

    def _set_operation(self, node: exp.Expression) -> Query:
        unknown = {name for name, value in node.args.items() if value} - {"this", "expression", "distinct", *AT_THE_END}
        if unknown:
            raise Untranslatable(f"{', '.join(sorted(unknown)).upper()} of a UNION is not translated")
        query = self._united(node, self.translate(node.this), self.translate(node.expression))
        if not any(node.args.get(part) for part in AT_THE_END):
            return query
        places = [str(place + 1) for place in range(len(query.names))]  # two columns may have one name
        shown = [replace(operand, sql=quote(place)) for operand, place in zip(query.operands, places, strict=True)]

        def meant(term: exp.Expression) -> Operand:
            place = place_of(term, query.names)
            if place is None:
                raise Untranslatable("a UNION is ordered by its own columns only")
            require_bytes([query.collations[place]])
            return shown[place]

        end = " ".join(rows_at_the_end(node, meant))
        sql = f"select * from ({query.sql}) as united ({column_list(places)}) {end}"
        return replace(query, sql=sql, is_ordered=bool(node.args.get("order")))

    def _united(self, node: exp.Expression, left: Query, right: Query) -> Query:
        if [operand.kind for operand in left.operands] != [operand.kind for operand in right.operands]:
            raise Untranslatable("the two sides of a UNION have columns of different kinds")
        every = not node.args.get("distinct")
        if not every:
            require_bytes([*left.collations, *right.collations])
        word = SET_OPERATIONS[type(node)] + (" all" if every else "")
        sides = (f"({side.sql})" if isinstance(part, exp.Select) else side.sql for side, part in
                 ((left, node.this), (right, node.expression)))  # fmt: skip
        keys = () if every else (frozenset(left.names),)
        return replace(left, sql=f" {word} ".join(sides), keys=keys, is_ordered=False)


def reads(node: exp.Expression, name: str) -> bool:
    """Whether the query names a table so."""
    return any(fold(table.name) == fold(name) for table in node.find_all(exp.Table))


def _renamed(query: Query, cte: exp.Expression) -> Query:
    """With the names of columns that the WITH clause gives."""
    names = tuple(str(column.name) for column in cte.args["alias"].args.get("columns") or [])
    if not names:
        return query
    if len(names) != len(query.names):
        raise Untranslatable(f"{cte.alias} has another number of columns than its query")
    given = dict(zip(query.names, names, strict=True))
    keys = tuple(frozenset(given[name] for name in key) for key in query.keys)
    return replace(query, names=names, keys=keys)
