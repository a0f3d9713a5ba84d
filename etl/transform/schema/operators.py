"""Translate SQLite's literals, arithmetic, ||, CASE and CAST into PostgreSQL's.

Invariant: each entry gives the same value on both sides for every operand of the kinds that it takes. Integers are
computed as numeric, which does not overflow where SQLite goes on with a real; numerics as the binary64 that SQLite has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from etl.model import PgType
from etl.transform.schema.json_paths import arrow, as_shown, extract
from etl.transform.schema.literals import LARGEST_EXACT, number_literal
from etl.transform.schema.names import quote_text
from etl.transform.schema.scope import (
    Operand,
    QueryScope,
    Scope,
    column_operand,
    find_column,
    query_operand,
)
from etl.transform.schema.syntax import Untranslatable, unwrapped
from etl.transform.schema.types import INTEGER_TYPES

BIGINT, DOUBLE, TEXT = PgType("bigint"), PgType("double precision"), PgType("text")
SIGNS: Mapping[type[exp.Expression], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
BITWISE: Mapping[type[exp.Expression], str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|"}
SHIFTS: Mapping[type[exp.Expression], str] = {exp.BitwiseLeftShift: "<<", exp.BitwiseRightShift: ">>"}
TRUTHS = (exp.Predicate, exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Escape)  # 1, 0 or NULL
EXACT_PRECISION = 15  # a numeric of so many digits is one binary64
NUMBERS = frozenset({"integer", "real", "number"})
Condition = Callable[[exp.Expression, Scope], str]


@dataclass(frozen=True)
class Operators:
    """Translates values within one scope, without its functions; ``condition`` translates what stands behind WHEN."""

    scope: Scope
    condition: Condition

    def value(self, node: exp.Expression) -> Operand:
        """The value of an expression. Raises Untranslatable."""
        node = unwrapped(node)
        if type(node) in SIGNS:
            return self._arithmetic(node)
        if isinstance(node, TRUTHS):
            return Operand.of(self.condition(node, self.scope), PgType("boolean"))
        for kind, translate in self._nodes().items():
            if isinstance(node, kind):
                return translate(node)
        raise Untranslatable(f"{SHIFTS.get(type(node), node.key.upper())} is not translated")

    def _nodes(self) -> Mapping[type[exp.Expression], Callable[[exp.Expression], Operand]]:
        return {
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: Operand.of("1" if node.this else "0", BIGINT, constant=True),
            exp.Null: lambda _: Operand("null", TEXT, "null", constant=True),
            exp.Neg: self._negative,
            exp.BitwiseAnd: self._bitwise,
            exp.BitwiseOr: self._bitwise,
            exp.BitwiseNot: lambda node: Operand.of(f"(~ {self._bits(node.this)})", BIGINT),
            exp.DPipe: self._concatenation,
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Anonymous: self._call,
            exp.Filter: self._filtered,
            exp.Subquery: self._subquery,
            exp.Window: self._window,
            exp.JSONExtract: lambda node: arrow(node.this, node.expression, self.scope),
            exp.JSONExtractScalar: lambda node: extract(node.this, node.expression, self.scope),
        }

    # --- operands --------------------------------------------------------------------------------------------------

    def _column(self, node: exp.Expression) -> Operand:
        column = find_column(node, self.scope)
        if column is not None and isinstance(self.scope, QueryScope):
            return query_operand(column)
        if column is not None:
            return column_operand(column, any_collation=True)
        if isinstance(node, exp.Column) and node.this.quoted and not node.table:
            return Operand.of(quote_text(str(node.name)), TEXT, constant=True)  # SQLite takes it for a string
        raise Untranslatable(f"{node.name} is no column of the table")

    @staticmethod
    def _literal(node: exp.Expression) -> Operand:
        if isinstance(node, exp.Literal) and node.is_string:
            return Operand.of(quote_text(str(node.this)), TEXT, constant=True)
        return number_operand(number_literal(node))

    def _negative(self, node: exp.Expression) -> Operand:
        inner = unwrapped(node.this)
        if isinstance(inner, exp.Literal) and not inner.is_string:
            return number_operand(number_literal(node))
        operand = self._number(self.value(inner))
        if operand.kind == "integer":
            return replace(operand, sql=f"(- {operand.sql}::numeric)", type=PgType("numeric"))
        return replace(operand, sql=f"(- {operand.sql})")

    def texts(self, nodes: Sequence[exp.Expression]) -> list[str]:
        """The operands, which must be text."""
        operands = [self._legible(self.value(node)) for node in nodes]
        for operand in operands:
            if operand.kind not in {"text", "null"}:
                raise Untranslatable(f"{operand.sql} is no text")
        return [operand.sql for operand in operands]

    @staticmethod
    def _number(operand: Operand) -> Operand:
        """The operand as a number to compute with: booleans are 0 and 1, numerics the binary64 of SQLite."""
        if operand.kind == "boolean":
            return Operand.of(f"{operand.sql}::integer", BIGINT)
        if operand.kind not in NUMBERS:
            raise Untranslatable(f"{operand.sql} is no number to compute with")
        if operand.kind == "number" and operand.type.name == "numeric":
            if (operand.type.precision or EXACT_PRECISION + 1) > EXACT_PRECISION:
                raise Untranslatable(f"{operand.sql} may have more digits than SQLite computes with")
            return Operand(f"{operand.sql}::double precision", DOUBLE, "number")
        return operand

    # --- operators -------------------------------------------------------------------------------------------------

    def _arithmetic(self, node: exp.Expression) -> Operand:
        sign = SIGNS[type(node)]
        left, right = (self._number(self.value(part)) for part in (node.this, node.expression))
        if left.kind == right.kind == "integer":
            return self._integer_arithmetic(left, sign, right)
        if sign == "%":
            raise Untranslatable("% is translated for integers only")
        if sign == "/" and "real" not in {left.kind, right.kind}:
            raise Untranslatable("SQLite divides integers without a rest, and these may be integers")
        ours, theirs = (
            part.sql if part.kind != "integer" else f"{part.sql}::double precision" for part in (left, right)
        )
        if sign == "/":
            return Operand(f"({ours} / nullif({theirs}, 0))", DOUBLE, "real")
        return Operand(f"({ours} {sign} {theirs})", DOUBLE, "real" if "real" in {left.kind, right.kind} else "number")

    def _bitwise(self, node: exp.Expression) -> Operand:
        return Operand.of(f"({self._bits(node.this)} {BITWISE[type(node)]} {self._bits(node.expression)})", BIGINT)

    def _bits(self, node: exp.Expression) -> str:
        """The operand as the 64 bits that both sides have of an integer; a computed one may be a real in SQLite."""
        operand = self._number(self.value(node))
        if operand.type.name not in INTEGER_TYPES:
            raise Untranslatable(f"the bits of {operand.sql} are not translated")
        return f"({operand.sql})::bigint"  # a cast binds closer than a sign

    @staticmethod
    def _integer_arithmetic(left: Operand, sign: str, right: Operand) -> Operand:
        if sign in {"+", "-", "*"}:
            return Operand(f"({left.sql}::numeric {sign} {right.sql})", PgType("numeric"), "integer")
        if "numeric" in {left.type.name, right.type.name}:
            raise Untranslatable("the division of a computed number is not translated")
        divisor = right.sql if right.constant and right.sql.strip("-0") else f"nullif({right.sql}, 0)"
        function = "div" if sign == "/" else "mod"
        return Operand(f"{function}({left.sql}::numeric, {divisor})", PgType("numeric"), "integer")

    def _concatenation(self, node: exp.Expression) -> Operand:
        parts = (self._as_text(self._legible(self.value(part))) for part in (node.this, node.expression))
        return Operand.of(f"({' || '.join(parts)})", TEXT)

    @staticmethod
    def _as_text(operand: Operand) -> str:
        if operand.kind == "text":
            return operand.sql
        if operand.kind == "integer" and operand.type.name != "numeric":  # else it may be a real in SQLite
            return f"{operand.sql}::text"
        if operand.kind == "boolean":
            return f"{operand.sql}::integer::text"
        if operand.kind == "null":
            return "null::text"
        raise Untranslatable(f"{operand.sql} as text looks otherwise in SQLite")

    def _case(self, node: exp.Expression) -> Operand:
        arms = [(arm.this, self.value(arm.args["true"])) for arm in node.args.get("ifs") or []]
        default = node.args.get("default")
        last = [self.value(default)] if default is not None else []
        if node.this is not None:
            arms = [(exp.EQ(this=node.this, expression=when), then) for when, then in arms]
        results = self.unified([*(then for _, then in arms), *last])
        whens = [self.condition(when, self.scope) for when, _ in arms]
        pairs = zip(whens, results.sqls, strict=False)
        rendered = " ".join(f"when {when} then {then}" for when, then in pairs)
        rest = f" else {results.sqls[-1]}" if last else ""
        return replace(results.shape, sql=f"(case {rendered}{rest} end)")

    def _cast(self, node: exp.Expression) -> Operand:
        operand, wanted = self.value(node.this), str(node.args["to"].sql()).upper()
        column = find_column(unwrapped(node.this), self.scope)
        if column is not None and column.collation != "BINARY":
            raise Untranslatable(f"a cast of {column.name} compares by the collation {column.collation}")
        if wanted in {"TEXT", "VARCHAR", "CHAR"}:
            return Operand.of(self._as_text(operand), TEXT)
        whole = operand.kind in {"integer", "boolean"} and operand.type.name != "numeric"
        if wanted in {"INT", "BIGINT", "INTEGER"} and whole:
            return self._number(operand)
        if wanted in {"REAL", "DOUBLE", "FLOAT"} and operand.kind in NUMBERS | {"boolean"}:
            return Operand.of(f"{self._number(operand).sql}::double precision", DOUBLE)
        raise Untranslatable(f"a cast of {operand.sql} to {wanted} is not translated")

    def unified(self, operands: Sequence[Operand]) -> Unified:
        """Values that may stand for each other; in a view a value inside a document goes with text."""
        kinds = {operand.kind for operand in operands} - {"null"}
        return unify(operands if len(kinds) == 1 else [self._legible(operand) for operand in operands])

    def _legible(self, operand: Operand) -> Operand:
        """The operand; in a view a value inside a document as its text."""
        return as_shown(operand) if isinstance(self.scope, QueryScope) else operand

    def _subquery(self, node: exp.Expression) -> Operand:
        """A query of one column and one row."""
        if not isinstance(self.scope, QueryScope):
            raise Untranslatable("a query is translated within a view only")
        sql, operands = self.scope.subquery(node.this, self.scope)
        if len(operands) != 1 or node.this.args.get("limit"):
            raise Untranslatable("a query that stands for a value has one column and no LIMIT")
        return replace(operands[0], sql=f"({sql})", constant=False)

    def _filtered(self, node: exp.Expression) -> Operand:
        raise Untranslatable(f"{node.key.upper()} is not translated")

    def _window(self, node: exp.Expression) -> Operand:
        raise Untranslatable("OVER is not translated")

    def _call(self, node: exp.Expression) -> Operand:
        raise Untranslatable(f"{node.name}() is not translated")


@dataclass(frozen=True, slots=True)
class Unified:
    """Values that may stand for each other: their SQL, and an operand with their common type."""

    sqls: tuple[str, ...]
    shape: Operand


def unify(operands: Sequence[Operand]) -> Unified:
    """The common type of the results of CASE, coalesce and the like. Raises Untranslatable where there is none."""
    kinds = {operand.kind for operand in operands} - {"null"}
    if kinds == {"boolean", "integer"}:
        operands = [replace(o, sql=f"{o.sql}::integer") if o.kind == "boolean" else o for o in operands]
        kinds = {"integer"}
    if len(kinds) != 1:
        raise Untranslatable(f"values of different kinds ({' and '.join(sorted(kinds)) or 'none'}) have no one type")
    (kind,) = kinds
    types = {operand.type for operand in operands if operand.kind != "null"}
    if kind == "integer":
        type_ = PgType("numeric") if PgType("numeric") in types else BIGINT
    else:
        type_ = TEXT if kind == "text" else next(iter(types))
        if kind == "number" and len(types) > 1:
            raise Untranslatable("numbers of different types have no one type")
    return Unified(tuple(operand.sql for operand in operands), Operand("", type_, kind))


def number_operand(text: str) -> Operand:
    """A number as SQLite reads it: an integer within 64 bits, else a binary64."""
    if re.fullmatch(r"-?\d+", text) and -(2**63) <= int(text) < 2**63:
        return Operand.of(text, BIGINT, constant=True)
    if abs(float(text)) > LARGEST_EXACT:
        raise Untranslatable(f"{text} is too large to compute with")
    return Operand.of(f"{text}::double precision", DOUBLE, constant=True)
