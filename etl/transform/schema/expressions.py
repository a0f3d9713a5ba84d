"""Translate SQLite's conditions (CHECK, partial indexes) and index expressions into PostgreSQL's.

Invariant: sqlglot only parses. What is rendered comes from an allow-list of node types, each of which means the same
on both sides for every value that its column can hold; anything else raises ``Untranslatable`` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from etl.model import Affinity, PgType
from etl.transform.schema.literals import boolean_literal, exact_number, is_iso_date, number_literal
from etl.transform.schema.names import quote, quote_text
from etl.transform.schema.syntax import Untranslatable, parse, unwrapped, written
from etl.transform.schema.types import INTEGER_TYPES, NUMBER_TYPES

COMPARISONS: Mapping[type[exp.Expression], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
}
ORDERINGS = frozenset({"<", "<=", ">", ">="})
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
NUMERIC_AFFINITIES = frozenset({Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC})
# Target type → the source affinities under which SQLite compares the values as PostgreSQL will.
COMPARABLE_AFFINITIES: Mapping[str, frozenset[Affinity]] = {
    **dict.fromkeys(NUMBER_TYPES | {"boolean"}, NUMERIC_AFFINITIES),
    "date": frozenset({Affinity.NUMERIC, Affinity.TEXT}),
    "text": frozenset({Affinity.TEXT}),
    "varchar": frozenset({Affinity.TEXT}),
}
# what typeof() says of the values that a target type can hold
CLASSES_OF_TYPE: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("smallint", "integer", "bigint", "boolean"), frozenset({"integer"})),
    "double precision": frozenset({"real"}),
    "numeric": frozenset({"integer", "real"}),
    "text": frozenset({"text"}),
    "varchar": frozenset({"text"}),
    "bytea": frozenset({"blob"}),
}


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A column that an expression may name."""

    name: str  # in the target
    type: PgType
    affinity: Affinity  # of the source: it decides what SQLite compares
    collation: str = "BINARY"  # of the source


# source name in lower case → column
Scope = Mapping[str, ScopeColumn]


@dataclass(frozen=True, slots=True)
class Operand:
    """A column or a function of a column, with the type that it has in the target."""

    sql: str
    type: PgType


def translate_condition(sql: str, scope: Scope) -> str:
    """A CHECK's or a partial index's condition. Raises Untranslatable."""
    return _condition(parse(sql), scope)


def translate_index_term(sql: str, scope: Scope) -> str:
    """An expression of an index: only functions of text columns that fold ASCII alone. Raises Untranslatable."""
    node = unwrapped(parse(sql))
    if isinstance(node, exp.Anonymous) and node.name.lower() in {"lower", "upper"}:
        return _function(node, scope).sql
    raise Untranslatable("only lower() and upper() of a text column are translated in an index")


def _condition(node: exp.Expression, scope: Scope) -> str:
    if isinstance(node, exp.Paren):
        return _condition(node.this, scope)
    if isinstance(node, exp.And | exp.Or):
        word = "and" if isinstance(node, exp.And) else "or"
        return f"({_condition(node.this, scope)} {word} {_condition(node.expression, scope)})"
    if isinstance(node, exp.Not):
        return _negation(unwrapped(node.this), scope)
    if isinstance(node, exp.Is):
        return _is(node, scope, "is")
    if isinstance(node, exp.In):
        return _in(node, scope, "in")
    if isinstance(node, exp.Between):
        low, high = (
            exp.GTE(this=node.this, expression=node.args["low"]),
            exp.LTE(this=node.this, expression=node.args["high"]),
        )
        return f"({_comparison(low, scope)} and {_comparison(high, scope)})"
    if type(node) in COMPARISONS:
        return _comparison(node, scope)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "json_valid":
        return _json_valid(node, scope)
    if isinstance(node, exp.Column):
        operand = _operand(node, scope)
        if operand.type.name == "boolean":
            return operand.sql
        raise Untranslatable(f"{operand.sql} alone is no condition in PostgreSQL")
    raise Untranslatable(_unknown(node))


