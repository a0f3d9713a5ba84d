"""Which plain readings prove the storage class of every cell.

A driver that hands out one Arrow type for a column has upcast what did not fit: an integer among texts comes back as
text. A plain reading therefore counts only when the type that came back, together with the column's affinity, leaves
one explanation (datatype3.html §3; ``pragma quick_check`` makes affinity a fact).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.model import Affinity, PlainColumn, SourceColumn

STRICT_TYPES = {"INT": "int64", "INTEGER": "int64", "REAL": "double", "TEXT": "string", "BLOB": "binary"}
NUMBER_LIKE = r"^-?([0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|[Ii]nf|[Nn]a[Nn])$"
DASH = ord("-")
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
    suspects = array.filter(pa.array(begins_like_number(array) & ~has_two_dashes(array)))
    if len(suspects) == suspects.null_count:
        return False
    suspects = suspects.drop_null().cast(pa.binary())  # the text is not yet known to be UTF-8
    return bool(pc.any(pc.match_substring_regex(suspects, NUMBER_LIKE)).as_py())


def begins_like_number(array: pa.Array) -> np.ndarray:
    """Per cell: whether its first character could begin a number."""
    starts, lengths, data = cell_buffers(array)
    begins = np.zeros(len(array), bool)
    filled = np.flatnonzero(lengths)
    begins[filled] = NUMBER_START[data[starts[filled]]]
    return begins


def has_two_dashes(array: pa.Array) -> np.ndarray:
    """Per cell: dashes at 4 and 7 (a date) or at 8 and 13 (a uuid)."""
    starts, lengths, data = cell_buffers(array)
    found = np.zeros(len(array), bool)
    for first, second in ((4, 7), (8, 13)):
        long_enough = np.flatnonzero(lengths > second)
        at = starts[long_enough]
        found[long_enough] |= (data[at + first] == DASH) & (data[at + second] == DASH)
    return found


def cell_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each cell of a string array starts, how long it is, and the bytes of all."""
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
    content = array.buffers()[2]
    data = np.zeros(0, np.uint8) if content is None else np.frombuffer(content, np.uint8)
    return offsets[:-1], np.diff(offsets), data
