"""The vector rules for columns of ISO 8601 text: cells of one length are a matrix of digits.

Invariant: a cell is converted here only when every byte of it was checked; everything unusual is odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from etl.model import PgType, Reading
from etl.transform.rows.buffers import (
    BoolMask,
    ByteMatrix,
    Rows,
    fixed_array,
    matrix_of,
    rows_by_length,
    some,
    valid_mask,
)
from etl.transform.rows.daytime import LARGEST_OFFSET_HOURS, decimals_of
from etl.transform.rows.gregorian import DAY_US
from etl.transform.rows.vectors import Vector
from etl.transform.rows.zones import UTC_NAME

Numbers = npt.NDArray[np.int64]

_LOOKED_AT = 16  # cells, to find the layout of some thousand


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things stand in a text of fixed width."""

    length: int
    clock: int | None  # position of HH:MM; None for a date alone
    seconds: bool = False
    decimals: int = 0
    offset: str = ""  # '', 'Z', '+HH:MM' or '+HHMM' or '+HH'

    @property
    def fraction(self) -> int:
        """Position of the first decimal."""
        return (self.clock or 0) + 9


def _layouts(clock: int) -> Iterator[_Layout]:
    for body, seconds, decimals in [(5, False, 0), (8, True, 0), *((9 + n, True, n) for n in range(1, 7))]:
        for offset in ("", "Z", "+HH:MM", "+HHMM", "+HH"):
            if clock or not offset:  # no offset in a time of day
                yield _Layout(clock + body + len(offset), clock, seconds, decimals, offset)


_DATE_LAYOUT = _Layout(10, None)
_MOMENT_LAYOUTS = (_DATE_LAYOUT, *_layouts(11))
_TIME_LAYOUTS = tuple(_layouts(0))


@dataclass(slots=True)
class _Columns:
    """What was read of n cells; ``read`` says of which. ``offset`` is minutes east of UTC."""

    read: BoolMask
    days: npt.NDArray[np.int32]
    micros: Numbers
    has_time: BoolMask
    has_offset: BoolMask
    offset: Numbers

    @classmethod
    def unread(cls, count: int) -> _Columns:
        masks = [np.zeros(count, np.bool_) for _ in range(3)]
        micros, offset = (np.zeros(count, np.int64) for _ in range(2))
        return cls(masks[0], np.zeros(count, np.int32), micros, masks[1], masks[2], offset)

    def put(self, places: Rows, found: _Columns) -> None:
        """Enter what was read of some of the cells, which stand at ``places``."""
        places = places[found.read]
        for own, other in zip(self._fields(), found._fields(), strict=True):
            own[places] = other[found.read]

    def _fields(self) -> tuple[npt.NDArray[Any], ...]:
        return self.read, self.days, self.micros, self.has_time, self.has_offset, self.offset