def _negation(node: exp.Expression, scope: Scope) -> str:
    if isinstance(node, exp.Is):
        return _is(node, scope, "is not")
    if isinstance(node, exp.In):
        return _in(node, scope, "not in")
    return f"not ({_condition(node, scope)})"


def _is(node: exp.Is, scope: Scope, word: str) -> str:
    """``is null`` of any column; ``is true`` of booleans."""
    right = node.expression
    if isinstance(right, exp.Null):
        return f"{_operand(unwrapped(node.this), scope, any_collation=True).sql} {word} null"
    operand = _operand(unwrapped(node.this), scope)
    if isinstance(right, exp.Boolean) and operand.type.name == "boolean":
        return f"{operand.sql} {word} {'true' if right.this else 'false'}"
    raise Untranslatable(f"IS with {written(right)} is not translated")


def _in(node: exp.In, scope: Scope, word: str) -> str:
    values = node.args.get("expressions") or []
    if not values:
        raise Untranslatable("IN with a query or an empty list is not translated")
    subject = unwrapped(node.this)
    if _is_typeof(subject):
        return _typeof(subject, {_string(value) for value in values}, scope, negated=word != "in")
    operand = _operand(subject, scope)
    listed = ", ".join(_literal(value, operand, scope) for value in values)
    return f"{operand.sql} {word} ({listed})"


def _comparison(node: exp.Expression, scope: Scope) -> str:
    sign = COMPARISONS[type(node)]
    left, right = unwrapped(node.this), unwrapped(node.expression)
    if _is_constant(left, scope) and not _is_constant(right, scope):
        left, right, sign = right, left, MIRRORED.get(sign, sign)
    if _is_typeof(left) and sign in {"=", "<>"}:
        return _typeof(left, {_string(right)}, scope, negated=sign == "<>")
    operand = _operand(left, scope)
    if operand.type.name == "boolean" and sign in ORDERINGS:
        raise Untranslatable("booleans have no order worth keeping")
    if _is_constant(right, scope):
        other = _literal(right, operand, scope)
    else:
        other = _same_kind(operand, _operand(right, scope)).sql
    left_sql = operand.sql
    if operand.type.name in {"text", "varchar"} and sign in ORDERINGS:
        left_sql = f'{left_sql} collate "C"'  # SQLite orders text by bytes
    return f"{left_sql} {sign} {other}"


def _same_kind(left: Operand, right: Operand) -> Operand:
    """The right operand, when both sides compare in PostgreSQL as they do in SQLite."""
    kinds = {left.type.name, right.type.name}
    if kinds <= INTEGER_TYPES or kinds <= {"text", "varchar"} or (len(kinds) == 1 and kinds <= {"date", "boolean"}):
        return right
    if len(kinds) == 1 and kinds <= NUMBER_TYPES:
        return right
    raise Untranslatable(f"{left.type} and {right.type} do not compare as in SQLite")


def _operand(node: exp.Expression, scope: Scope, any_collation: bool = False) -> Operand:
    if isinstance(node, exp.Anonymous):
        return _function(node, scope)
    column = _column(node, scope)
    if column is None:
        raise Untranslatable(_unknown(node))
    if column.collation != "BINARY" and not any_collation:
        raise Untranslatable(f"{quote(column.name)} compares by the collation {column.collation}")
    if any_collation or column.affinity in COMPARABLE_AFFINITIES.get(column.type.name, frozenset()):
        return Operand(quote(column.name), column.type)
    raise Untranslatable(f"{quote(column.name)} compares otherwise as {column.type}")


