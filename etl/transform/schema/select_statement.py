"""Translate one SELECT: its tables and joins, what it selects, its groups and its order.

Invariant: what is selected has the type that a view shows, and a name means what it means in SQLite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from sqlglot import exp

from etl.model import PgType
from etl.transform.schema.expressions import condition
from etl.transform.schema.json_paths import as_shown
from etl.transform.schema.names import fold
from etl.transform.schema.ordering import place_of, rows_at_the_end
from etl.transform.schema.relations import Query, Relation, Sources, Translator, require_bytes
from etl.transform.schema.scalars import Scalars
from etl.transform.schema.scope import Operand, find_column, query_value
from etl.transform.schema.syntax import Untranslatable, unwrapped, written


class Select:
    """One SELECT being translated."""

    def __init__(self, translator: Translator, node: exp.Select) -> None:
        self.node, self.sources, self.by_bytes = node, Sources(translator), translator.by_bytes

    def translate(self) -> Query:
        tables = self.sources.render(self.node)
        self.scope = self.sources.scope
        self.scope.windows = {fold(window.name): window for window in self.node.args.get("windows") or []}
        windows = {_over(window) for window in self.node.find_all(exp.Window) if window.args.get("over")}
        self.scope.rows = replace(
            self.sources.rows, settles_ties=len(windows) < 2
        )  # the next one sees what the first sorted
        self.scalars = Scalars(self.scope, condition)
        groups = self._groups()
        if groups:
            self.scope.rows = self.scope.rows.grouped(groups)
        selected = [(name, value(), collation) for name, value, collation in self._columns()]
        operands = tuple(_shown(operand) for _, operand, _ in selected)
        distinct = self.node.args.get("distinct")
        if distinct is not None:
            if distinct.args.get("on"):
                raise Untranslatable("DISTINCT ON is not translated")
            require_bytes([collation for _, _, collation in selected])
        listed = ", ".join(_by_bytes(operand) if self.by_bytes else operand.sql for operand in operands)
        parts = [f"select {'distinct ' if distinct is not None else ''}{listed}", *tables]
        where, having = self.node.args.get("where"), self.node.args.get("having")
        if where is not None:
            parts.append(f"where {condition(where.this, self.scope)}")
        if groups:
            parts.append(f"group by {', '.join(groups)}")
        if having is not None:
            parts.append(f"having {condition(having.this, self.scope)}")
        parts += self._order(selected)
        names = tuple(name for name, _, _ in selected)
        shown: dict[str, str] = {}  # what is selected → the name under which
        for name, operand, _ in selected:
            shown.setdefault(operand.sql, name)
        keys = self.scope.rows.keys[0] if len(self.scope.rows.keys) == 1 else ()
        told = tuple(frozenset(shown[column] for column in key) for key in keys if key <= shown.keys())
        return Query(
            " ".join(parts),
            names,
            operands,
            tuple(collation for _, _, collation in selected),
            (frozenset(names),) if distinct is not None else told,
            is_ordered=bool(self.node.args.get("order")),
        )

    # --- what is selected ------------------------------------------------------------------------------------------

    def _columns(self) -> Iterator[tuple[str, Callable[[], Operand], str]]:
        """(name, value, collation) of each column; a value is translated when it is asked for."""
        for node in self.node.expressions:
            if isinstance(node, exp.Star):
                yield from self._all_of(self.sources.sources)
            elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
                yield from self._all_of(
                    [s for s in self.sources.sources if fold(s[0]) == fold(node.table)], merged=True
                )
            else:
                inner = unwrapped(node.this if isinstance(node, exp.Alias) else node)
                column = find_column(inner, self.scope)
                collation = column.collation if column is not None else "BINARY"
                yield node.alias_or_name or written(node), partial(self._value, inner), collation

    def _all_of(
        self, sources: Sequence[tuple[str, Relation, set[str]]], *, merged: bool = False
    ) -> Iterator[tuple[str, Callable[[], Operand], str]]:
        for alias, relation, hidden in sources:
            for name, column in zip(relation.names, relation.columns, strict=True):
                if not merged and fold(name) in hidden:
                    continue
                one = None if merged else self.sources.merged.get(fold(name))
                yield name, partial(query_value, one or replace(column, qualifier=alias)), column.collation

    def _value(self, node: exp.Expression) -> Operand:
        """Columns of every type may be handed on; everything else is computed."""
        column = find_column(node, self.scope)
        return query_value(column) if column is not None else self.scalars.value(node)

    # --- GROUP BY, ORDER BY, LIMIT ---------------------------------------------------------------------------------

    def _groups(self) -> list[str]:
        """The terms of GROUP BY: columns, and what is selected under a place or an alias."""
        clause, terms, listed = self.node.args.get("group"), [], list(self._columns())
        for node in map(unwrapped, clause.expressions if clause is not None else []):
            column, place = find_column(node, self.scope), place_of(node, [name for name, _, _ in listed])
            if column is not None:
                require_bytes([column.collation])
                terms.append(column.sql)
            elif place is not None:
                require_bytes([listed[place][2]])
                terms.append(listed[place][1]().sql)
            else:
                operand = self._value(node)
                as_shown(operand)  # what cannot be shown is not told apart either
                terms.append(operand.sql)
        return terms

    def _order(self, selected: Sequence[tuple[str, Operand, str]]) -> list[str]:
        def meant(node: exp.Expression) -> Operand:
            place, column = place_of(node, [name for name, _, _ in selected]), find_column(node, self.scope)
            if place is not None:
                require_bytes([selected[place][2]])
                return selected[place][1]
            require_bytes([column.collation] if column is not None else [])
            return self._value(node)

        return rows_at_the_end(self.node, meant)


def _over(window: exp.Expression) -> tuple[str, ...]:
    """What a window partitions and orders by."""
    parts = (window.args.get("alias"), *(window.args.get("partition_by") or ()), window.args.get("order"))
    return tuple(str(part) for part in parts if part is not None)


def _by_bytes(operand: Operand) -> str:
    return f'{operand.sql} collate "C"' if operand.kind == "text" else operand.sql


def _shown(operand: Operand) -> Operand:
    """The value as a column of a view: computed integers are bigint again."""
    operand = as_shown(operand)
    if operand.kind == "integer" and operand.type.name == "numeric":
        return Operand.of(f"{operand.sql}::bigint", PgType("bigint"))
    if operand.kind == "integer" and operand.type.name != "bigint":
        return replace(operand, sql=f"{operand.sql}::bigint", type=PgType("bigint"))
    if operand.constant:
        return replace(operand, sql=f"{operand.sql}::{operand.type}")
    return operand
