"""What the texts of a column look like, from a few hundred of them: advice for ``--cast``, never a decision.

Invariant: a guess is made only when every text that was looked at agrees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import orjson

from etl.transform.rows.dates import read_moment

FEWEST = 3  # texts; of fewer nothing can be said

_UUID = re.compile(rb"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(rb"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_DATE = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def guess_type(texts: Sequence[bytes]) -> str | None:
    """The type that all of the texts fit, or None."""
    filled = [text for text in texts if text]
    if len(filled) < FEWEST:
        return None
    return next((name for name, fits in _KINDS if all(map(fits, filled))), None)


def is_uuid(text: bytes) -> bool:
    return _UUID.fullmatch(text) is not None


def _is_document(text: bytes) -> bool:
    if text[:1] not in b"{[":
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_date(text: bytes) -> bool:
    return _DATE.fullmatch(text) is not None and read_moment(text) is not None


def _is_moment(text: bytes) -> bool:
    return read_moment(text) is not None


def _is_moment_with_offset(text: bytes) -> bool:
    moment = read_moment(text)
    return moment is not None and moment.offset_minutes is not None


def _is_integer(text: bytes) -> bool:
    return _INTEGER.fullmatch(text) is not None


def _is_number(text: bytes) -> bool:
    return _is_integer(text) or _DECIMAL.fullmatch(text) is not None


_KINDS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("uuid", is_uuid),
    ("jsonb", _is_document),
    ("date", _is_date),
    ("timestamptz", _is_moment_with_offset),
    ("timestamp", _is_moment),
    ("bigint", _is_integer),
    ("numeric", _is_number),
)