def _function(node: exp.Anonymous, scope: Scope) -> Operand:
    """length(), trim(), lower() and upper() of one text column; length() of a bytea column."""
    name = node.name.lower()
    arguments = node.expressions
    if name not in {"length", "trim", "lower", "upper"} or len(arguments) != 1:
        raise Untranslatable(f"{name}() is not translated")
    column = _column(unwrapped(arguments[0]), scope)
    if column is None:
        raise Untranslatable(f"{name}() is translated for a column only")
    inner = quote(column.name)
    if name == "length" and column.type.name == "bytea" and column.affinity is Affinity.BLOB:
        return Operand(f"octet_length({inner})", PgType("integer"))
    if column.type.name not in {"text", "varchar"} or column.affinity is not Affinity.TEXT:
        raise Untranslatable(f"{name}() of a {column.type} column is not translated")
    if name == "length":  # characters on both sides; a NUL, where SQLite stops, cannot be in the target
        return Operand(f"length({inner})", PgType("integer"))
    if column.collation != "BINARY":
        raise Untranslatable(f"{inner} compares by the collation {column.collation}")
    if name == "trim":  # blanks only, as SQLite
        return Operand(f"btrim({inner})", column.type)
    # SQLite folds ASCII only, which is what "C" does
    return Operand(f'{name}({inner} collate "C")', column.type)


def _literal(node: exp.Expression, operand: Operand, scope: Scope) -> str:
    """A constant as the operand's type has it."""
    node = unwrapped(node)
    kind = operand.type.name
    if isinstance(node, exp.Null):
        return "null"
    if kind == "boolean":
        return boolean_literal(node)
    if kind in NUMBER_TYPES:
        return exact_number(number_literal(node), kind)
    text = _string(node, scope)
    if kind in {"text", "varchar"}:
        return quote_text(text)
    if kind == "date" and is_iso_date(text):
        return f"date {quote_text(text)}"
    raise Untranslatable(f"{text!r} is no {operand.type}")


def _typeof(node: exp.Expression, listed: set[str], scope: Scope, negated: bool) -> str:
    """``typeof(c) = 'integer'``: what the column's type already demands, but for NULL."""
    column = _column(unwrapped(node.expressions[0]), scope) if len(node.expressions) == 1 else None
    if column is None or negated:
        raise Untranslatable("typeof() is translated for a column only")
    if not CLASSES_OF_TYPE.get(column.type.name, frozenset({""})) <= listed:
        raise Untranslatable(f"typeof() of a {column.type} column is not translated")
    return "true" if "null" in listed else f"{quote(column.name)} is not null"


def _json_valid(node: exp.Anonymous, scope: Scope) -> str:
    column = _column(unwrapped(node.expressions[0]), scope) if len(node.expressions) == 1 else None
    if column is None or column.type.name not in {"json", "jsonb"}:
        raise Untranslatable("json_valid() is translated for json and jsonb columns only")
    return f"(case when {quote(column.name)} is not null then true end)"  # NULL for NULL, as in SQLite


def _is_typeof(node: exp.Expression) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == "typeof"


def _is_constant(node: exp.Expression, scope: Scope) -> bool:
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        return True
    if isinstance(node, exp.Neg):
        return _is_constant(unwrapped(node.this), scope)
    return isinstance(node, exp.Column) and _column(node, scope) is None and bool(node.this.quoted)


def _column(node: exp.Expression, scope: Scope) -> ScopeColumn | None:
    return scope.get(node.name.lower()) if isinstance(node, exp.Column) else None


def _string(node: exp.Expression, scope: Scope | None = None) -> str:
    """A string constant; a name in double quotes that no column has is one too, as SQLite takes it."""
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    if isinstance(node, exp.Column) and node.this.quoted and (scope is None or _column(node, scope) is None):
        return str(node.name)
    raise Untranslatable(f"{written(node)} is no string")


def _unknown(node: exp.Expression) -> str:
    if isinstance(node, exp.Anonymous):
        return f"{node.name}() is not translated"
    if isinstance(node, exp.Column):
        return f"{node.name} is no column of the table"
    return f"{node.key.upper()} is not translated"
