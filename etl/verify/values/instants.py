"""Dates and times of whole text columns, by integer arithmetic on the digits.

Invariant: a cell is converted only where every byte is where its layout wants it and the day exists; every other
cell is left to `equivalents` (the mask that each function returns).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.verify.values.moments import TIME, TIMESTAMP
from etl.verify.values.wire import DAYS_BEFORE_2000, MICROS_PER_DAY

Micros = NDArray[np.int64]
Mask = NDArray[np.bool_]
Digits = NDArray[np.uint8]  # shape (length, rows): one contiguous row of the matrix a character position
LAYOUT_ROUNDS = 3  # layouts tried per length of text; what is left goes cell by cell

_CUMULATED = np.array((0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334), np.int32)
_LENGTHS = np.array((0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), np.int32)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a text stand; all texts of one layout have the same length."""

    clock_at: int | None  # first digit of the hour
    seconds: bool = False
    fraction_digits: int = 0
    suffix: bytes = b""  # digits in it stand for any digit


def timestamp_micros(texts: pa.Array) -> tuple[Micros, Mask]:
    """Microseconds since 2000 of ISO texts, a written offset applied; years 0001 to 9999, hours to 23."""
    return _by_length(texts, _timestamp_layout, _timestamp_group)


def unzoned_micros(texts: pa.Array) -> tuple[Micros, Mask]:
    """The same of texts without an offset: the wall clock as written."""
    return _by_length(texts, _unzoned_layout, _timestamp_group)


def zoned_micros(texts: pa.Array) -> tuple[Micros, Mask]:
    """The same of texts with an offset: UTC."""
    return _by_length(texts, _zoned_layout, _timestamp_group)


def time_micros(texts: pa.Array) -> tuple[Micros, Mask]:
    """Microseconds since midnight of ``HH:MM[:SS[.f]]``."""
    return _by_length(texts, _time_layout, _time_group)


def date_days(texts: pa.Array) -> tuple[Micros, Mask]:
    """Days since 2000 of ISO dates and of timestamps at midnight without an offset, to the microsecond."""
    micros, proven = _by_length(texts, _exact_layout, _timestamp_group)
    proven &= micros % MICROS_PER_DAY == 0
    return micros // MICROS_PER_DAY, proven


def _by_length(
    texts: pa.Array,
    layout_of: Callable[[bytes], Layout | None],
    convert: Callable[[Digits, Layout], tuple[Micros, Mask]],
) -> tuple[Micros, Mask]:
    """Convert groups of texts of equal length and layout, each as one matrix of bytes."""
    count = len(texts)
    micros, proven = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1]
    if texts.buffers()[2] is None:
        return micros, proven
    data = np.frombuffer(texts.buffers()[2], np.uint8)
    lengths = np.diff(offsets)
    if count and 5 <= lengths[0] <= 36 and (lengths == lengths[0]).all():  # most columns: one layout, nothing to place
        layout = layout_of(data[offsets[0] : offsets[1]].tobytes())
        if layout is not None:
            group, ok = convert(np.ascontiguousarray(_square(data, offsets).T), layout)
            if ok.all():
                return group, ok
    for length in np.unique(lengths).tolist():
        if not 5 <= length <= 36:
            continue
        rows = np.flatnonzero(lengths == length)
        for _ in range(LAYOUT_ROUNDS):
            start = int(offsets[rows[0]])
            layout = layout_of(data[start : start + length].tobytes())
            if layout is None:
                break
            group, ok = convert(_matrix(data, offsets, rows, length), layout)
            micros[rows[ok]], proven[rows[ok]] = group[ok], True
            rows = rows[~ok]
            if not len(rows) or not ok.any():
                break
    return micros, proven


def _matrix(data: NDArray[np.uint8], offsets: NDArray[np.int32], rows: NDArray[np.int64], length: int) -> Digits:
    if len(rows) == len(offsets) - 1:
        square = _square(data, offsets)
    else:
        square = data[offsets[rows][:, None] + np.arange(length, dtype=np.int32)]
    return np.ascontiguousarray(square.T)


def _square(data: NDArray[np.uint8], offsets: NDArray[np.int32]) -> NDArray[np.uint8]:
    """All texts, which have one length: one line a text."""
    return data[offsets[0] : offsets[-1]].reshape(len(offsets) - 1, -1)


def _timestamp_layout(text: bytes) -> Layout | None:
    match = TIMESTAMP.fullmatch(text)
    if match is None or len(match[1]) != 4:
        return None
    if match[4] is None:
        return Layout(None)
    return Layout(11, match[6] is not None, len(match[7] or b""), match[8] or b"")


def _unzoned_layout(text: bytes) -> Layout | None:
    layout = _timestamp_layout(text)
    return None if layout is None or layout.suffix else layout


def _zoned_layout(text: bytes) -> Layout | None:
    layout = _timestamp_layout(text)
    return layout if layout is not None and layout.suffix else None


