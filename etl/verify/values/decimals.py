"""PostgreSQL's numeric payloads for whole columns of SQLite numbers.

Invariant: a number is written here only where its shortest decimal form is proven; every other cell is left to
`equivalents` (the mask that each function returns).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.verify.values.wire import NUMERIC_NEGATIVE

MAX_VECTOR_SCALE = 15  # 10**15 and all smaller powers are exact doubles, and four groups hold the fraction
PACKED_GROUPS = 4  # of 16 bits, in one word
FREE_SCALES = 7  # how many decimals are tried for numeric without a scale


def integers_as_numeric(
    values: NDArray[np.int64], precision: int | None, scale: int
) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Payloads of INTEGER cells; not proven where numeric(p,s) cannot hold the cell."""
    proven = values != np.iinfo(np.int64).min
    magnitudes = np.abs(values).astype(np.uint64)
    if precision is not None:
        proven &= magnitudes < np.uint64(10 ** min(precision - scale, 19))
    payloads = numeric_payloads(values < 0, magnitudes, np.zeros_like(magnitudes), 0, scale)
    return payloads, proven


def reals_as_numeric(values: NDArray[np.float64], precision: int, scale: int) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Payloads of REAL cells in numeric(p,s), rounded half away from zero on the shortest decimal form.

    Proven are decimals of at most 15 digits that read back as the cell (then they are its shortest form), and
    cells so far from a tie that no shortest form could round otherwise.
    """
    if not 0 <= scale <= MAX_VECTOR_SCALE:
        return _nothing(len(values))
    power = 10.0**scale
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = values * power
        scaled = np.rint(shifted)
        magnitude = np.abs(scaled)
        proven = (scaled / power == values) & (magnitude < 1e15)
        proven |= (np.abs(shifted - scaled) < 0.49) & (magnitude < 1e12)
        proven &= magnitude < 10.0 ** min(precision, 300)
    units = np.where(proven, magnitude, 0).astype(np.int64)
    return _from_units(scaled < 0, units, scale, scale), proven


def reals_as_free_numeric(values: NDArray[np.float64]) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Payloads of REAL cells in numeric without a scale: as many decimals as the shortest form has."""
    units = np.zeros(len(values), np.int64)
    scales = np.zeros(len(values), np.int64)
    proven = np.zeros(len(values), np.bool_)
    magnitudes = np.abs(values)
    for scale in range(FREE_SCALES):
        power = 10.0**scale
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.rint(magnitudes * power)
            found = ~proven & (scaled / power == magnitudes) & (scaled < 1e15)
        units[found], scales[found] = scaled[found].astype(np.int64), scale
        proven |= found
        if proven.all():
            break
    return _from_units(values < 0, units, scales, FREE_SCALES - 1), proven


