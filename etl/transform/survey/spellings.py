"""The ways in which the texts of a column are written: forms of dates, spellings of UUIDs, each with its count.

Invariant: every text is counted once; of each form the first text is kept. Forms beyond the most frequent are one,
``other``, so that a column of prose costs no more than a column of dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from etl.model import Spelling
from etl.transform.rows.buffers import BoolMask, ByteMatrix, as_binary, matrix_of, rows_by_length, valid_mask
from etl.transform.rows.rendering import cut

MOST_FORMS = 40
FORMS_A_PAGE = 12  # looked for in the texts of one length of a page; the rest of them is `other`
LONGEST_DATE = 48
OTHER = "other"
OFFSET = re.compile(r"0:00(:00(\.0+)?)?(Z| UTC|[+-]00(:?00)?)$")  # in a form

_DATE_START = re.compile(rb"\s*\d{1,4}[-/.:]\d{1,4}([-/.:T ]|$)")

# every digit is a 0, everything else is itself
_FORM_OF: npt.NDArray[np.uint8] = np.arange(256, dtype=np.uint8)
_FORM_OF[ord("0") : ord("9") + 1] = ord("0")

UUID_SPELLINGS = (
    ("lower case with dashes", r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    ("upper case with dashes", r"^[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$"),
    ("mixed case with dashes", r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"),
    ("32 digits", r"^[0-9A-Fa-f]{32}$"),
    ("in braces", r"^\{[0-9A-Fa-f-]{32,36}\}$"),
    ("urn:uuid:", r"^urn:uuid:[0-9A-Fa-f-]{32,36}$"),
)


@dataclass
class Spellings:
    """Forms and their counts, added up over pages."""

    found: dict[str, Spelling] = field(default_factory=dict)

    def add(self, form: str, count: int, sample: str) -> None:
        if form not in self.found and len(self.found) >= MOST_FORMS:
            form = OTHER
        known = self.found.get(form)
        self.found[form] = Spelling(
            form, count if known is None else known.count + count, (known or Spelling(form, 0, sample)).sample
        )

    @property
    def most_frequent_first(self) -> tuple[Spelling, ...]:
        return tuple(sorted(self.found.values(), key=lambda spelling: -spelling.count))

    def total(self, pattern: re.Pattern[str]) -> int:
        """How many texts are of a form that the pattern is found in."""
        return sum(spelling.count for spelling in self.found.values() if pattern.search(spelling.form))


def looks_like_dates(samples: Iterable[bytes]) -> bool:
    """Whether all of some texts begin as a date or a time does."""
    cells = list(samples)
    return bool(cells) and all(len(cell) <= LONGEST_DATE and _DATE_START.match(cell) for cell in cells)


def add_dates(spellings: Spellings, texts: pa.Array) -> None:
    """Count the forms of all texts."""
    done = 0
    for length, rows in rows_by_length(texts, set(range(1, LONGEST_DATE + 1))):
        matrix = matrix_of(texts, length, rows)
        done += len(matrix)
        _add_forms(spellings, matrix)
    left = len(texts) - texts.null_count - done
    if left:
        lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
        long = valid_mask(texts) & ((lengths == 0) | (lengths > LONGEST_DATE))
        empty = long & (lengths == 0)
        for form, mask in (("(empty)", empty), (OTHER, long & ~empty)):
            if mask.any():
                spellings.add(form, int(np.count_nonzero(mask)), _sample(texts, mask))


def _add_forms(spellings: Spellings, cells: ByteMatrix) -> None:
    forms = np.ascontiguousarray(_FORM_OF[cells])
    width = forms.shape[1]
    words = forms.view(np.dtype((np.void, width))).ravel()
    for _ in range(FORMS_A_PAGE):
        same = words == words[0]
        count = int(np.count_nonzero(same))
        spellings.add(words[0].tobytes().decode("utf-8", "backslashreplace"), count, _shown(cells[0].tobytes()))
        if count == len(words):
            return
        words, cells = words[~same], cells[~same]
    spellings.add(OTHER, len(words), _shown(cells[0].tobytes()))


def add_uuids(spellings: Spellings, texts: pa.Array) -> None:
    """Count the spellings of UUIDs; what is none is ``other``."""
    left = as_binary(texts).drop_null()
    for name, pattern in UUID_SPELLINGS:
        if not len(left):
            return
        found: BoolMask = pc.match_substring_regex(left, pattern).to_numpy(zero_copy_only=False)
        count = int(np.count_nonzero(found))
        if count:
            spellings.add(name, count, _sample(left, found))
            left = left.filter(pa.array(~found)) if count < len(left) else left.slice(0, 0)
    if len(left):
        spellings.add(OTHER, len(left), _shown(left[0].as_py()))


def _sample(texts: pa.Array, mask: BoolMask) -> str:
    return _shown(as_binary(texts)[int(np.argmax(mask))].as_py())


def _shown(cell: bytes) -> str:
    return cut(cell.decode("utf-8", "backslashreplace"))
