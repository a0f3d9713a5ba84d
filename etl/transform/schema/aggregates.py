"""Translate SQLite's aggregates: count, sum, total, avg, min, max and group_concat.

Invariant: an aggregate gives the type that SQLite gives, whatever PostgreSQL would make of it: the sum of integers is
an integer, an average a real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from etl.transform.schema.json_paths import JSON_TYPE, JSON_VALUE
from etl.transform.schema.names import quote_text
from etl.transform.schema.operators import BIGINT, DOUBLE, TEXT, Operators
from etl.transform.schema.scope import Operand, QueryScope, find_column
from etl.transform.schema.syntax import Untranslatable, unwrapped

TEXT_AGGREGATES = frozenset({"group_concat", "string_agg"})
AGGREGATES = frozenset({"count", "sum", "total", "avg", "min", "max"}) | TEXT_AGGREGATES


@dataclass(frozen=True)
class Aggregates(Operators):
    """Translates values and aggregates of them within one scope."""

    def _filtered(self, node: exp.Expression) -> Operand:
        call = node.this
        if not isinstance(call, exp.Anonymous) or call.name.lower() not in AGGREGATES:
            raise Untranslatable("FILTER is translated behind an aggregate only")
        where = f" filter (where {self.condition(node.expression.this, self.scope)})"
        return self._aggregate(call.name.lower(), call.expressions, where)

    def _aggregate(self, name: str, arguments: Sequence[exp.Expression], where: str = "") -> Operand:
        """An aggregate of one argument; ``where`` is its FILTER clause."""
        if not isinstance(self.scope, QueryScope):
            raise Untranslatable(f"{name}() of all rows is translated within a view only")
        if name == "count" and (not arguments or isinstance(arguments[0], exp.Star)):
            return Operand.of(f"count(*){where}", BIGINT)
        if name in TEXT_AGGREGATES:
            return self._gathered(name, arguments, where)
        distinct = ""
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            arguments, distinct = arguments[0].expressions, "distinct "
        if len(arguments) != 1:
            raise Untranslatable(f"{name}() with {len(arguments)} arguments is not translated")
        operand = self.value(arguments[0])
        if distinct and operand.kind in {JSON_VALUE, JSON_TYPE}:
            raise Untranslatable("values inside documents are told apart otherwise")
        if name in {"min", "max"}:
            return self._extreme_row(name, operand, arguments[0], where)
        if name == "count":
            self._require_bytes(arguments[0], bool(distinct))
            return Operand.of(f"count({distinct}{operand.sql}){where}", BIGINT)
        return self._sum(name, distinct, operand, where)

    def _gathered(self, name: str, arguments: Sequence[exp.Expression], where: str) -> Operand:
        """group_concat(): texts in the order in which SQLite finds their rows."""
        if len(arguments) not in {1, 2} or not isinstance(self.scope, QueryScope):
            raise Untranslatable(f"{name}() with {len(arguments)} arguments is not translated")
        if any(isinstance(argument, exp.Distinct | exp.Order) for argument in arguments):
            raise Untranslatable(f"{name}() with DISTINCT or ORDER BY is not translated")
        separator = unwrapped(arguments[1]) if len(arguments) == 2 else exp.Literal.string(",")
        if not isinstance(separator, exp.Literal) or not separator.is_string:
            raise Untranslatable(f"{name}() is translated with a constant separator only")
        text = self._as_text(self._legible(self.value(arguments[0])))
        between = quote_text(str(separator.this))
        return Operand.of(f"string_agg({text}, {between}{self.scope.rows.found()}){where}", TEXT)

    def _sum(self, name: str, distinct: str, operand: Operand, where: str) -> Operand:
        number = self._number(operand)  # numerics are summed as the binary64 that SQLite sums
        total = f"sum({distinct}{number.sql}){where}"
        if name == "total":
            return Operand.of(f"coalesce({total}::double precision, 0)", DOUBLE)
        if name == "avg":
            return Operand.of(f"({total}::double precision / count({distinct}{number.sql}){where})", DOUBLE)
        if number.kind == "integer":
            return Operand.of(f"{total}::bigint", BIGINT)
        return Operand(total, DOUBLE, number.kind)

    def _extreme_row(self, name: str, operand: Operand, node: exp.Expression, where: str) -> Operand:
        self._require_bytes(node, True)
        if operand.kind in {"boolean", "uuid", "json", "jsonb", JSON_VALUE, JSON_TYPE}:
            raise Untranslatable(f"{name}() of {operand.type} is not translated")
        collated = f'{operand.sql} collate "C"' if operand.kind == "text" else operand.sql
        return replace(operand, sql=f"{name}({collated}){where}", constant=False)

    def _require_bytes(self, node: exp.Expression, needed: bool) -> None:
        """Raise Untranslatable for a column that SQLite compares by another collation."""
        column = find_column(unwrapped(node), self.scope)
        if needed and column is not None and column.collation != "BINARY":
            raise Untranslatable(f"{column.name} compares by the collation {column.collation}")
