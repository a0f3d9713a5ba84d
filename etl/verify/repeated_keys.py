"""Which JSON documents repeat a key in one object: jsonb keeps the last of them, and that is a rule to be counted.

Invariant: exact, at the price of counting colons. Every key has its colon, and the canonical form, in which the last of
equal keys has won, has those of the keys that are left and those within strings; an escaped colon is looked at closely.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.model import BINARY_JSON, ColumnPlan, TablePlan
from etl.verify.rows import ExpectedRows
from etl.verify.values.expected import is_document
from etl.verify.values.fixed_rules import widths_of

COLON, BACKSLASH = ord(":"), ord("\\")
SAMPLE_COUNT = 5
ESCAPED = re.compile(rb"\\u003[aA]")  # a colon in the canonical form, and none in the text
LONG_BYTES = 1 << 12  # of a cell


class RepeatedKeys:
    """Counts the documents of a table that repeat a key, by column, and remembers where the first of them stand."""

    def __init__(self, table: TablePlan) -> None:
        documents = [column for column in table.columns if is_document(column.type)]
        self._names = [column.source.name if is_left_to_server(column) else None for column in documents]
        self.counts: dict[str, int] = {}
        self.places: dict[str, list[int]] = {}  # among the rows that are compared, in the order of the scan
        self._rows = 0

    def note(self, expected: ExpectedRows) -> None:
        """Count a batch."""
        for name, column in zip(self._names, expected.documents, strict=True):
            if name is None or column.texts is None:
                continue
            found = repeated_keys(column.texts, column.canonical)
            if found:
                self.counts[name] = self.counts.get(name, 0) + len(found)
                places = self.places.setdefault(name, [])
                places += [self._rows + place for place in found[: SAMPLE_COUNT - len(places)]]
        self._rows += len(expected.rows)


def is_left_to_server(column: ColumnPlan) -> bool:
    """Whether the server drops repeated keys unseen: of SQLite's binary JSON the load has seen them."""
    return column.type.name == "jsonb" and column.reading.how != BINARY_JSON


def repeated_keys(texts: pa.Array, canonical: pa.Array) -> list[int]:
    """The places of the documents that repeat a key; ``canonical`` are the same documents in their canonical form.

    Both are binary arrays of n cells; null texts are no text, as numbers are.
    """
    data = contents(texts)
    has_escapes = bool((data == BACKSLASH).any()) and ESCAPED.search(data.data) is not None
    held = texts.is_valid().to_numpy(zero_copy_only=False)
    only_texts = not widths_of(texts)[~held].any() and not widths_of(canonical)[~held].any()
    if not has_escapes and only_texts and _count(data) == _count(contents(canonical)):
        return []  # no document can gain a colon, so none has lost one
    lost = (colons(texts) != colons(canonical)) & held
    if not has_escapes:
        return [int(place) for place in np.flatnonzero(lost)]
    places = range(len(texts))
    return [place for place in places if is_one(texts[place].as_py() or b"", lost_colons=bool(lost[place]))]


def is_one(text: bytes, *, lost_colons: bool) -> bool:
    return repeats_key(text, otherwise=lost_colons) if ESCAPED.search(text) else lost_colons


def repeats_key(text: bytes, *, otherwise: bool) -> bool:
    """Whether an object somewhere in the document has two equal keys; ``otherwise`` where it is too deep to tell."""
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) < len(pairs)

    try:
        json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return otherwise
    return repeated


def contents(array: pa.Array) -> NDArray[np.uint8]:
    """The bytes of all cells, one behind the other; no copy."""
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
    return np.frombuffer(array.buffers()[2] or b"", np.uint8)[int(offsets[0]) : int(offsets[-1])]


def _count(data: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(data == COLON))


def colons(array: pa.Array) -> NDArray[np.int64]:
    """How many colons each cell has."""
    data = contents(array)
    ends = np.cumsum(np.maximum(widths_of(array), 0))
    if len(data) > LONG_BYTES * len(array):  # the sums below have eight bytes for each
        return np.array([_count(data[start:end]) for start, end in pairwise([0, *ends.tolist()])], np.int64)
    totals = np.concatenate(([0], np.cumsum(data == COLON)))[np.concatenate(([0], ends))]
    return np.diff(totals)
