"""The scalar rules for ranges, from PostgreSQL's own notation of them.

Invariant: every bound goes by the rules of its own type; one that is refused refuses the whole.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.numerals import INTEGER_BOUNDS
from etl.transform.rows.outcomes import Convert, Converted, Outcome, Refused, refuse
from etl.transform.rows.rendering import input_text

RANGES = {
    "int4range": PgType("integer"),
    "int8range": PgType("bigint"),
    "numrange": PgType("numeric"),
    "daterange": PgType("date"),
    "tsrange": PgType("timestamp"),
    "tstzrange": PgType("timestamptz"),
}

_BOUND = rb'(?:"([^"\\]*)"|([^",\\()\[\]]*))'
_RANGE = re.compile(rb"([\[(])%s,%s([\])])" % (_BOUND, _BOUND))


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