def texts_to_dates(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Dates; timestamps at midnight (UTC or local) as ``timestamp-to-date``."""
    cells, valid = _read(array, _MOMENT_LAYOUTS), valid_mask(array)
    sure = cells.read & (cells.micros == 0) & (cells.offset == 0)
    days = fixed_array(arrow_type, cells.days, valid)
    return Vector(days, some(valid & ~sure), _coerced(("timestamp-to-date", cells.has_time)))


def texts_to_timestamps(reading: Reading, array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """timestamp: ``offset-applied`` where there is one; timestamptz: ``naive-as-utc`` where there is none.

    Where that needs a time zone other than UTC, the cell is odd.
    """
    cells, valid = _read(array, _layouts_of(_MOMENT_LAYOUTS, target)), valid_mask(array)
    instants = cells.days.astype(np.int64)
    instants *= DAY_US
    instants += cells.micros
    if cells.has_offset.any():
        instants -= cells.offset * 60_000_000
    if target.name == "timestamp":
        zone, zoned = "offset-applied", cells.has_offset
    else:
        zone, zoned = "naive-as-utc", ~cells.has_offset
    sure = cells.read if reading.timezone == UTC_NAME else cells.read & ~zoned
    coerced = _coerced((zone, zoned & cells.has_time), ("date-to-timestamp", ~cells.has_time))
    return Vector(fixed_array(arrow_type, instants, valid), some(valid & ~sure), coerced)


def texts_to_times(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Times of day."""
    cells, valid = _read(array, _layouts_of(_TIME_LAYOUTS, target)), valid_mask(array)
    return Vector(fixed_array(arrow_type, cells.micros, valid), some(valid & ~cells.read))


def _coerced(*rules: tuple[str, BoolMask]) -> tuple[tuple[str, BoolMask], ...]:
    """The rules that were at work."""
    return tuple((name, mask) for name, mask in rules if mask.any())


def _layouts_of(layouts: tuple[_Layout, ...], target: PgType) -> tuple[_Layout, ...]:
    """Those whose decimals the type keeps."""
    if target.length is None:
        return layouts
    return tuple(layout for layout in layouts if layout.decimals <= decimals_of(target))


def _read(array: pa.Array, layouts: tuple[_Layout, ...]) -> _Columns:
    cells: _Columns | None = None
    for length, rows in rows_by_length(array, {layout.length for layout in layouts}):
        matrix = matrix_of(array, length, rows)
        candidates = [layout for layout in layouts if layout.length == length]
        while len(matrix) and (layout := _next_layout(matrix, candidates)) is not None:
            candidates.remove(layout)
            found = _read_layout(matrix, layout)
            if len(matrix) == len(array) and found.read.all():
                return found  # as nearly always
            cells = cells or _Columns.unread(len(array))
            rows = np.arange(len(array)) if rows is None else rows
            cells.put(rows, found)
            rows, matrix = rows[~found.read], matrix[~found.read]
    return cells or _Columns.unread(len(array))


def _next_layout(matrix: ByteMatrix, candidates: list[_Layout]) -> _Layout | None:
    """A layout that a cell here and there looks like; without one, the rest is better left odd."""
    for cell in matrix[:: 1 + len(matrix) // _LOOKED_AT]:
        text = cell.tobytes()
        for layout in candidates:
            if _resembles(text, layout):
                return layout
    return None


def _resembles(text: bytes, layout: _Layout) -> bool:
    """Whether a cell has the layout, its digits not looked at."""
    return re.fullmatch(_shape(layout), text, re.DOTALL) is not None


@cache
def _shape(layout: _Layout) -> bytes:
    if layout.clock is None:
        return b".{10}"
    offset = {"": "", "Z": "Z", "+HH:MM": "[+-]..:..", "+HHMM": "[+-]....", "+HH": "[+-].."}[layout.offset]
    seconds = ":.." if layout.seconds else ""
    fraction = rf"\.[0-9]{{{layout.decimals}}}" if layout.decimals else ""
    return f".{{{layout.clock}}}..:..{seconds}{fraction}{offset}".encode()


def _read_layout(matrix: ByteMatrix, layout: _Layout) -> _Columns:
    """Read the cells that follow the layout; anything may be said of the others."""
    text = np.ascontiguousarray(matrix.T)  # a line per position: every step below runs along memory
    count = text.shape[1]
    good = np.ones(count, np.bool_)
    return _Columns(
        days=_days(text, good) if layout.clock != 0 else np.zeros(count, np.int32),
        micros=np.zeros(count, np.int64) if layout.clock is None else _micros(text, layout, good),
        has_time=np.full(count, layout.clock is not None),
        has_offset=np.full(count, bool(layout.offset)),
        offset=_offset(text, layout, good) if layout.offset else np.zeros(count, np.int64),
        read=good,
    )


def _number(text: ByteMatrix, start: int, count: int, good: BoolMask) -> npt.NDArray[np.int32]:
    """The decimal number at a position; clears ``good`` where a byte is no digit."""
    digits = text[start : start + count] - np.uint8(48)  # wraps: what is no digit is over 9
    good &= (digits <= 9).all(axis=0)
    odd = count % 2
    pairs = digits[odd::2] * np.uint8(10)  # in bytes as far as they reach: 64 of them are one instruction
    pairs += digits[odd + 1 :: 2]
    total: npt.NDArray[np.int32] = (digits if odd else pairs)[0].astype(np.int32)
    for pair in pairs[1 - odd :]:
        total *= 100
        total += pair
    return total


def _mark(text: ByteMatrix, position: int, marks: bytes, good: BoolMask) -> None:
    """Clear ``good`` where none of the marks stands."""
    line = text[position]
    found = line == marks[0]
    for mark in marks[1:]:
        if found.all():
            break
        found |= line == mark
    good &= found


def _days(text: ByteMatrix, good: BoolMask) -> npt.NDArray[np.int32]:
    year, month, day = _number(text, 0, 4, good), _number(text, 5, 2, good), _number(text, 8, 2, good)
    _mark(text, 4, b"-", good)
    _mark(text, 7, b"-", good)
    good &= (year >= 1) & (month >= 1) & (month <= 12)
    first, length = _months()
    place = np.where(good, year * 12 + month - 1, 12)  # January of year 1 for what is bad anyhow
    good &= (day >= 1) & (day <= length[place])
    days: npt.NDArray[np.int32] = first[place] + day - 1
    return days


@cache
def _months() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """For each month from year 0 to 9999: its first day since 1970-01-01, its length in days."""
    years, lengths = np.arange(10_000), np.tile([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], (10_000, 1))
    lengths[:, 1] += (years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0))
    flat = lengths.reshape(-1)
    ends = np.cumsum(flat)
    epoch = ends[1969 * 12 + 11]  # the last day of 1969
    return (ends - flat - epoch).astype(np.int32), flat.astype(np.int32)


def _micros(text: ByteMatrix, layout: _Layout, good: BoolMask) -> Numbers:
    clock = layout.clock or 0
    if clock:
        _mark(text, clock - 1, b" T", good)
    hour, minute = _number(text, clock, 2, good), _number(text, clock + 3, 2, good)
    _mark(text, clock + 2, b":", good)
    good &= (hour <= 23) & (minute <= 59)
    seconds = hour * 3600 + minute * 60
    if layout.seconds:
        second = _number(text, clock + 6, 2, good)
        _mark(text, clock + 5, b":", good)
        good &= second <= 59
        seconds += second
    micros = seconds.astype(np.int64) * 1_000_000
    if layout.decimals:
        _mark(text, layout.fraction - 1, b".", good)
        micros += _number(text, layout.fraction, layout.decimals, good) * 10 ** (6 - layout.decimals)
    return micros


def _offset(text: ByteMatrix, layout: _Layout, good: BoolMask) -> Numbers:
    """Minutes east of UTC."""
    start = layout.length - len(layout.offset)
    if layout.offset == "Z":
        _mark(text, start, b"Z", good)
        return np.zeros(text.shape[1], np.int64)
    _mark(text, start, b"+-", good)
    hours = _number(text, start + 1, 2, good)
    minutes = _number(text, layout.length - 2, 2, good) if layout.offset != "+HH" else np.zeros_like(hours)
    if layout.offset == "+HH:MM":
        _mark(text, start + 3, b":", good)
    good &= (hours <= LARGEST_OFFSET_HOURS) & (minutes <= 59)
    east = (hours * 60 + minutes).astype(np.int64)
    return np.where(text[start] == ord("-"), -east, east)
