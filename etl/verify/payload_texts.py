"""Payloads of the target for a reader's eyes.

Invariant: what cannot be read as its type is shown by its bytes; showing a difference never fails.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from etl.model import PgType
from etl.verify.short_values import LongValue, Payload, head_of
from etl.verify.values.composite_rules import BOUNDS, cut_array, cut_range
from etl.verify.values.kinds import element_of, is_array, underlying
from etl.verify.values.literal_rules import show_bits, show_zoned_time
from etl.verify.values.network_rules import show_address
from etl.verify.values.wire import (
    DOCUMENT_TYPES,
    TEXT_TYPES,
    show_bytes,
    show_date,
    show_interval,
    show_time,
    show_timestamp,
    unpack_numeric,
)

SHOWN_ELEMENTS = 10


def show_payload(payload: Payload | None, kind: PgType) -> str:
    """One target value for a reader's eyes."""
    return reader_of(kind)(payload)


def reader_of(kind: PgType) -> Callable[[Payload | None], str]:
    """What shows any value of this type for a reader's eyes; the type is looked into once."""
    kind = underlying(kind)
    is_text = kind.name in TEXT_TYPES | DOCUMENT_TYPES | {"xml"}
    show = _shower_of(kind)
    show_head = show if is_text else _show_bare  # the beginning of an array or a number is none

    def read(payload: Payload | None) -> str:
        if payload is None:
            return "NULL"
        if isinstance(payload, LongValue):
            return f"{payload} {show_head(head_of(payload, is_text=is_text))}"
        try:
            return show(payload)
        except (struct.error, ValueError, ArithmeticError, LookupError, StopIteration):
            return "\\x" + payload[:100].hex()

    return read


def _shower_of(kind: PgType) -> Callable[[bytes], str]:
    if kind.name in TEXT_TYPES or kind.labels or kind.name == "xml":
        return show_bytes
    if kind.name in DOCUMENT_TYPES:
        return lambda payload: show_bytes(payload)[1:-1]
    if is_array(kind):
        return partial(_show_array, element=element_of(kind))
    if kind.name in BOUNDS:
        return partial(_show_range, bound=BOUNDS[kind.name])
    return _SHOWN.get(kind.name, _show_bare)


def _show_bare(payload: bytes) -> str:
    return "\\x" + payload[:100].hex() + ("…" if len(payload) > 100 else "")


def _signed(payload: bytes) -> int:
    return int.from_bytes(payload, "big", signed=True)


def _show_array(payload: bytes, element: PgType) -> str:
    dimensions = _signed(payload[:4])
    if dimensions > 1:
        return f"an array of {dimensions} dimensions"
    items = cut_array(payload)
    shown = [show_payload(item, element) for item in items[:SHOWN_ELEMENTS]]
    return "{" + ",".join(shown + ["…"] * (len(items) > SHOWN_ELEMENTS)) + "}"


def _show_range(payload: bytes, bound: PgType) -> str:
    cut = cut_range(payload)
    if cut is None:
        return "empty"
    opening, lower, upper, closing = cut
    ends = ("" if end is None else show_payload(end, bound) for end in (lower, upper))
    return opening + ",".join(ends) + closing


_SHOWN: dict[str, Callable[[bytes], str]] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), lambda payload: str(_signed(payload))),
    "double precision": lambda payload: repr(struct.unpack(">d", payload)[0]),
    "real": lambda payload: f"{struct.unpack('>f', payload)[0]:.9g}",
    "numeric": unpack_numeric,
    "money": lambda payload: str(Decimal(_signed(payload)).scaleb(-2)),
    "boolean": lambda payload: "true" if payload == b"\x01" else "false",
    "date": lambda payload: show_date(_signed(payload)),
    "time": lambda payload: show_time(_signed(payload)),
    "timetz": show_zoned_time,
    "interval": show_interval,
    "timestamp": lambda payload: show_timestamp(_signed(payload)),
    "timestamptz": lambda payload: show_timestamp(_signed(payload)) + "+00",
    "uuid": lambda payload: str(uuid.UUID(bytes=payload)),
    **dict.fromkeys(("bit", "varbit"), show_bits),
    **dict.fromkeys(("inet", "cidr"), show_address),
    **dict.fromkeys(("macaddr", "macaddr8"), lambda payload: payload.hex(":")),
}
