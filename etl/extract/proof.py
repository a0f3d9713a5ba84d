"""Which plain readings prove the storage class of every cell.

A driver that hands out one Arrow type for a column has upcast what did not fit: an integer among texts comes back as
text. A plain reading therefore counts only when the type that came back, together with the column's affinity, leaves
one explanation (datatype3.html §3; ``pragma quick_check`` makes affinity a fact).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from etl.model import Affinity, PlainColumn, SourceColumn

STRICT_TYPES = {"INT": "int64", "INTEGER": "int64", "REAL": "double", "TEXT": "string", "BLOB": "binary"}
NUMBER_LIKE = r"^-?([0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|[Ii]nf|[Nn]a[Nn])$"
DASH = ord("-")
DASHES = ((4, 7), (8, 13))  # where a date and a uuid have theirs
NUMBER_START = np.isin(np.arange(256), list(b"-0123456789IiNn"))


def prove_plain(array: pa.Array, column: SourceColumn, strict: bool) -> PlainColumn | None:
    """The column as proven, or None when it must be read split."""
    if array.null_count == len(array):
        return PlainColumn(array)  # an all-null page comes back as int64 whatever the column is
    kind = str(array.type)
    if strict and column.declared.upper() in STRICT_TYPES:
        return PlainColumn(array) if kind == STRICT_TYPES[column.declared.upper()] else None
    match column.affinity, kind:
        case (Affinity.TEXT, "string") | (Affinity.INTEGER, "int64") | (Affinity.REAL, "double"):
            return PlainColumn(array)
        case Affinity.NUMERIC, "int64":
            return PlainColumn(array)
        case Affinity.NUMERIC, "double" if below_2_53(array):
            return PlainColumn(array, integral_is_integer=True)
        case Affinity.NUMERIC, "string" if not holds_number_like(array):
            return PlainColumn(array)
        case _:
            return None


def below_2_53(array: pa.Array) -> bool:
    """Beyond it an INTEGER that was upcast to a double may have lost digits."""
    low_high = pc.min_max(array)
    return bool(low_high["min"].as_py() > -(2.0**53) and low_high["max"].as_py() < 2.0**53)


def holds_number_like(array: pa.Array) -> bool:
    """Whether a cell could be a number that the driver rendered as text.

    With NUMERIC affinity SQLite itself turns number-like text into numbers, so that such a cell never was text.
    JSON is told by its first character, dates and uuids by their two dashes, which no number has; only what is left
    meets the regular expression.
    """
    cells = _Cells.of(array)
    if cells.are_all_dashed() or not (suspicious := cells.begin_like_number()).any():
        return False
    suspects = array.filter(pa.array(suspicious & ~cells.have_two_dashes()))
    if len(suspects) == suspects.null_count:
        return False
    suspects = suspects.drop_null().cast(pa.binary())  # the text is not yet known to be UTF-8
    return bool(pc.any(pc.match_substring_regex(suspects, NUMBER_LIKE)).as_py())


@dataclass(frozen=True, slots=True)
class _Cells:
    """The buffers of a string array: where each of n cells starts, how long it is, and the bytes of all."""

    starts: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    data: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, array: pa.Array) -> _Cells:
        offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
        content = array.buffers()[2]
        data = np.zeros(0, np.uint8) if content is None else np.frombuffer(content, np.uint8)
        return cls(offsets[:-1], np.diff(offsets), data)

    def are_all_dashed(self) -> bool:
        """Whether all cells but NULL and '' are of one length and carry two dashes: the common case, for little."""
        length = int(self.lengths.max(initial=0))
        filled = int(np.count_nonzero(self.lengths))
        start, size = int(self.starts[0]), int(self.lengths.sum(dtype=np.int64))
        if size != length * filled:
            return False
        lines = self.data[start : start + size].reshape(filled, length)
        return any(
            length > second and bool((lines[:, first] == DASH).all() and (lines[:, second] == DASH).all())
            for first, second in DASHES
        )

    def begin_like_number(self) -> npt.NDArray[np.bool_]:
        """Per cell: whether its first character could begin a number."""
        begins = np.zeros(len(self.starts), bool)
        filled = np.flatnonzero(self.lengths)
        begins[filled] = NUMBER_START[self.data[self.starts[filled]]]
        return begins

    def have_two_dashes(self) -> npt.NDArray[np.bool_]:
        """Per cell."""
        found = np.zeros(len(self.starts), bool)
        for first, second in DASHES:
            long_enough = np.flatnonzero(self.lengths > second)
            at = self.starts[long_enough]
            found[long_enough] |= (self.data[at + first] == DASH) & (self.data[at + second] == DASH)
        return found