def _exact_layout(text: bytes) -> Layout | None:
    layout = _unzoned_layout(text)
    return None if layout is None or layout.fraction_digits > 6 else layout


def _time_layout(text: bytes) -> Layout | None:
    match = TIME.fullmatch(text)
    return None if match is None else Layout(0, match[3] is not None, len(match[4] or b""))


def _timestamp_group(text: Digits, layout: Layout) -> tuple[Micros, Mask]:
    days, proven = _days(text)
    micros = days.astype(np.int64) * MICROS_PER_DAY
    if layout.clock_at is None:
        return micros, proven
    proven &= (text[10] == ord(" ")) | (text[10] == ord("T"))
    clock, good = _clock(text, layout)
    proven &= good
    micros += clock
    if layout.suffix:
        offset, good = _offset(text[len(text) - len(layout.suffix) :], layout.suffix)
        proven &= good
        micros -= offset
    return micros, proven


def _time_group(text: Digits, layout: Layout) -> tuple[Micros, Mask]:
    clock, proven = _clock(text, layout)
    proven &= clock < MICROS_PER_DAY  # a fraction of more than six digits may round up to midnight
    return clock, proven


def _number(text: Digits, first: int, count: int, proven: Mask) -> NDArray[np.int32]:
    """The number in ``count`` (at most 9) digits; clears ``proven`` where one is not a digit."""
    number = np.zeros(text.shape[1], np.int32)
    at, end = first, first + count
    while at < end:
        value = text[at] - np.uint8(48)  # wraps below '0'
        proven &= value <= 9
        at += 1
        if at < end and (end - at) % 2:  # two digits still are one byte, and bytes are the fastest
            unit = text[at] - np.uint8(48)
            proven &= unit <= 9
            value *= np.uint8(10)
            value += unit
            at += 1
        number *= np.int32(100)
        number += value
    return number


def _days(text: Digits) -> tuple[NDArray[np.int32], Mask]:
    proven = (text[4] == ord("-")) & (text[7] == ord("-"))
    year, month, day = (_number(text, at, count, proven) for at, count in ((0, 4), (5, 2), (8, 2)))
    proven &= (year >= 1) & (month >= 1) & (month <= 12)
    month = np.where(proven, month, 1)
    century = year // 100
    leap = (year & 3 == 0) & ((year != century * 100) | (century & 3 == 0))
    proven &= (day >= 1) & (day <= _LENGTHS[month] + (leap & (month == 2)))
    before = year - 1
    century = before // 100
    days = 365 * before + (before >> 2) - century + (century >> 2)
    days += _CUMULATED[month] + (leap & (month > 2)) + day - (1 + DAYS_BEFORE_2000)
    return days, proven


def _clock(text: Digits, layout: Layout) -> tuple[Micros, Mask]:
    at = layout.clock_at or 0
    proven = text[at + 2] == ord(":")
    hour, minute = _number(text, at, 2, proven), _number(text, at + 3, 2, proven)
    proven &= (hour <= 23) & (minute <= 59)
    seconds = (hour * 60 + minute) * 60
    if layout.seconds:
        second = _number(text, at + 6, 2, proven)
        proven &= (second <= 59) & (text[at + 5] == ord(":"))
        seconds += second
    micros = seconds.astype(np.int64) * 1_000_000
    if layout.fraction_digits:
        proven &= text[at + 8] == ord(".")
        fraction = _number(text, at + 9, layout.fraction_digits, proven)
        micros += _fraction_micros(fraction, layout.fraction_digits)
    return micros, proven


def _fraction_micros(fraction: NDArray[np.int32], digits: int) -> NDArray[np.int32]:
    if digits <= 6:
        return fraction * np.int32(10 ** (6 - digits))
    unit = np.int32(10 ** (digits - 6))
    micros: NDArray[np.int32] = fraction // unit
    twice = 2 * (fraction - micros * unit)
    micros += (twice > unit) | ((twice == unit) & (micros & 1 == 1))  # half to even
    return micros


def _offset(text: Digits, layout: bytes) -> tuple[Micros, Mask]:
    """Microseconds east of Greenwich; ``layout`` is the first row's suffix."""
    proven = np.ones(text.shape[1], np.bool_)
    spaces = len(layout) - len(layout.lstrip(b" "))
    if layout[spaces:] in (b"Z", b"UTC"):
        for place, byte in enumerate(layout):
            proven &= text[place] == byte
        return np.zeros(text.shape[1], np.int64), proven
    for place, byte in enumerate(layout):
        if byte in b" :":
            proven &= text[place] == byte
    sign = text[spaces]
    proven &= (sign == ord("+")) | (sign == ord("-"))
    minutes = _number(text, spaces + 1, 2, proven) * 60
    if len(layout) > spaces + 3:
        rest = _number(text, len(layout) - 2, 2, proven)
        proven &= rest <= 59
        minutes += rest
    proven &= minutes < 16 * 60
    return np.where(sign == ord("-"), -minutes, minutes).astype(np.int64) * 60_000_000, proven
