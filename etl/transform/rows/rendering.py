"""Values as people read them: in refusals, in samples of coercions, in the names of rows.

Invariant: what is rendered is one printable line of bounded length, whatever the value holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from etl.model import PgType, StorageClass
from etl.transform.rows.gregorian import DAY_US, civil_from_days

SourceValue = int | float | bytes | None

_LONGEST = 60  # characters of a text that a message shows
_LONGEST_BLOB = 16  # bytes of a blob that a message shows


def render_source(value: SourceValue, storage: StorageClass) -> str:
    """A source value as an SQL-like literal: ``'12,50'``, ``x'00ff'``, ``1.5``; long ones are cut."""
    if storage is StorageClass.TEXT and isinstance(value, bytes):
        return _quote(value)
    if storage is StorageClass.BLOB and isinstance(value, bytes):
        shown = value[:_LONGEST_BLOB].hex()
        return f"x'{shown}'" if len(value) <= _LONGEST_BLOB else f"x'{shown}…' ({len(value)} bytes)"
    return "NULL" if value is None else repr(value)


def render_target(value: object, target: PgType) -> str:
    """A target value, as the arrays of ``target_arrow_type`` hold it, in the spelling of PostgreSQL."""
    if value is None:
        return "NULL"
    if isinstance(value, int) and target.name in _TEMPORAL:
        return _TEMPORAL[target.name](value)
    if isinstance(value, bytes):
        return _dashed(value) if target.name == "uuid" else render_source(value, StorageClass.BLOB)
    if isinstance(value, str):
        return cut(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def input_text(value: object, target: PgType) -> str:
    """A target value in full, as the input function of its type reads it."""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int) and target.name in _TEMPORAL:
        return _TEMPORAL[target.name](value)
    if isinstance(value, bytes):
        return _dashed(value) if target.name == "uuid" else "\\x" + value.hex()
    return repr(value) if isinstance(value, float) else str(value)


def render_key(names: Sequence[str], values: Sequence[object]) -> str:
    """The name of a row: ``rowid=4182`` or ``id='x', n=3``."""
    return ", ".join(f"{name}={_key_part(value)}" for name, value in zip(names, values, strict=True))


def cut(text: str) -> str:
    """The text on one line, cut with an ellipsis where it is long."""
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    if shown.isprintable():  # as nearly all are
        return shown
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in shown
    )


def _quote(value: bytes) -> str:
    # Four bytes a character at most: what is cut off here is beyond the longest text shown.
    whole = value if len(value) <= 4 * _LONGEST + 4 else value[: 4 * _LONGEST + 4]
    return f"'{cut(whole.decode('utf-8', 'backslashreplace'))}'"


def _key_part(value: object) -> str:
    return _quote(value) if isinstance(value, bytes) else "NULL" if value is None else str(value)


def _date(days: int) -> str:
    year, month, day = civil_from_days(days)
    return f"{year:04d}-{month:02d}-{day:02d}" if year > 0 else f"{1 - year:04d}-{month:02d}-{day:02d} BC"


def time_text(micros: int) -> str:
    """Microseconds as ``HH:MM:SS[.ffffff]``; the hours may be more than 24."""
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, second = divmod(seconds, 60)
    whole = f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    return f"{whole}.{fraction:06d}".rstrip("0") if fraction else whole


def _timestamp(micros: int) -> str:
    days, rest = divmod(micros, DAY_US)
    return f"{_date(days)} {time_text(rest)}"


def _dashed(value: bytes) -> str:
    digits = value.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _timestamptz(micros: int) -> str:
    return f"{_timestamp(micros)}+00"


_TEMPORAL: dict[str, Callable[[int], str]] = {
    "date": _date,
    "time": time_text,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
}
