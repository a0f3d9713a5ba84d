"""Translate SQLite's conditions (CHECK, partial indexes) and index expressions into PostgreSQL's.

Invariant: sqlglot only parses. What is rendered comes from an allow-list of node types, each of which means the same
on both sides for every value that its column can hold; anything else raises ``Untranslatable`` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from etl.transform.schema.json_paths import JSON_TYPE, JSON_VALUE, compared
from etl.transform.schema.literals import boolean_literal, exact_number, is_iso_date, number_literal
from etl.transform.schema.names import quote_text
from etl.transform.schema.operators import NUMBERS
from etl.transform.schema.patterns import translate_glob, translate_like
from etl.transform.schema.scalars import Scalars
from etl.transform.schema.scope import Operand, QueryScope, Scope, ScopeColumn, column_operand, find_column
from etl.transform.schema.syntax import Untranslatable, parse, unwrapped, written
from etl.transform.schema.types import NUMBER_TYPES

__all__ = ["Scope", "ScopeColumn", "translate_condition", "translate_index_term", "translate_value"]

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
VALUES = (
    *(exp.Anonymous, exp.Case, exp.DPipe, exp.Cast, exp.Literal, exp.Neg, exp.Boolean, exp.Subquery, exp.Filter),
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.JSONExtract, exp.JSONExtractScalar),
    *(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseNot),
)
# what typeof() says of the values that a target type can hold
CLASSES_OF_TYPE: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("smallint", "integer", "bigint", "boolean"), frozenset({"integer"})),
    "double precision": frozenset({"real"}),
    "numeric": frozenset({"integer", "real"}),
    "text": frozenset({"text"}),
    "varchar": frozenset({"text"}),
    "bytea": frozenset({"blob"}),
}


def translate_condition(sql: str, scope: Scope) -> str:
    """A CHECK's or a partial index's condition. Raises Untranslatable."""
    return condition(parse(sql), scope)


def translate_value(sql: str, scope: Scope) -> Operand:
    """A value, as of a generated column. Raises Untranslatable."""
    return Scalars(scope, condition).value(parse(sql))


def translate_index_term(sql: str, scope: Scope) -> str:
    """An expression of an index, in parentheses unless it is one call. Raises Untranslatable."""
    node = unwrapped(parse(sql))
    operand = Scalars(scope, condition).value(node)
    if operand.constant or operand.kind not in NUMBERS | {"text"}:
        raise Untranslatable(f"{written(node)} orders otherwise in PostgreSQL")
    if operand.kind == "text" and isinstance(node, exp.Anonymous) and node.name.lower() in {"lower", "upper"}:
        return operand.sql
    return f'({operand.sql} collate "C")' if operand.kind == "text" else f"({operand.sql})"


def condition(node: exp.Expression, scope: Scope) -> str:
    if isinstance(node, exp.Paren):
        return condition(node.this, scope)
    if isinstance(node, exp.And | exp.Or):
        word = "and" if isinstance(node, exp.And) else "or"
        return f"({condition(node.this, scope)} {word} {condition(node.expression, scope)})"
    if isinstance(node, exp.Not):
        return _negation(unwrapped(node.this), scope)
    if isinstance(node, exp.Is):
        return _is(node, scope, "is")
    if isinstance(node, exp.In):
        return _in(node, scope, "in")
    if type(node) in COMPARISONS:
        return _comparison(node, scope)
    if isinstance(node, exp.Between | exp.Exists | exp.Like | exp.Glob | exp.Escape) or _is_call(node, "json_valid"):
        return _predicate(node, scope)
    if isinstance(node, exp.Null):  # as in ``check (null or …)``: neither true nor false on both sides
        return "null"
    operand = _operand(node, scope)
    if operand.kind == "boolean":
        return operand.sql
    if operand.kind in NUMBERS:
        return f"{operand.sql} <> 0"
    raise Untranslatable(f"{operand.sql} alone is no condition in PostgreSQL")


def _predicate(node: exp.Expression, scope: Scope) -> str:
    if isinstance(node, exp.Between):
        low, high = (
            exp.GTE(this=node.this, expression=node.args["low"]),
            exp.LTE(this=node.this, expression=node.args["high"]),
        )
        return f"({_comparison(low, scope)} and {_comparison(high, scope)})"
    if isinstance(node, exp.Exists):
        return f"exists ({_subquery(node.this, scope)[0]})"
    return _json_valid(node, scope) if isinstance(node, exp.Anonymous) else _pattern(node, scope)


def _pattern(node: exp.Expression, scope: Scope) -> str:
    """LIKE and GLOB of a text operand with a constant pattern."""
    escape = None
    if isinstance(node, exp.Escape):
        escape, node = _string(node.expression), node.this
    if not isinstance(node, exp.Like | exp.Glob):
        raise Untranslatable(_unknown(node))
    (subject,) = Scalars(scope, condition).texts([node.this])
    pattern = _string(unwrapped(node.expression), scope)
    if isinstance(node, exp.Glob):
        return translate_glob(subject, pattern)
    rendered = translate_like(subject, pattern, escape)
    return f"not ({rendered})" if node.args.get("negate") else rendered


def _negation(node: exp.Expression, scope: Scope) -> str:
    if isinstance(node, exp.Is):
        return _is(node, scope, "is not")
    if isinstance(node, exp.In):
        return _in(node, scope, "not in")
    return f"not ({condition(node, scope)})"


def _is(node: exp.Is, scope: Scope, word: str) -> str:
    """``is null`` of any column; ``is true`` of booleans."""
    right = node.expression
    if isinstance(right, exp.Null):
        return f"{_anything(unwrapped(node.this), scope)} {word} null"
    operand = _operand(unwrapped(node.this), scope)
    if isinstance(right, exp.Boolean) and operand.type.name == "boolean":
        return f"{operand.sql} {word} {'true' if right.this else 'false'}"
    raise Untranslatable(f"IS with {written(right)} is not translated")


def _in(node: exp.In, scope: Scope, word: str) -> str:
    if node.args.get("query") is not None:
        return _in_query(node, scope, word)
    values = node.args.get("expressions") or []
    if not values:
        raise Untranslatable("IN with a query or an empty list is not translated")
    subject = unwrapped(node.this)
    if _is_call(subject, "typeof"):
        return _typeof(subject, {_string(value) for value in values}, scope, negated=word != "in")
    operand = _operand(subject, scope)
    listed = ", ".join(_literal(value, operand, scope) for value in values)
    return f"{operand.sql} {word} ({listed})"


def _in_query(node: exp.In, scope: Scope, word: str) -> str:
    operand = _operand(unwrapped(node.this), scope)
    sql, selected = _subquery(node.args["query"], scope)
    if len(selected) != 1 or _same_kind(operand, selected[0]).kind == "boolean":
        raise Untranslatable("IN with this query is not translated")
    return f"{operand.sql} {word} ({sql})"


def _subquery(node: exp.Expression, scope: Scope) -> tuple[str, list[Operand]]:
    if not isinstance(scope, QueryScope):
        raise Untranslatable("a query is translated within a view only")
    return scope.subquery(node.this if isinstance(node, exp.Subquery) else node, scope)


def _comparison(node: exp.Expression, scope: Scope) -> str:
    sign = COMPARISONS[type(node)]
    left, right = unwrapped(node.this), unwrapped(node.expression)
    if _is_constant(left, scope) and not _is_constant(right, scope):
        left, right, sign = right, left, MIRRORED.get(sign, sign)
    if _is_call(left, "typeof") and sign in {"=", "<>"}:
        return _typeof(left, {_string(right)}, scope, negated=sign == "<>")
    same = _same_columns(left, right, scope) if sign in {"=", "<>"} else None
    if same is not None:
        return f"{same[0].sql} {sign} {same[1].sql}"
    operand = _operand(left, scope)
    if operand.kind in {JSON_VALUE, JSON_TYPE} and sign in ORDERINGS:
        raise Untranslatable("values inside documents have another order")
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


def _same_columns(left: exp.Expression, right: exp.Expression, scope: Scope) -> tuple[ScopeColumn, ScopeColumn] | None:
    """Two columns of one type that a view joins by: uuids, timestamps and the like, whatever their order is."""
    if not isinstance(scope, QueryScope):
        return None
    ours, theirs = find_column(left, scope), find_column(right, scope)
    if ours is None or theirs is None or ours.type != theirs.type or ours.reading != theirs.reading:
        return None
    return (ours, theirs) if ours.type.name in {"uuid", "timestamp", "timestamptz", "time", "bytea"} else None


def _same_kind(left: Operand, right: Operand) -> Operand:
    """The right operand, when both sides compare in PostgreSQL as they do in SQLite."""
    if {left.kind, right.kind} & {JSON_VALUE, JSON_TYPE}:
        raise Untranslatable("a value inside a document is compared with string constants only")
    if left.kind == right.kind and (left.kind in {"integer", "text"} or left.type == right.type):
        return right
    if left.type.name == right.type.name == "numeric" and "integer" not in {left.kind, right.kind}:
        return right
    raise Untranslatable(f"{left.type} and {right.type} do not compare as in SQLite")


def _operand(node: exp.Expression, scope: Scope) -> Operand:
    """One side of a comparison: a column compares by its collation, everything else by bytes."""
    column = find_column(node, scope)
    if column is not None:
        return column_operand(column)
    if isinstance(node, VALUES):
        return Scalars(scope, condition).value(node)
    raise Untranslatable(_unknown(node))


def _anything(node: exp.Expression, scope: Scope) -> str:
    """What may be NULL: a column of any type, or a value."""
    column = find_column(node, scope)
    return column.sql if column is not None else _operand(node, scope).sql


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
    if operand.kind in {JSON_VALUE, JSON_TYPE}:
        return compared(text, operand)
    if kind in {"text", "varchar"}:
        return quote_text(text)
    if kind == "date" and is_iso_date(text):
        return f"date {quote_text(text)}"
    raise Untranslatable(f"{text!r} is no {operand.type}")


def _typeof(node: exp.Expression, listed: set[str], scope: Scope, negated: bool) -> str:
    """``typeof(c) = 'integer'``: what the column's type already demands, but for NULL."""
    column = find_column(unwrapped(node.expressions[0]), scope) if len(node.expressions) == 1 else None
    if column is None or negated:
        raise Untranslatable("typeof() is translated for a column only")
    if not CLASSES_OF_TYPE.get(column.type.name, frozenset({""})) <= listed:
        raise Untranslatable(f"typeof() of a {column.type} column is not translated")
    return "true" if "null" in listed else f"{column.sql} is not null"


