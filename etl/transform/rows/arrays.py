"""The scalar rules for arrays, from JSON arrays.

Invariant: every element goes by the rules of its own type; one that is refused refuses the whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import repeat
from typing import Any

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.arrow_types import underlying
from etl.transform.rows.notations import no_label
from etl.transform.rows.outcomes import Convert, Converted, Outcome, Refused, TargetValue, refuse
from etl.transform.rows.rendering import SourceValue, cut, input_text

_WIDEST_EXPONENT = 1_000  # of a JSON number that is written out; with a wider one it is no plain decimal
_BLANK = re.compile(r"[ \t\n\r]*")


class _Number(str):
    """A JSON number as written."""

    __slots__ = ()


def _refuse_constant(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are Python's, not JSON's


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)


def array_from_text(value: bytes, target: PgType, reading: Reading, convert: Convert) -> Outcome:
    """``json-to-array``: a JSON array of scalars, null among them; of anything, where the elements are documents.

    ``json-duplicate-keys`` where an element is a document that loses some.
    """
    element = target.base
    try:
        text = value.decode()
        items = _DECODER.decode(text)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or element is None:
        return refuse(value, StorageClass.TEXT, target, f"is not a JSON array, which {target} is read from")
    spelled = _as_written(text, len(items)) if underlying(element).name in ("json", "jsonb") else repeat(None)
    parts, rule = [], "json-to-array"
    for item, document in zip(items, spelled, strict=False):
        outcome = _element(item, document, element, reading, convert)
        if not isinstance(outcome, Converted):
            return _refuse_item(value, item, target, element)
        if outcome.rule == "json-duplicate-keys":
            rule = outcome.rule
        parts.append(_literal(outcome.value, element))
    return Converted("{" + ",".join(parts) + "}", rule)


def _as_written(text: str, count: int) -> Iterator[str]:
    """The items of a JSON array as they stand in its text."""
    at = text.index("[") + 1
    for _ in range(count):
        start = _end_of_blank(text, at)
        _, end = _DECODER.raw_decode(text, start)
        yield text[start:end]
        at = _end_of_blank(text, end) + 1  # behind the comma


def _end_of_blank(text: str, start: int) -> int:
    match = _BLANK.match(text, start)
    return start if match is None else match.end()


def _literal(value: TargetValue, element: PgType) -> str:
    """An element of an array literal."""
    if value is None:
        return "NULL"
    escaped = input_text(value, underlying(element)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _refuse_item(value: bytes, item: Any, target: PgType, element: PgType) -> Refused:
    shown = cut((item if isinstance(item, _Number) else json.dumps(item, ensure_ascii=False))[:40])
    if underlying(element).labels:
        problem, flag = no_label(underlying(element))
        return refuse(value, StorageClass.TEXT, target, f"holds {shown}, which {problem}", "jsonb", flag)
    return refuse(value, StorageClass.TEXT, target, f"holds {shown}, which is not {element}", "jsonb")


def _element(item: Any, document: str | None, element: PgType, reading: Reading, convert: Convert) -> Outcome | None:
    """An element by the rules of its type; None where that has none for such an item."""
    if item is None:
        return Converted(None)
    if document is not None:
        return convert(document.encode(), StorageClass.TEXT, element, reading)
    if isinstance(item, bool):
        return Converted(item) if underlying(element).name == "boolean" else None
    if not isinstance(item, str):
        return None
    try:
        source, storage = _stored(item, underlying(element))
    except (UnicodeEncodeError, ArithmeticError):  # a lone surrogate; an exponent that nobody can hold
        return None
    return convert(source, storage, element, reading)


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
