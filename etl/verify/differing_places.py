"""Where two long values differ, so that a report which cuts them shows that place, and not their equal beginnings.

Invariant: it costs a few comparisons of slices, however long the values are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from etl.model import PgType
from etl.verify.short_values import BLOCK_BYTES, LongValue, Payload, first_other_block
from etl.verify.values.kinds import underlying
from etl.verify.values.wire import DOCUMENT_TYPES, TEXT_TYPES, show_bytes

VISIBLE = 40  # characters of a beginning that every report shows
BEFORE = 16  # of what both have in common, in front of the first difference
BEHIND = 100
LONG_TEXT = 200  # characters, beyond which a text is shown in part
LONG_BYTES = 100

Apart = Callable[[Payload, Payload], tuple[str, str] | None]


def apart_of(kind: PgType) -> Apart:
    """What shows two different values of this type by the surroundings of their first difference.

    None for values that are shown whole, or that differ in what is shown of them.
    """
    kind = underlying(kind)
    if kind.name in TEXT_TYPES | DOCUMENT_TYPES | {"xml"} or kind.labels:
        return _texts_apart
    return _bytes_apart if kind.name == "bytea" else _long_apart


def _texts_apart(expected: Payload, actual: Payload) -> tuple[str, str] | None:
    if isinstance(expected, LongValue) or isinstance(actual, LongValue):
        return _long_apart(expected, actual)
    if max(len(expected), len(actual)) <= LONG_TEXT:
        return None
    try:
        texts = expected.decode(), actual.decode()
    except UnicodeDecodeError:
        return None
    place = _common(*texts)
    if place < VISIBLE:
        return None
    start = place - BEFORE
    shown = (show_bytes(text[start : place + BEHIND].encode()) for text in texts)
    first, second = (f"…{one}{_rest(text, place)}" for one, text in zip(shown, texts, strict=True))
    return f"at character {place + 1:,}: {first}", f"at character {place + 1:,}: {second}"


def _bytes_apart(expected: Payload, actual: Payload) -> tuple[str, str] | None:
    if isinstance(expected, LongValue) or isinstance(actual, LongValue):
        return _long_apart(expected, actual)
    place = _common(expected, actual)
    if max(len(expected), len(actual)) <= LONG_BYTES or place < VISIBLE // 2:
        return None
    first, second = (
        f"at byte {place + 1:,}: …{value[place - BEFORE // 2 : place + BEHIND // 2].hex()}{_rest(value, place, 2)}"
        for value in (expected, actual)
    )
    return first, second


def _rest(value: Sequence[object], place: int, width: int = 1) -> str:
    return "…" if len(value) > place + BEHIND // width else ""


def _long_apart(expected: Payload, actual: Payload) -> tuple[str, str] | None:
    """Of a value whose bytes are gone the block in which it begins to differ."""
    if not (isinstance(expected, LongValue) and isinstance(actual, LongValue)) or expected.head != actual.head:
        return None
    block = first_other_block(expected, actual)
    where = f"the first difference lies in bytes {block * BLOCK_BYTES + 1:,} to {(block + 1) * BLOCK_BYTES:,}"
    return f"{expected} {where}", f"{actual} {where}"


def _common(left: str | bytes, right: str | bytes) -> int:
    """How many characters or bytes both begin with."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
