"""The scalar rules for text and bytes: what is UTF-8, what fits, and what a flag allows to change.

Invariant: without a flag no character is cut, replaced or dropped; the flags work on TEXT alone, since a number or a
blob that does not fit is no text gone wrong.
"""

from __future__ import annotations

from etl.counted_nouns import counted
from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.outcomes import Converted, Outcome, refuse
from etl.transform.rows.rendering import SourceValue

LARGEST_FIELD = 0x3FFFFFFF  # bytes: one field of a row (memutils.h: MaxAllocSize)


def longest_text(target: PgType) -> int | None:
    """How many characters a text type holds, None for no limit; ``char`` alone means ``char(1)``."""
    return 1 if target.name == "char" and target.length is None else target.length


def text_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Exact; ``decoded-latin1``, ``nul-stripped`` and ``truncated`` where the flags allow them, in this order.

    The rule told is the last that applied: it lost the most.
    """
    rule, longest = None, longest_text(target)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        if reading.encoding != "latin1":
            return _refuse_encoding(value, StorageClass.TEXT, target, "--encoding latin1")
        text, rule = value.decode("latin1"), "decoded-latin1"
    if "\0" in text:
        if not reading.strip_nul:
            return _refuse_nul(value, StorageClass.TEXT, target, "--nul strip")
        text, rule = text.replace("\0", ""), "nul-stripped"
    if longest is not None and len(text) > longest:
        if not reading.truncate:
            return _refuse_length(value, StorageClass.TEXT, len(text), target, "--truncate")
        text, rule = text[:longest], "truncated"
    if (len(value) if rule is None else len(text.encode())) > LARGEST_FIELD:
        return _refuse_size(value, StorageClass.TEXT, target)
    return Converted(text, rule)


def text_from_blob(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """``blob-to-text`` where it is UTF-8 without NUL and fits."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _refuse_encoding(value, StorageClass.BLOB, target)
    if "\0" in text:
        return _refuse_nul(value, StorageClass.BLOB, target)
    return _whole(value, StorageClass.BLOB, text, len(value), target, "blob-to-text")


def text_from_integer(value: int, target: PgType, reading: Reading) -> Outcome:
    """``number-to-text``: its digits."""
    text = str(value)
    return _whole(value, StorageClass.INTEGER, text, len(text), target, "number-to-text")


def text_from_real(value: float, target: PgType, reading: Reading) -> Outcome:
    """``number-to-text``: the shortest form that reads back as the same double."""
    text = repr(value)
    return _whole(value, StorageClass.REAL, text, len(text), target, "number-to-text")


def bytea_from_text(value: bytes, target: PgType) -> Outcome:
    """``text-to-bytes``: as stored."""
    return _bytea(value, StorageClass.TEXT, target, "text-to-bytes")


def bytea_from_blob(value: bytes, target: PgType) -> Outcome:
    """Exact."""
    return _bytea(value, StorageClass.BLOB, target, None)


def _bytea(value: bytes, storage: StorageClass, target: PgType, rule: str | None) -> Outcome:
    return _refuse_size(value, storage, target) if len(value) > LARGEST_FIELD else Converted(value, rule)


def _whole(value: SourceValue, storage: StorageClass, text: str, size: int, target: PgType, rule: str) -> Outcome:
    longest = longest_text(target)
    if longest is not None and len(text) > longest:
        return _refuse_length(value, storage, len(text), target)
    return _refuse_size(value, storage, target) if size > LARGEST_FIELD else Converted(text, rule)


def _refuse_nul(value: SourceValue, storage: StorageClass, target: PgType, flag: str | None = None) -> Outcome:
    return refuse(value, storage, target, "holds a NUL character, which PostgreSQL text cannot", "bytea", flag)


def _refuse_encoding(value: SourceValue, storage: StorageClass, target: PgType, flag: str | None = None) -> Outcome:
    return refuse(value, storage, target, "is not valid UTF-8", "bytea", flag)


def _refuse_length(
    value: SourceValue, storage: StorageClass, length: int, target: PgType, flag: str | None = None
) -> Outcome:
    return refuse(value, storage, target, f"has {counted(length, 'character')}, too long for {target}", "text", flag)


def _refuse_size(value: SourceValue, storage: StorageClass, target: PgType) -> Outcome:
    return refuse(value, storage, target, "is over 1 GB, which no PostgreSQL field holds")
