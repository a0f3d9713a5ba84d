"""Translate SQLite's arithmetic, text operators and scalar functions into PostgreSQL's.

Invariant: each entry gives the same value on both sides for every operand of the kinds that it takes. Integers are
computed as numeric, which does not overflow where SQLite goes on with a real; numerics as the binary64 that SQLite has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from etl.model import Affinity, PgType
from etl.transform.schema.literals import LARGEST_EXACT, number_literal
from etl.transform.schema.names import quote_text
from etl.transform.schema.scope import Operand, Scope, ScopeColumn, column_operand, find_column
from etl.transform.schema.syntax import Untranslatable, unwrapped, written

BIGINT, DOUBLE, TEXT = PgType("bigint"), PgType("double precision"), PgType("text")
SIGNS: Mapping[type[exp.Expression], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
EXACT_PRECISION = 15  # a numeric of so many digits is one binary64
NUMBERS = frozenset({"integer", "real", "number"})
Condition = Callable[[exp.Expression, Scope], str]


@dataclass(frozen=True)
class Scalars:
    """Translates values within one scope; ``condition`` translates what stands behind WHEN."""

    scope: Scope
    condition: Condition

    def value(self, node: exp.Expression) -> Operand:
        """The value of an expression. Raises Untranslatable."""
        node = unwrapped(node)
        if type(node) in SIGNS:
            return self._arithmetic(node)
        for kind, translate in self._nodes().items():
            if isinstance(node, kind):
                return translate(node)
        raise Untranslatable(f"{node.key.upper()} is not translated")

    def _nodes(self) -> Mapping[type[exp.Expression], Callable[[exp.Expression], Operand]]:
        return {
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: Operand.of("1" if node.this else "0", BIGINT, constant=True),
            exp.Null: lambda _: Operand("null", TEXT, "null", constant=True),
            exp.Neg: self._negative,
            exp.DPipe: self._concatenation,
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Anonymous: self._call,
        }

    # --- operands --------------------------------------------------------------------------------------------------

    def _column(self, node: exp.Expression) -> Operand:
        column = find_column(node, self.scope)
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
        operands = [self.value(node) for node in nodes]
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
        parts = (self._as_text(self.value(part)) for part in (node.this, node.expression))
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
        results = unify([*(then for _, then in arms), *last])
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

    # --- functions -------------------------------------------------------------------------------------------------

    def _call(self, node: exp.Expression) -> Operand:
        name, arguments = str(node.name).lower(), node.expressions
        translate = {
            **dict.fromkeys(("lower", "upper"), self._fold),
            **dict.fromkeys(("trim", "ltrim", "rtrim"), self._trim),
            "length": self._length,
            **dict.fromkeys(("substr", "substring"), self._substring),
            "replace": self._replace,
            "instr": self._instr,
            **dict.fromkeys(("coalesce", "ifnull"), self._coalesce),
            "nullif": self._nullif,
            "iif": self._iif,
            "abs": self._abs,
            **dict.fromkeys(("min", "max"), self._extreme),
            "hex": self._hex,
        }.get(name)
        if translate is None:
            raise Untranslatable(f"{name}() is not translated")
        return translate(name, arguments)

    def _fold(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (text,) = self.texts(of_length(name, arguments, 1))
        return Operand.of(f'{name}({text} collate "C")', TEXT)  # SQLite folds ASCII only, which is what "C" does

    def _trim(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        texts = self.texts(of_length(name, arguments, 1, 2))
        return Operand.of(f"{'btrim' if name == 'trim' else name}({', '.join(texts)})", TEXT)  # blanks only, as SQLite

    def _length(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (argument,) = of_length(name, arguments, 1)
        column = find_column(unwrapped(argument), self.scope)
        if column is not None and is_bytes(column):
            return Operand.of(f"octet_length({column.sql})", PgType("integer"))
        (text,) = self.texts([argument])  # characters on both sides; a NUL, where SQLite stops, is not in the target
        return Operand.of(f"length({text})", PgType("integer"))

    def _substring(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (text,) = self.texts(of_length(name, arguments, 2, 3)[:1])
        places = [number_operand(number_literal(part)).sql for part in arguments[1:]]
        if not all(place.isdigit() for place in places) or places[0] == "0":  # SQLite counts those otherwise
            raise Untranslatable(f"{name}() is translated for places from 1 on only")
        return Operand.of(f"substr({', '.join((text, *places))})", TEXT)

    def _replace(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        return Operand.of(f"replace({', '.join(self.texts(of_length(name, arguments, 3)))})", TEXT)

    def _instr(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        return Operand.of(f"strpos({', '.join(self.texts(of_length(name, arguments, 2)))})", PgType("integer"))

    def _coalesce(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        of_length(name, arguments, *(range(2, 100) if name == "coalesce" else (2,)))
        results = unify([self.value(part) for part in arguments])
        return replace(results.shape, sql=f"coalesce({', '.join(results.sqls)})")

    def _nullif(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        equal = exp.EQ(this=arguments[0], expression=arguments[-1])
        (first, _) = of_length(name, arguments, 2)
        operand = self.value(first)
        return replace(operand, sql=f"(case when {self.condition(equal, self.scope)} then null else {operand.sql} end)")

    def _iif(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        when, then, other = of_length(name, arguments, 3)
        return self._case(exp.Case(ifs=[exp.If(this=when, true=then)], default=other))

    def _abs(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        operand = self._number(self.value(*of_length(name, arguments, 1)))
        return replace(operand, sql=f"abs({operand.sql})")

    def _extreme(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        """min() and max() of several values: NULL as soon as one of them is, where PostgreSQL leaves NULLs out."""
        results = unify([self.value(part) for part in of_length(name, arguments, *range(2, 100))])
        if results.shape.kind not in NUMBERS:
            raise Untranslatable(f"{name}() of several values is translated for numbers only")
        missing = " or ".join(f"{sql} is null" for sql in results.sqls)
        function = "least" if name == "min" else "greatest"
        sql = f"(case when {missing} then null else {function}({', '.join(results.sqls)}) end)"
        return replace(results.shape, sql=sql)

    def _hex(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (argument,) = of_length(name, arguments, 1)
        column = find_column(unwrapped(argument), self.scope)
        if column is None or not is_bytes(column):
            raise Untranslatable("hex() is translated for a bytea column only")
        return Operand.of(f"coalesce(upper(encode({column.sql}, 'hex')), '')", TEXT)  # hex(null) is ''


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


def of_length(name: str, arguments: Sequence[exp.Expression], *lengths: int) -> Sequence[exp.Expression]:
    """The arguments, when there are as many as the function takes."""
    if len(arguments) not in lengths:
        raise Untranslatable(f"{name}() with {len(arguments)} arguments is not translated")
    if any(isinstance(argument, exp.Star | exp.Distinct) for argument in arguments):
        raise Untranslatable(f"{name}({', '.join(map(written, arguments))}) is not translated")
    return arguments


def is_bytes(column: ScopeColumn) -> bool:
    return column.type.name == "bytea" and column.affinity is Affinity.BLOB
