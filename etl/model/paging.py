"""Rows on their way: a page of source data, the same page as target data, the same page as a COPY stream.

Invariant: they have different types, so that the type checker refuses to COPY what was not coerced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from etl.model.outcome import Coercion, RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A column of a page read as it is; the reader has proven the storage class of every cell.

    ``array`` is int64, float64, string (raw bytes: not yet known to be UTF-8) or binary; an all-null column may have
    any of these types.
    ``integral_is_integer``: the column has NUMERIC affinity and came back as float64 with all magnitudes below
    2^53; SQLite stores integral values of such a column as INTEGER, so a cell 5.0 was INTEGER 5 and 5.5 was REAL.
    """

    array: pa.Array
    integral_is_integer: bool = False


@dataclass(frozen=True, slots=True)
class SplitColumn:
    """A column of a page read as four: for every row at most one of them is not null."""

    integers: pa.Array  # int64
    reals: pa.Array  # float64
    texts: pa.Array  # string (raw bytes: not yet known to be UTF-8)
    blobs: pa.Array  # binary


SourceValues = PlainColumn | SplitColumn


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some thousand rows of one table as SQLite holds them; ``keys`` name the rows, one array per part of the key."""

    number: int  # 0-based within the table
    row_count: int
    columns: tuple[SourceValues, ...]  # as TablePlan.columns
    key_names: tuple[str, ...]
    keys: tuple[pa.Array, ...]
    source_bytes: int


@dataclass(frozen=True, slots=True)
class TargetPage:
    """Rows that may be copied: one Arrow array per target column, of exactly the type that its encoder takes."""

    number: int
    row_count: int
    batch: pa.RecordBatch  # columns named and ordered as TablePlan.columns
    coercions: tuple[Coercion, ...]
    first_key: str  # rendered, for the error of a COPY slice
    last_key: str
    source_bytes: int
    rejected: tuple[RejectedRow, ...] = ()  # rows of the page that are not in the batch


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of one page as they stand in a COPY stream, cut into messages of at most 1 MB."""

    number: int
    row_count: int
    chunks: tuple[memoryview, ...]
    first_key: str
    last_key: str
    source_bytes: int
    rejected: tuple[RejectedRow, ...] = ()
    format: Literal["binary", "csv"] = "binary"
    breaks_lines: bool = False  # CSV with line breaks in values: the server's number of a line is none of a row
    page: TargetPage | None = None  # where rows of it may have to be sent alone
