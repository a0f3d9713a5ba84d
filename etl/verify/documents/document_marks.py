"""Where strings, brackets and commas stand in JSON text: whole stretches at once, without a token of Python's.

Invariant: of valid JSON these are exact; of other text they are anything, and nobody may take it for JSON by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[Any]  # of integers
Data = NDArray[np.uint8]

QUOTE, BACKSLASH, COMMA = ord('"'), ord("\\"), ord(",")
_STEPS = np.zeros(256, np.int8)  # how deep each mark leads
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_IS_MARK = _STEPS != 0
_IS_MARK[COMMA] = True


@dataclass(frozen=True, slots=True)
class Marks:
    """Brackets and commas outside of strings, in their order."""

    places: Places
    kinds: Data  # the characters
    depths: Places  # behind each, from 0 at the begin of the text

    @property
    def steps(self) -> Places:
        """1 for what opens, -1 for what closes, 0 for commas."""
        steps: Places = _STEPS[self.kinds]
        return steps

    @property
    def commas(self) -> Places:
        """Which of them are commas, by number."""
        return np.flatnonzero(self.kinds == COMMA)

    def before(self, place: int) -> Marks:
        count = int(np.searchsorted(self.places, place))
        return Marks(self.places[:count], self.kinds[:count], self.depths[:count])


def marks_of(data: Data, quotes: Places) -> Marks:
    """The marks of text that begins outside of a string and whose `quotes_of` are these."""
    places = outside(np.flatnonzero(_IS_MARK[data]), quotes)
    kinds = data[places]
    return Marks(places, kinds, np.cumsum(_STEPS[kinds], dtype=np.int64))


def outside(places: Places, quotes: Places) -> Places:
    """Those of the places that stand in no string."""
    found: Places = places[np.searchsorted(quotes, places) % 2 == 0]
    return found


def quotes_of(data: Data) -> Places:
    """Where the double quotes stand that begin and end strings."""
    quotes = np.flatnonzero(data == QUOTE)
    escaped = escaped_of(data)
    escaped = escaped[escaped < len(data)]
    return np.delete(quotes, np.searchsorted(quotes, escaped[data[escaped] == QUOTE]))


def escaped_of(data: Data) -> Places:
    """Where the characters stand that a backslash escapes: of a row of backslashes each second one."""
    backslashes = np.flatnonzero(data == BACKSLASH)
    if not len(backslashes):
        return backslashes
    places = np.arange(len(backslashes))
    heads = np.where(np.diff(backslashes, prepend=-2) != 1, places, 0)
    firsts: Places = backslashes[(places - np.maximum.accumulate(heads)) % 2 == 0]
    return firsts + 1
