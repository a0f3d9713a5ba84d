"""What the values of one column are, added up over pages: the census.

Invariant: nothing depends on the plan but which of the costlier questions are asked of a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.model import ColumnCensus, ColumnPlan, PgType, SourceValues, Span, StorageClass
from etl.transform.rows.buffers import as_binary, as_string, cell_offsets, fixed_values
from etl.transform.rows.columns import parts_of
from etl.transform.rows.extremes import TEMPORAL
from etl.transform.rows.rendering import render_source
from etl.transform.rows.text_vectors import unreadable
from etl.transform.survey.guesses import guess_type, is_uuid
from etl.transform.survey.magnitudes import Epochs, Magnitudes
from etl.transform.survey.spellings import OFFSET, Spellings, add_dates, add_uuids, looks_like_dates

DATED = frozenset({"date", "timestamp", "timestamptz"})  # may be counted from an epoch
MOST_SAMPLES = 256  # texts from which a type is guessed
SAMPLES_A_PAGE = 16
LONGEST_SAMPLE = 1 << 16  # bytes: they are kept, and texts may be of any size
HEAD_BYTES = 1 << 10  # of the least and the greatest text: more than is shown of them
_EVERY_CLASS = PgType("text")  # for which the classes of a column are told apart in every case


class ColumnFacts:
    """Takes the column of page after page; ``census()`` says what they held."""

    def __init__(self, column: ColumnPlan) -> None:
        self._target = column.type
        self._classes: Counter[StorageClass] = Counter()
        self._integers: list[int] = []  # smallest and largest, empty before the first
        self._reals: list[float] = []
        self._texts: list[bytes] = []
        self._longest_characters = self._longest_bytes = 0
        self._with_nul = self._not_utf8 = 0
        self._dates: Spellings | None = Spellings() if column.type.name in TEMPORAL else None
        self._uuids: Spellings | None = Spellings() if column.type.name == "uuid" else None
        self._magnitudes = Magnitudes(column.type)
        self._epochs = Epochs()
        self._samples: list[bytes] = []
        self._add: dict[StorageClass, Callable[[pa.Array], None]] = {
            StorageClass.INTEGER: self._add_integers,
            StorageClass.REAL: self._add_reals,
            StorageClass.TEXT: self._add_texts,
            StorageClass.BLOB: self._add_blobs,
        }

    def add(self, values: SourceValues, row_count: int) -> None:
        """Take the column of one page."""
        known = 0
        for part in parts_of(values, _EVERY_CLASS):
            found = len(part.array) - part.array.null_count
            if found:
                self._classes[part.storage] += found
                known += found
                self._add[part.storage](part.array)
        self._classes[StorageClass.NULL] += row_count - known

    def _add_integers(self, array: pa.Array) -> None:
        numbers = fixed_values(_without_nulls(array), np.int64)
        self._integers = _widened(self._integers, int(numbers.min()), int(numbers.max()))
        self._magnitudes.add_integers(numbers)
        if self._target.name in DATED:
            self._epochs.add(numbers)

    def _add_reals(self, array: pa.Array) -> None:
        numbers = fixed_values(_without_nulls(array), np.float64)
        self._reals = _widened(self._reals, float(numbers.min()), float(numbers.max()))
        self._magnitudes.add_reals(numbers)
        if self._target.name in DATED:
            self._epochs.add(numbers)

    def _add_texts(self, array: pa.Array) -> None:
        binary = _without_nulls(as_binary(array))
        is_short = int(np.diff(cell_offsets(binary)).max()) <= HEAD_BYTES
        low_high = pc.min_max(binary if is_short else pc.binary_slice(binary, 0, HEAD_BYTES))
        self._texts = _widened(self._texts, low_high["min"].as_py(), low_high["max"].as_py())
        self._measure(binary)
        self._count_unreadable(array)
        self._sample(binary)
        if self._dates is not None:
            add_dates(self._dates, array)
        if self._uuids is not None:
            add_uuids(self._uuids, array)
        if self._target.name == "numeric":
            self._magnitudes.add_texts(binary.drop_null().to_pylist())

    def _add_blobs(self, array: pa.Array) -> None:
        array = _without_nulls(array)  # behind a null anything may stand, a length too
        lengths = np.diff(cell_offsets(array))
        self._longest_bytes = max(self._longest_bytes, int(lengths.max()))
        sixteen = int(np.count_nonzero(lengths == 16))
        if self._uuids is not None and sixteen:
            first = array.filter(pa.array(lengths == 16))[0].as_py()
            self._uuids.add("16 bytes", sixteen, render_source(first, StorageClass.BLOB))

    def _measure(self, binary: pa.Array) -> None:
        lengths = np.diff(cell_offsets(binary))
        longest = int(lengths.max())
        self._longest_bytes = max(self._longest_bytes, longest)
        if longest > self._longest_characters:  # a text has no more characters than bytes
            wanted = lengths > self._longest_characters
            candidates = binary if wanted.all() else binary.filter(pa.array(wanted))
            characters = int(pc.max(pc.utf8_length(as_string(candidates))).as_py())  # takes any bytes
            self._longest_characters = max(self._longest_characters, characters)

    def _count_unreadable(self, array: pa.Array) -> None:
        odd = unreadable(array)
        if odd is None:
            return
        for cell in as_binary(array).filter(pa.array(odd)).to_pylist():
            self._with_nul += b"\0" in cell
            self._not_utf8 += not _is_utf8(cell)

    def _sample(self, binary: pa.Array) -> None:
        """Some texts of every page; the first page of a column decides which questions are asked of all of it."""
        if len(self._samples) >= MOST_SAMPLES:
            return
        short = np.flatnonzero(np.diff(cell_offsets(binary)) <= LONGEST_SAMPLE)
        if not len(short):
            return
        cells = binary.take(pa.array(np.unique(short[np.linspace(0, len(short) - 1, SAMPLES_A_PAGE).astype(np.int64)])))
        cells = cells.to_pylist()
        if not self._samples and self._target.name in {"text", "varchar"}:
            self._dates = Spellings() if looks_like_dates(cells) else None
            self._uuids = Spellings() if all(map(is_uuid, cells)) else None
        self._samples += cells

    def census(self) -> ColumnCensus:
        """Everything that was found so far."""
        dates, uuids = self._dates or Spellings(), self._uuids or Spellings()
        textual = self._target.name in {"text", "varchar"} and not self._classes[StorageClass.BLOB]
        return ColumnCensus(
            classes={storage: self._classes[storage] for storage in StorageClass},
            numbers=self._number_span(),
            texts=_span(self._texts, StorageClass.TEXT),
            low_integer=self._integers[0] if self._integers else None,
            high_integer=self._integers[1] if self._integers else None,
            longest_characters=self._longest_characters,
            longest_bytes=self._longest_bytes,
            with_nul=self._with_nul,
            not_utf8=self._not_utf8,
            dates=dates.most_frequent_first,
            with_offset=dates.total(OFFSET),
            uuids=uuids.most_frequent_first,
            epochs=dict(self._epochs.counts),
            digits_before=self._magnitudes.before,
            digits_after=self._magnitudes.after,
            rounding_losses=self._magnitudes.losses,
            looks_like=guess_type(self._samples) if textual else None,
        )

    def _number_span(self) -> Span | None:
        found = [*self._integers, *self._reals]
        return Span(repr(min(found)), repr(max(found))) if found else None


def _without_nulls(array: pa.Array) -> pa.Array:
    return array if array.null_count == 0 else array.drop_null()


def _widened(span: list, low: object, high: object) -> list:  # type: ignore[type-arg]
    return [low, high] if not span else [min(span[0], low), max(span[1], high)]


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _span(found: list[bytes], storage: StorageClass) -> Span | None:
    return Span(render_source(found[0], storage), render_source(found[1], storage)) if found else None
