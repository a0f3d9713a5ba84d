"""The conversion of one value: the specification, which the vector rules of ``columns`` agree with bit by bit.

Invariant: every pair of storage class and target type is exact, coerced by a named rule, or refused (COERCION §2);
nothing is cut, replaced or guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from etl.errors import PlanError
from etl.model import PLAIN_READING, PgType, Reading, StorageClass
from etl.transform.rows import (
    arrays,
    booleans,
    characters,
    dates,
    intervals,
    json_text,
    networks,
    notations,
    numerals,
    ranges,
)
from etl.transform.rows.outcomes import Converted, Outcome, Refused, TargetValue, refuse
from etl.transform.rows.rendering import SourceValue

__all__ = ["Converted", "Outcome", "Refused", "TargetValue", "convert_value"]

CHARACTER_TYPES = frozenset(("text", "varchar", "char", "citext"))

_DASHED = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9a-f]{32}", re.IGNORECASE)

Rule = Callable[[Any, PgType], Outcome]
ReadingRule = Callable[[Any, PgType, Reading], Outcome]


def convert_value(
    value: SourceValue, storage: StorageClass, target: PgType, reading: Reading = PLAIN_READING
) -> Outcome:
    """Convert one source value to what the Arrow array of the target type takes.

    TEXT and BLOB are ``bytes`` as stored, TEXT neither known to be UTF-8 nor free of NUL. Raises PlanError for a type
    that has no rules at all; planning never lets one through.
    """
    if value is None:
        return Converted(None)
    if target.base is not None or target.labels:
        return _convert_derived(value, storage, target, reading)
    if reading.empty_as_null and value == b"" and storage is StorageClass.TEXT and is_nullable_when_empty(target):
        return Converted(None, "empty-null")
    reading_rules, rules = _READING_RULES.get(target.name), _RULES.get(target.name)
    if reading_rules is not None and storage in reading_rules:
        return reading_rules[storage](value, target, reading)
    if rules is not None and storage in rules:
        return rules[storage](value, target)
    if reading_rules is None and rules is None:
        raise PlanError(f"there is no conversion to {target}", "--cast the column to one of the types that have one")
    return refuse(value, storage, target)


def _convert_derived(value: SourceValue, storage: StorageClass, target: PgType, reading: Reading) -> Outcome:
    """A domain by the type under it, an array by the type of its elements, an enum by its labels."""
    if target.base is not None and not target.name.endswith("[]"):
        return convert_value(value, storage, target.base, reading)
    if storage is not StorageClass.TEXT or not isinstance(value, bytes):
        return refuse(value, storage, target)
    if reading.empty_as_null and value == b"":
        return Converted(None, "empty-null")
    if target.labels:
        return notations.label_from_text(value, target)
    return arrays.array_from_text(value, target, reading, convert_value)


def _range_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    return ranges.range_from_text(value, target, reading, convert_value)


def is_nullable_when_empty(target: PgType) -> bool:
    """Whether ``--empty-as-null`` means this type: every one but text, where '' is a value."""
    return target.name not in CHARACTER_TYPES


# --- uuid ----------------------------------------------------------------------------------------------------------


def _uuid_from_text(value: bytes, target: PgType) -> Outcome:
    if _DASHED.fullmatch(value):
        digits = value.replace(b"-", b"")
        return Converted(bytes.fromhex(digits.decode()), None if digits == digits.lower() else "uuid-spelling")
    bare = value.removeprefix(b"urn:uuid:")
    if bare[:1] == b"{" and bare[-1:] == b"}":
        bare = bare[1:-1]
    if _DASHED.fullmatch(bare) or _DIGITS.fullmatch(bare):
        return Converted(bytes.fromhex(bare.replace(b"-", b"").decode()), "uuid-spelling")
    return refuse(value, StorageClass.TEXT, target)


def _uuid_from_blob(value: bytes, target: PgType) -> Outcome:
    return Converted(value, "blob-to-uuid") if len(value) == 16 else refuse(value, StorageClass.BLOB, target)


# --- which rule ----------------------------------------------------------------------------------------------------

_INTEGERS: dict[StorageClass, Rule] = {
    StorageClass.INTEGER: numerals.integer_from_integer,
    StorageClass.REAL: numerals.integer_from_real,
    StorageClass.TEXT: numerals.integer_from_text,
}
_REALS: dict[StorageClass, Rule] = {
    StorageClass.INTEGER: numerals.real_from_integer,
    StorageClass.REAL: numerals.real_from_real,
    StorageClass.TEXT: numerals.real_from_text,
}
_TEXTS: dict[StorageClass, ReadingRule] = {
    StorageClass.INTEGER: characters.text_from_integer,
    StorageClass.REAL: characters.text_from_real,
    StorageClass.TEXT: characters.text_from_text,
    StorageClass.BLOB: characters.text_from_blob,
}
_DOCUMENTS: dict[StorageClass, Rule] = {
    StorageClass.INTEGER: json_text.json_from_integer,
    StorageClass.REAL: json_text.json_from_real,
    StorageClass.TEXT: json_text.convert_document,
}
_BINARY_DOCUMENTS: dict[StorageClass, ReadingRule] = {StorageClass.BLOB: json_text.json_from_blob}
_RULES: dict[str, dict[StorageClass, Rule]] = {
    "smallint": _INTEGERS,
    "integer": _INTEGERS,
    "bigint": _INTEGERS,
    "real": _REALS,
    "double precision": _REALS,
    "numeric": {
        StorageClass.INTEGER: numerals.numeric_from_integer,
        StorageClass.REAL: numerals.numeric_from_real,
        StorageClass.TEXT: numerals.numeric_from_text,
    },
    "json": _DOCUMENTS,
    "jsonb": _DOCUMENTS,
    "money": {
        StorageClass.INTEGER: notations.money_from_integer,
        StorageClass.REAL: notations.money_from_real,
        StorageClass.TEXT: notations.money_from_text,
    },
    "xml": {StorageClass.TEXT: notations.xml_from_text},
    "bit": {StorageClass.TEXT: notations.bits_from_text},
    "varbit": {StorageClass.TEXT: notations.bits_from_text},
    "inet": {StorageClass.TEXT: networks.inet_from_text},
    "cidr": {StorageClass.TEXT: networks.inet_from_text},
    "macaddr": {StorageClass.TEXT: networks.macaddr_from_text},
    "macaddr8": {StorageClass.TEXT: networks.macaddr_from_text},
    "uuid": {StorageClass.TEXT: _uuid_from_text, StorageClass.BLOB: _uuid_from_blob},
    "bytea": {StorageClass.TEXT: characters.bytea_from_text, StorageClass.BLOB: characters.bytea_from_blob},
}
_NUMBERS_AS_TIMES: dict[StorageClass, ReadingRule] = {
    StorageClass.INTEGER: dates.temporal_from_integer,
    StorageClass.REAL: dates.temporal_from_real,
}
_READING_RULES: dict[str, dict[StorageClass, ReadingRule]] = {
    "boolean": {
        StorageClass.INTEGER: booleans.boolean_from_integer,
        StorageClass.REAL: booleans.boolean_from_real,
        StorageClass.TEXT: booleans.boolean_from_text,
    },
    "date": {**_NUMBERS_AS_TIMES, StorageClass.TEXT: dates.date_from_text},
    "timestamp": {**_NUMBERS_AS_TIMES, StorageClass.TEXT: dates.timestamp_from_text},
    "timestamptz": {**_NUMBERS_AS_TIMES, StorageClass.TEXT: dates.timestamptz_from_text},
    "time": {**_NUMBERS_AS_TIMES, StorageClass.TEXT: dates.time_from_text},
    "json": _BINARY_DOCUMENTS,
    "jsonb": _BINARY_DOCUMENTS,
    "timetz": {StorageClass.TEXT: intervals.timetz_from_text},
    "interval": {
        StorageClass.INTEGER: intervals.interval_from_integer,
        StorageClass.REAL: intervals.interval_from_real,
        StorageClass.TEXT: intervals.interval_from_text,
    },
    **{name: {StorageClass.TEXT: _range_from_text} for name in ranges.RANGES},
    "text": _TEXTS,
    "varchar": _TEXTS,
    "char": _TEXTS,
    "citext": _TEXTS,
}