def _from_units(
    negative: NDArray[np.bool_], units: NDArray[np.int64], scales: NDArray[np.int64] | int, max_scale: int
) -> pa.Array:
    groups = -(-max_scale // 4)
    powers = np.power(10, scales)  # of one scale one number, by which numpy divides many times faster
    whole = units // powers
    fraction = (units - whole * powers) * np.power(10, 4 * groups - scales)
    return numeric_payloads(negative, whole.astype(np.uint64), fraction.astype(np.uint64), groups, scales)


def numeric_payloads(
    negative: NDArray[np.bool_],
    whole: NDArray[np.uint64],
    fraction: NDArray[np.uint64],
    fraction_groups: int,
    scale: int | NDArray[np.int64],
) -> pa.Array:
    """The binary payloads (numeric_send) of ``whole + fraction / 10000**fraction_groups``, one a row.

    Zero groups at both ends are not written, so rows have 8 + 2 x (0 … groups) bytes.
    """
    count = len(whole)
    whole_groups = max(1, -(-len(str(int(whole.max(initial=0)))) // 4))
    width = whole_groups + fraction_groups
    if width <= PACKED_GROUPS:
        packed = _packed(whole) << np.uint64(16 * fraction_groups) | _packed(fraction)
        return _short_payloads(negative, packed << np.uint64(16 * (PACKED_GROUPS - width)), whole_groups - 1, scale)
    groups = np.empty((count, width), np.int16)
    _cut(fraction, groups, width - 1, fraction_groups)
    _cut(whole, groups, whole_groups - 1, whole_groups)

    filled = groups != 0
    first = filled.argmax(axis=1)
    last = width - 1 - filled[:, ::-1].argmax(axis=1)
    some = filled.any(axis=1)
    digits = np.where(some, last - first + 1, 0)

    words = np.empty((count, 4 + width), ">i2")
    words[:, 0] = digits
    words[:, 1] = np.where(some, whole_groups - 1 - first, 0)
    words[:, 2] = np.where(negative & some, NUMERIC_NEGATIVE, 0)
    words[:, 3] = scale
    words[:, 4:] = groups
    place = np.arange(width)
    kept = np.ones((count, 4 + width), np.bool_)
    kept[:, 4:] = (place >= first[:, None]) & (place <= last[:, None]) & some[:, None]
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(8 + 2 * digits, out=offsets[1:])
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(words[kept])])


def _packed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Groups of four digits, each in 16 bits, the lowest in the lowest; 0 of more than there is room for."""
    packed = np.zeros_like(numbers)
    most = int(numbers.max(initial=0))
    for place in range(PACKED_GROUPS):
        if most < 10_000:
            return packed | numbers << np.uint64(16 * place)
        higher = numbers // np.uint64(10_000)
        packed |= (numbers - higher * np.uint64(10_000)) << np.uint64(16 * place)
        numbers, most = higher, most // 10_000
    return packed


def _short_payloads(
    negative: NDArray[np.bool_], packed: NDArray[np.uint64], weight: int, scale: int | NDArray[np.int64]
) -> pa.Array:
    """The payloads of up to four groups, packed with the first one highest: two words of eight bytes a row."""
    count = len(packed)
    some = packed != 0
    first = np.zeros(count, np.uint64)
    for place in (48, 32, 16):
        first += packed < np.uint64(1 << place)
    packed = packed << (np.uint64(16) * first)
    digits = np.full(count, PACKED_GROUPS, np.uint64)
    for place in (16, 32, 48, 64):
        digits -= packed & np.uint64((1 << place) - 1) == 0
    words = np.empty((count, 2), ">u8")
    weights = (np.uint64(weight) - first) & np.uint64(0xFFFF)
    signs = (negative & some) * np.uint64(NUMERIC_NEGATIVE << 16)
    scales = np.asarray(scale).astype(np.uint64) & np.uint64(0xFFFF)
    words[:, 0] = digits << np.uint64(48) | (weights << np.uint64(32)) * some | signs | scales
    words[:, 1] = packed
    edges = np.arange(0, 2 * count + 1, dtype=np.int32) * np.int32(8)
    edges[1::2] += 2 * digits.astype(np.int32)
    data = pa.py_buffer(words.view(np.uint8))
    lines = pa.Array.from_buffers(pa.binary(), 2 * count, [None, pa.py_buffer(edges), data])
    return pc.take(lines, pa.array(np.arange(0, 2 * count, 2, dtype=np.int32)), boundscheck=False)


def _cut(numbers: NDArray[np.uint64], groups: NDArray[np.int16], last: int, count: int) -> None:
    """Cut numbers into ``count`` groups of four digits, the lowest in column ``last``."""
    for place in range(last, last - count, -1):
        if place == last - count + 1:
            groups[:, place] = numbers
            return
        higher = numbers // np.uint64(10_000)
        groups[:, place] = numbers - higher * np.uint64(10_000)
        numbers = higher


def _nothing(count: int) -> tuple[pa.Array, NDArray[Any]]:
    return pa.array([b""] * count, pa.binary()), np.zeros(count, np.bool_)
