"""The scalar rules for arrays of scalars, from JSON arrays, and for ranges.

Invariant: every element goes by the rules of its own type; one that is refused refuses the whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.numerals import INTEGER_BOUNDS
from etl.transform.rows.outcomes import Converted, Outcome, Refused, refuse
from etl.transform.rows.rendering import SourceValue, input_text

RANGES = {
    "int4range": PgType("integer"),
    "int8range": PgType("bigint"),
    "numrange": PgType("numeric"),
    "daterange": PgType("date"),
    "tsrange": PgType("timestamp"),
    "tstzrange": PgType("timestamptz"),
}
Convert = Callable[[SourceValue, StorageClass, PgType, Reading], Outcome]

_WIDEST_EXPONENT = 1_000  # of a JSON number that is written out; with a wider one it is no plain decimal
_BOUND = rb'(?:"([^"\\]*)"|([^",\\()\[\]]*))'
_RANGE = re.compile(rb"([\[(])%s,%s([\])])" % (_BOUND, _BOUND))


class _Number(str):
    """A JSON number as written."""

    __slots__ = ()


def array_from_text(value: bytes, target: PgType, reading: Reading, convert: Convert) -> Outcome:
    """``json-to-array``: a JSON array of scalars, null among them."""
    element = target.base
    try:
        items = json.loads(value.decode(), parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or element is None:
        return refuse(value, StorageClass.TEXT, target, f"is not a JSON array, which {target} is read from")
    parts = []
    for item in items:
        part = _element(item, element, reading, convert)
        if part is None:
            shown = (item if isinstance(item, _Number) else json.dumps(item))[:40]
            return refuse(value, StorageClass.TEXT, target, f"holds {shown}, which is not {element}", "jsonb")
        parts.append(part)
    return Converted("{" + ",".join(parts) + "}", "json-to-array")


def _refuse_constant(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are Python's, not JSON's


def _element(item: Any, element: PgType, reading: Reading, convert: Convert) -> str | None:
    """An element of an array literal; None where its type cannot hold it."""
    if item is None:
        return "NULL"
    if isinstance(item, bool):
        return ("t" if item else "f") if element.name == "boolean" else None
    if not isinstance(item, str):
        return None
    try:
        source, storage = _stored(item, element)
    except (UnicodeEncodeError, ArithmeticError):  # a lone surrogate; an exponent that nobody can hold
        return None
    outcome = convert(source, storage, element, reading)
    if isinstance(outcome, Refused):
        return None
    if outcome.value is None:
        return "NULL"
    text = input_text(outcome.value, element).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _stored(item: str, element: PgType) -> tuple[SourceValue, StorageClass]:
    """A JSON scalar as SQLite would store it; a number keeps its digits, as a text, where they count."""
    if not isinstance(item, _Number):
        return item.encode(), StorageClass.TEXT
    if len(item) < 20 and item.lstrip("-").isdigit() and -(2**63) <= int(item) < 2**63:
        return int(item), StorageClass.INTEGER
    if element.name in ("text", "varchar", "char", "citext", "real", "double precision"):
        return item.encode(), StorageClass.TEXT
    if element.name == "numeric":
        number = Decimal(item)
        plain = "e" not in item.lower() or abs(number.adjusted()) > _WIDEST_EXPONENT
        return (item if plain else format(number, "f")).encode(), StorageClass.TEXT
    return float(item), StorageClass.REAL


def range_from_text(value: bytes, target: PgType, reading: Reading, convert: Convert) -> Outcome:
    """Exact for ``empty`` and for ``[lower,upper)`` with any brackets; a bound left out has no end."""
    if value == b"empty":
        return Converted("empty")
    match = _RANGE.fullmatch(value)
    if match is None:
        return refuse(value, StorageClass.TEXT, target)
    bounds: list[Any] = []
    for quoted, bare in ((match[2], match[3]), (match[4], match[5])):
        if quoted is None and not bare:
            bounds.append(None)
            continue
        outcome = convert(bare if quoted is None else quoted, StorageClass.TEXT, RANGES[target.name], reading)
        if isinstance(outcome, Refused) or outcome.value is None:
            return refuse(value, StorageClass.TEXT, target)
        bounds.append(outcome.value)
    if None not in bounds and _is_after(*bounds):
        return refuse(value, StorageClass.TEXT, target, "ends before it begins")
    if (match[1] == b"(" and _is_last(bounds[0], target)) or (match[6] == b"]" and _is_last(bounds[1], target)):
        return refuse(value, StorageClass.TEXT, target, f"is out of range for {target}")
    lower, upper = ("" if bound is None else f'"{input_text(bound, RANGES[target.name])}"' for bound in bounds)
    return Converted(f"{match[1].decode()}{lower},{upper}{match[6].decode()}")


def _is_last(bound: Any, target: PgType) -> bool:
    """Whether the server, which keeps these ranges as ``[lower,upper)``, finds no whole number behind it."""
    name = RANGES[target.name].name
    return name in INTEGER_BOUNDS and bound == INTEGER_BOUNDS[name][1]


def _is_after(lower: Any, upper: Any) -> bool:
    """Numerics are text of their digits, everything else is a number."""
    if not isinstance(lower, str):
        return bool(lower > upper)
    return Decimal(lower) > Decimal(upper)
