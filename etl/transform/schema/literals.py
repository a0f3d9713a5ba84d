"""Constants of SQLite's SQL as PostgreSQL's SQL.

Invariant: a number is rendered only as it is written; where its binary64 and its decimal compare differently, it is
refused.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from sqlglot import exp

from etl.transform.schema.syntax import Untranslatable, unwrapped, written
from etl.transform.schema.types import INTEGER_TYPES

LARGEST_EXACT = 2**53  # every integer up to it is a binary64
EXACT_DIGITS = 15  # a decimal of so many digits is the shortest spelling of its binary64


def number_literal(node: exp.Expression) -> str:
    """A number as written, its sign included; TRUE and FALSE are 1 and 0. Raises Untranslatable."""
    node = unwrapped(node)
    if isinstance(node, exp.Neg):
        inner = number_literal(node.this)
        return inner[1:] if inner.startswith("-") else f"-{inner}"
    if isinstance(node, exp.Boolean):
        return "1" if node.this else "0"
    if isinstance(node, exp.Literal) and not node.is_string and re.fullmatch(r"[\d.]+(?:[eE][+-]?\d+)?", node.this):
        return str(node.this)
    raise Untranslatable(f"{written(node)} is no number")


def exact_number(text: str, kind: str) -> str:
    """The number where a binary64, which SQLite compares, and the decimal, which PostgreSQL compares, are as good."""
    value = Decimal(text)
    is_integer = re.fullmatch(r"-?\d+", text) and -(2**63) <= value < 2**63
    if is_integer and (kind in INTEGER_TYPES | {"numeric"} or abs(value) <= LARGEST_EXACT):
        return text
    digits = len(value.normalize().as_tuple().digits)
    if is_integer or digits > EXACT_DIGITS or not (abs(value) <= LARGEST_EXACT or Decimal(float(value)) == value):
        raise Untranslatable(f"{text} compares otherwise where numbers are decimals")
    return text


def boolean_literal(node: exp.Expression) -> str:
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Literal) and not node.is_string and node.this in {"0", "1"}:
        return "true" if node.this == "1" else "false"
    raise Untranslatable(f"{written(node)} is no boolean")


def is_iso_date(text: str) -> bool:
    """``YYYY-MM-DD`` and on the calendar."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
