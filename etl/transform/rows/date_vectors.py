"""The vector rules for columns of ISO 8601 text: cells of one length are a matrix of digits.

Invariant: a cell is converted here only when every byte of it was checked; everything unusual is odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from etl.model import PgType, Reading
from etl.transform.rows.buffers import BoolMask, ByteMatrix, Rows, fixed_array, matrix_of, rows_by_length, valid_mask
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
    days: Numbers
    micros: Numbers
    has_time: BoolMask
    has_offset: BoolMask
    offset: Numbers

    @classmethod
    def unread(cls, count: int) -> _Columns:
        masks = [np.zeros(count, np.bool_) for _ in range(3)]
        days, micros, offset = (np.zeros(count, np.int64) for _ in range(3))
        return cls(masks[0], days, micros, masks[1], masks[2], offset)


def texts_to_dates(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Dates; timestamps at midnight (UTC or local) as ``timestamp-to-date``."""
    cells, valid = _read(array, _MOMENT_LAYOUTS), valid_mask(array)
    sure = cells.read & (cells.micros == 0) & (cells.offset == 0)
    days = fixed_array(arrow_type, cells.days.astype(np.int32), valid)
    return Vector(days, valid & ~sure, (("timestamp-to-date", cells.has_time),))


def texts_to_timestamps(reading: Reading, array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """timestamp: ``offset-applied`` where there is one; timestamptz: ``naive-as-utc`` where there is none.

    Where that needs a time zone other than UTC, the cell is odd.
    """
    cells, valid = _read(array, _layouts_of(_MOMENT_LAYOUTS, target)), valid_mask(array)
    instants = cells.days * DAY_US + cells.micros
    if cells.has_offset.any():
        instants -= cells.offset * 60_000_000
    if target.name == "timestamp":
        zone, zoned = "offset-applied", cells.has_offset
    else:
        zone, zoned = "naive-as-utc", ~cells.has_offset
    sure = cells.read if reading.timezone == UTC_NAME else cells.read & ~zoned
    coerced = ((zone, zoned & cells.has_time), ("date-to-timestamp", ~cells.has_time))
    return Vector(fixed_array(arrow_type, instants, valid), valid & ~sure, coerced)


def texts_to_times(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Times of day."""
    cells, valid = _read(array, _layouts_of(_TIME_LAYOUTS, target)), valid_mask(array)
    return Vector(fixed_array(arrow_type, cells.micros, valid), valid & ~cells.read)


def _layouts_of(layouts: tuple[_Layout, ...], target: PgType) -> tuple[_Layout, ...]:
    """Those whose decimals the type keeps."""
    if target.length is None:
        return layouts
    return tuple(layout for layout in layouts if layout.decimals <= decimals_of(target))


def _read(array: pa.Array, layouts: tuple[_Layout, ...]) -> _Columns:
    cells = _Columns.unread(len(array))
    for length, rows in rows_by_length(array, {layout.length for layout in layouts}):
        matrix = matrix_of(array, length, rows)
        left = slice(None) if rows is None else rows
        candidates = [layout for layout in layouts if layout.length == length]
        while len(matrix) and (layout := _next_layout(matrix, candidates)) is not None:
            candidates.remove(layout)
            odd = ~_read_layout(matrix, layout, left, cells)
            left = np.flatnonzero(odd) if isinstance(left, slice) else left[odd]
            matrix = matrix[odd]
    return cells


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


def _read_layout(matrix: ByteMatrix, layout: _Layout, rows: Rows | slice, cells: _Columns) -> BoolMask:
    """Read what follows the layout into ``cells`` at ``rows`` (a slice: all of them); returns which cells did."""
    text = np.ascontiguousarray(matrix.T)  # a line per position: every step below runs along memory
    good = np.ones(text.shape[1], np.bool_)
    days = _days(text, good) if layout.clock != 0 else None
    micros = None if layout.clock is None else _micros(text, layout, good)
    offset = _offset(text, layout, good) if layout.offset else None
    kept = slice(None) if bool(good.all()) else good
    places = rows if isinstance(kept, slice) else np.flatnonzero(good) if isinstance(rows, slice) else rows[good]
    cells.read[places] = True
    if days is not None:
        cells.days[places] = days[kept]
    if micros is not None:
        cells.micros[places] = micros[kept]
        cells.has_time[places] = True
    if offset is not None:
        cells.offset[places] = offset[kept]
        cells.has_offset[places] = True
    return good


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