def _json_valid(node: exp.Anonymous, scope: Scope) -> str:
    column = find_column(unwrapped(node.expressions[0]), scope) if len(node.expressions) == 1 else None
    if column is None or column.type.name not in {"json", "jsonb"}:
        named = column.castable("jsonb") if column is not None else ""
        raise Untranslatable(f"json_valid() is translated for json and jsonb columns only{named}")
    return f"(case when {column.sql} is not null then true end)"  # NULL for NULL, as in SQLite


def _is_call(node: exp.Expression, name: str) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == name


def _is_constant(node: exp.Expression, scope: Scope) -> bool:
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        return True
    if isinstance(node, exp.Neg):
        return _is_constant(unwrapped(node.this), scope)
    return isinstance(node, exp.Column) and find_column(node, scope) is None and bool(node.this.quoted)


def _string(node: exp.Expression, scope: Scope | None = None) -> str:
    """A string constant; a name in double quotes that no column has is one too, as SQLite takes it."""
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    if isinstance(node, exp.Column) and node.this.quoted and (scope is None or find_column(node, scope) is None):
        return str(node.name)
    raise Untranslatable(f"{written(node)} is no string")


def _unknown(node: exp.Expression) -> str:
    if isinstance(node, exp.Anonymous):
        return f"{node.name}() is not translated"
    if isinstance(node, exp.Column):
        return f"{node.name} is no column of the table"
    return f"{node.key.upper()} is not translated"
