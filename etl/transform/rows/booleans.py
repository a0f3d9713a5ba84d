"""The scalar rules for boolean: 0 and 1, PostgreSQL's words, or the two words that the user named.

Invariant: where the user named two words, nothing else is a boolean in that column.
"""

from __future__ import annotations

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.outcomes import Converted, Outcome, refuse
from etl.transform.rows.rendering import SourceValue

TRUE_WORDS = frozenset((b"t", b"true", b"yes", b"on", b"y", b"1"))
FALSE_WORDS = frozenset((b"f", b"false", b"no", b"off", b"n", b"0"))


def boolean_from_integer(value: int, target: PgType, reading: Reading) -> Outcome:
    """Exact for 0 and 1; by its digits where the user named words."""
    if reading.how is not None:
        return _named(value, StorageClass.INTEGER, b"%d" % value, target, reading.how)
    return Converted(value == 1) if value in (0, 1) else refuse(value, StorageClass.INTEGER, target)


def boolean_from_real(value: float, target: PgType, reading: Reading) -> Outcome:
    """``real-to-boolean`` for 0.0 and 1.0."""
    if value in (0.0, 1.0) and reading.how is None:
        return Converted(value == 1.0, "real-to-boolean")
    return refuse(value, StorageClass.REAL, target)


def boolean_from_text(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """``text-to-boolean`` for the words that PostgreSQL knows, in any case; the user's as ``boolean-words``."""
    if reading.how is not None:
        return _named(value, StorageClass.TEXT, value, target, reading.how)
    word = value.lower()
    if word in TRUE_WORDS or word in FALSE_WORDS:
        return Converted(word in TRUE_WORDS, "text-to-boolean")
    named = "--cast {column}=boolean:J/N with its words for true and false"
    return refuse(value, StorageClass.TEXT, target, flag=named)


def _named(value: SourceValue, storage: StorageClass, text: bytes, target: PgType, how: str) -> Outcome:
    """The user's words, in any case of A to Z."""
    true, _, false = how.encode().lower().partition(b"/")
    word = text.lower()
    if word not in (true, false):
        return refuse(value, storage, target, f"is neither word of {target}:{how}")
    return Converted(word == true, "boolean-words")
