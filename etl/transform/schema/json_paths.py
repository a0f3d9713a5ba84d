"""Translate what SQLite's JSON functions find in a jsonb column.

Invariant: a path is followed as SQLite follows it: a name finds something in an object only, a number in an array only.
What is found keeps its JSON type until it is compared or shown, since SQLite tells 5 from '5' and 1 from 'true'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from etl.model import PgType
from etl.transform.schema.names import quote_text
from etl.transform.schema.scope import Operand, Scope, find_column
from etl.transform.schema.syntax import Untranslatable, unwrapped, written

JSON_VALUE = "value inside a document"  # the kind of what json_extract() gives
JSON_TYPE = "type of a value inside a document"  # the kind of what json_type() gives
JSONB, TEXT = PgType("jsonb"), PgType("text")
STEP = re.compile(r"""\.(?P<key>[A-Za-z_]\w*)|\."(?P<quoted>[^"\\]+)"|\[(?P<place>\d{1,9})\]""", re.ASCII)
LABEL = re.compile(r"[A-Za-z_]\w*", re.ASCII)
TYPE_NAMES = {"object", "array", "text", "true", "false", "null"}  # jsonb does not tell an integer from a real


def find(document: exp.Expression, path: exp.Expression | None, scope: Scope) -> str:
    """The jsonb value at the path, NULL where there is none. Raises Untranslatable."""
    sql = _document(unwrapped(document), scope)
    for step in _steps(path):
        if isinstance(step, str):
            sql = f"({sql} -> {quote_text(step)})"
        else:  # PostgreSQL takes a scalar for an array of itself
            sql = f"(case when jsonb_typeof({sql}) = 'array' then {sql} -> {step} end)"
    return sql


def extract(document: exp.Expression, path: exp.Expression | None, scope: Scope) -> Operand:
    """``json_extract(doc, path)`` and ``doc ->> path``: an SQL value, NULL for JSON's null."""
    return Operand(f"nullif({find(document, path, scope)}, 'null')", JSONB, JSON_VALUE)


def arrow(document: exp.Expression, path: exp.Expression, scope: Scope) -> Operand:
    """``doc -> path``: a document."""
    return Operand.of(find(document, path, scope), JSONB)


def json_type(document: exp.Expression, path: exp.Expression | None, scope: Scope) -> Operand:
    found = find(document, path, scope)
    sql = (
        f"(case jsonb_typeof({found}) when 'string' then 'text' when 'boolean' then {found}::text"
        f" else jsonb_typeof({found}) end)"
    )
    return Operand(sql, TEXT, JSON_TYPE)


def array_length(document: exp.Expression, path: exp.Expression | None, scope: Scope) -> Operand:
    """0 for what is no array, NULL for what is not there."""
    found = find(document, path, scope)
    sql = (
        f"(case when {found} is null then null when jsonb_typeof({found}) = 'array'"
        f" then jsonb_array_length({found}) else 0 end)"
    )
    return Operand.of(sql, PgType("integer"))


def as_shown(operand: Operand) -> Operand:
    """A value inside a document as text, which a view shows; true and false are SQLite's 1 and 0.

    Raises Untranslatable for its type.
    """
    if operand.kind == JSON_TYPE:
        raise Untranslatable("json_type() is compared only: jsonb does not keep how a number was written")
    if operand.kind != JSON_VALUE:
        return operand
    value = operand.sql
    truth = f"({value})::boolean::integer::text"
    sql = f"(case jsonb_typeof({value}) when 'boolean' then {truth} else {value} #>> '{{}}' end)"
    return replace(operand, sql=sql, type=TEXT, kind="text")


def compared(text: str, operand: Operand) -> str:
    """A string constant as what the operand is compared with. Raises Untranslatable."""
    if operand.kind == JSON_TYPE:
        if text not in TYPE_NAMES:
            raise Untranslatable(f"json_type() {text!r}: jsonb does not keep how a number was written")
        return quote_text(text)
    if text[:1] in {"[", "{"}:
        raise Untranslatable("the text of a document inside a document is written otherwise in PostgreSQL")
    return f"{quote_text(json.dumps(text, ensure_ascii=False))}::jsonb"


def _document(node: exp.Expression, scope: Scope) -> str:
    if isinstance(node, exp.JSONExtract):
        return find(node.this, node.expression, scope)
    column = find_column(node, scope)
    if column is None:
        raise Untranslatable(f"JSON functions are translated for columns only, and {written(node)} is none")
    if column.type.name != "jsonb":
        raise Untranslatable(f"JSON functions are translated for jsonb columns only{column.castable('jsonb')}")
    return column.sql


def _steps(path: exp.Expression | None) -> Sequence[str | int]:
    """The keys and places of a path. Raises Untranslatable."""
    if path is None:
        return ()
    path = unwrapped(path)
    if not isinstance(path, exp.Literal):
        raise Untranslatable("a path into a document is translated as a constant only")
    text = str(path.this)
    if not path.is_string and text.isdigit():
        return (int(text),)
    if path.is_string and LABEL.fullmatch(text):
        return (text,)
    steps: list[str | int] = []
    place = 1 if path.is_string and text.startswith("$") else len(text) + 1
    while place < len(text):
        match = STEP.match(text, place)
        if match is None:
            break
        steps.append(int(match["place"]) if match["place"] else match["key"] or match["quoted"])
        place = match.end()
    if place != len(text):
        raise Untranslatable(f"the path {text} is not translated")
    return steps
