"""Which JSON numbers and words already are as the canonical form spells them: eight bytes at once.

Invariant: the same as the pattern says that stands in `documents.py`; a test lets both look at the same texts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]  # up to eight bytes each, the first one lowest; zero behind the text

LONGEST = 8  # characters
_WORDS = [np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false", b"null")]
KEPT = np.array([(1 << 8 * length) - 1 for length in range(LONGEST + 1)], np.uint64)
_ZEROS = np.uint64(0x3030303030303030)
_HIGH, _LOW = np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F)
_POINTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_BEYOND_NINE = np.uint64(0x7676767676767676)  # added to a digit's value it leaves the highest bit clear
_POINT_TO_ZERO = np.uint64(ord(".") ^ ord("0"))
_BYTE = np.uint64(0xFF)
_ZERO, _POINT = np.uint64(ord("0")), np.uint64(ord("."))
_ONE, _SEVEN, _EIGHT = np.uint64(1), np.uint64(7), np.uint64(8)


def are_canonical(words: Words, lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether texts of 1 to `LONGEST` bytes are words, or numbers without a sign, in canonical form.

    False too for what the pattern allows and these eight bytes do not settle: a minus in front.
    """
    found = _are_numbers(words, lengths.astype(np.uint64))
    for word in _WORDS:
        found |= words == word
    return found


def _are_numbers(words: Words, lengths: NDArray[np.uint64]) -> NDArray[np.bool_]:
    points = _bytes_equal(words, _POINTS)
    digits = words | (_ZEROS & ~KEPT[lengths])
    digits ^= (points >> _SEVEN) * _POINT_TO_ZERO
    values = digits ^ _ZEROS
    odd = (((values & _LOW) + _BEYOND_NINE) | values) & _HIGH
    first, second = words & _BYTE, (words >> _EIGHT) & _BYTE
    last = (words >> (_EIGHT * (lengths - _ONE))) & _BYTE
    found: NDArray[np.bool_] = (odd == 0) & (points & (points - _ONE) == 0) & (first != _POINT)
    found &= (first != _ZERO) | (lengths == 1) | (second == _POINT)
    found &= (points == 0) | ((last != _ZERO) & (last != _POINT))
    return found


def _bytes_equal(words: Words, wanted: np.uint64) -> Words:
    """The highest bit of every byte that is the wanted one (of a zero byte behind the text it is not)."""
    differing = words ^ wanted
    return ~(((differing & _LOW) + _LOW) | differing | _LOW)
