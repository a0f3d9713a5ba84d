"""The conversion of one value: the specification, which the vector rules of ``columns`` agree with bit by bit.

Invariant: every pair of storage class and target type is exact, coerced by a named rule, or refused (COERCION §2);
nothing is cut, replaced or guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from etl.errors import PlanError
from etl.model import PgType, StorageClass
from etl.transform.rows import dates, json_text, numerals
from etl.transform.rows.outcomes import Converted, Outcome, Refused, TargetValue, refuse
from etl.transform.rows.rendering import SourceValue

__all__ = ["Converted", "Outcome", "Refused", "TargetValue", "convert_value"]

LARGEST_FIELD = 0x3FFFFFFF  # bytes: one field of a row (memutils.h: MaxAllocSize)

_DASHED = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9a-f]{32}", re.IGNORECASE)

Rule = Callable[[Any, PgType], Outcome]


def convert_value(value: SourceValue, storage: StorageClass, target: PgType) -> Outcome:
    """Convert one source value to what the Arrow array of the target type takes.

    TEXT and BLOB are ``bytes`` as stored, TEXT neither known to be UTF-8 nor free of NUL. Raises PlanError for a type
    that has no rules at all; planning never lets one through.
    """
    rules = _RULES.get(target.name)
    if rules is None:
        raise PlanError(f"there is no conversion to {target}", "--cast the column to one of the types that have one")
    if value is None:
        return Converted(None)
    rule = rules.get(storage)
    return refuse(value, storage, target) if rule is None else rule(value, target)


# --- text ----------------------------------------------------------------------------------------------------------


def longest_text(target: PgType) -> int | None:
    """How many characters a text type holds, None for no limit; ``char`` alone means ``char(1)``."""
    return 1 if target.name == "char" and target.length is None else target.length


def _text_from_text(value: bytes, target: PgType) -> Outcome:
    return _text(value, value, StorageClass.TEXT, target, None)


def _text_from_blob(value: bytes, target: PgType) -> Outcome:
    return _text(value, value, StorageClass.BLOB, target, "blob-to-text")


def _text_from_integer(value: int, target: PgType) -> Outcome:
    return _text(value, str(value).encode(), StorageClass.INTEGER, target, "number-to-text")


def _text_from_real(value: float, target: PgType) -> Outcome:
    return _text(value, repr(value).encode(), StorageClass.REAL, target, "number-to-text")


def _text(value: SourceValue, data: bytes, storage: StorageClass, target: PgType, rule: str | None) -> Outcome:
    if b"\0" in data:
        return refuse(value, storage, target, "holds a NUL character, which PostgreSQL text cannot", "bytea")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return refuse(value, storage, target, "is not valid UTF-8", "bytea")
    longest = longest_text(target)
    if longest is not None and len(text) > longest:
        return refuse(value, storage, target, f"has {len(text)} characters, too long for {target}", "text")
    if len(data) > LARGEST_FIELD:
        return refuse(value, storage, target, "is over 1 GB, which no PostgreSQL field holds")
    return Converted(text, rule)


# --- uuid and bytea ------------------------------------------------------------------------------------------------


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


def _bytea_from_text(value: bytes, target: PgType) -> Outcome:
    return _bytea(value, StorageClass.TEXT, target, "text-to-bytes")


def _bytea_from_blob(value: bytes, target: PgType) -> Outcome:
    return _bytea(value, StorageClass.BLOB, target, None)


def _bytea(value: bytes, storage: StorageClass, target: PgType, rule: str | None) -> Outcome:
    if len(value) > LARGEST_FIELD:
        return refuse(value, storage, target, "is over 1 GB, which no PostgreSQL field holds")
    return Converted(value, rule)


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
_TEXTS: dict[StorageClass, Rule] = {
    StorageClass.INTEGER: _text_from_integer,
    StorageClass.REAL: _text_from_real,
    StorageClass.TEXT: _text_from_text,
    StorageClass.BLOB: _text_from_blob,
}
_DOCUMENTS: dict[StorageClass, Rule] = {
    StorageClass.INTEGER: json_text.json_from_integer,
    StorageClass.REAL: json_text.json_from_real,
    StorageClass.TEXT: json_text.convert_document,
}
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
    "boolean": {
        StorageClass.INTEGER: numerals.boolean_from_integer,
        StorageClass.REAL: numerals.boolean_from_real,
        StorageClass.TEXT: numerals.boolean_from_text,
    },
    "date": {StorageClass.TEXT: dates.date_from_text},
    "timestamp": {StorageClass.TEXT: dates.timestamp_from_text},
    "timestamptz": {StorageClass.TEXT: dates.timestamptz_from_text},
    "time": {StorageClass.TEXT: dates.time_from_text},
    "text": _TEXTS,
    "varchar": _TEXTS,
    "char": _TEXTS,
    "json": _DOCUMENTS,
    "jsonb": _DOCUMENTS,
    "uuid": {StorageClass.TEXT: _uuid_from_text, StorageClass.BLOB: _uuid_from_blob},
    "bytea": {StorageClass.TEXT: _bytea_from_text, StorageClass.BLOB: _bytea_from_blob},
}
