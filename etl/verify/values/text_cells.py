"""Texts for text types: what the reading does with bytes that PostgreSQL cannot hold, and with too many characters.

Invariant: TEXT alone, in the order decode, strip, cut; a text on which no flag acts is compared by its own bytes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.model import PgType, Reading


def text_as_read(value: bytes, kind: PgType, reading: Reading) -> bytes:
    """The UTF-8 bytes of a TEXT as its column's reading has them."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        if reading.encoding is None:
            return value
        text = value.decode(reading.encoding)
    if reading.strip_nul:
        text = text.replace("\0", "")
    if reading.truncate and kind.length is not None:
        text = text[: kind.length]
    return text.encode()


def untouched(texts: pa.Array, kind: PgType, reading: Reading) -> NDArray[np.bool_] | None:
    """Which texts no flag of the reading can act on; None where that is all of them."""
    touched = np.zeros(len(texts), np.bool_)
    if texts.buffers()[2] is None:
        return None
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    if reading.strip_nul:
        touched |= _holding(data == 0, offsets)
    if reading.encoding is not None and not _is_utf8(texts):
        touched |= _holding(data >= 0x80, offsets)
    if reading.truncate and kind.length is not None:
        touched |= np.diff(offsets) > kind.length
    return ~touched if touched.any() else None


def _holding(marked: NDArray[np.bool_], offsets: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which cells hold a marked byte."""
    places = np.flatnonzero(marked)
    if not len(places):
        return np.zeros(len(offsets) - 1, np.bool_)
    counts: NDArray[np.int64] = np.diff(np.searchsorted(places, offsets - offsets[0]))
    return counts > 0


def _is_utf8(texts: pa.Array) -> bool:
    try:
        texts.view(pa.string()).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
