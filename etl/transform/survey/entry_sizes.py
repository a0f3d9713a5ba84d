"""How many bytes the rows of a page take in an index, between what is certain and what is possible.

PostgreSQL compresses what is long before it measures an entry, by a method that the server chooses. What no method of
its can do without are the bytes that repeat nothing: they bound the entry from below.

Invariant: a row below ``largest`` fits in every server, one above it with its ``least`` in none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from etl.model import ColumnPlan, IndexPlan, PgType, TablePlan
from etl.table_keys import FIXED_SIZE, LARGEST_INDEX_ENTRY, MOST_REPEATED, quoted
from etl.transform.rows.arrow_types import underlying
from etl.transform.rows.buffers import BoolMask, as_binary, cell_offsets, valid_mask
from etl.transform.survey.key_values import term_columns

Sizes = npt.NDArray[np.int64]

TUPLE_HEADER, NULL_BITMAP = 8, 8  # IndexTupleData, and what a NULL adds to it
SHORT_HEADER, VALUE_HEADER, COMPRESSED_HEADER = 1, 4, 8
LONGEST_SHORT = 126  # bytes of a value with a short header
ALIGNMENT = 8
FIXED_BYTES = 16  # at most, of every type in FIXED_SIZE
PLAIN = frozenset({"text", "varchar", "char", "citext", "bytea"})  # stored as the bytes that we send
MOST_PER_BYTE = 12  # of other types, for each byte of their text: jsonb keeps an offset for every element
LOOKED_AT = 16_384  # bytes of a value from its beginning: enough to be too long
SHORTEST_MATCH = 3  # bytes that pglz can copy at once; lz4 needs 4


def long_rows(table: TablePlan, index: IndexPlan, arrays: Mapping[str, pa.Array]) -> tuple[list[int], list[int]]:
    """The rows of a page that surely do not fit into the index, and those of which only the server can tell.

    ``arrays``: by target column, the values as the load would write them.
    """
    terms = term_columns(table, index)
    columns = [column for column, _ in terms] if terms else _inside(table, index)
    largest = np.full(len(next(iter(arrays.values()))), TUPLE_HEADER, np.int64)
    if len(columns) > 1:
        largest += NULL_BITMAP + len(columns) * (ALIGNMENT - 1)
    for column in columns:
        largest += _largest(arrays[column.name], underlying(column.type))
    doubtful = np.flatnonzero(_aligned(largest) > LARGEST_INDEX_ENTRY).tolist()
    if not doubtful or terms is None or index.predicate is not None:
        return [], doubtful
    plain = [
        (as_binary(arrays[column.name]), folded) for column, folded in terms if underlying(column.type).name in PLAIN
    ]
    surely = [
        row
        for row in doubtful
        if _aligned(TUPLE_HEADER + sum(_least(array[row].as_py(), folded) for array, folded in plain))
        > LARGEST_INDEX_ENTRY
    ]
    return surely, sorted(set(doubtful) - set(surely))


def _inside(table: TablePlan, index: IndexPlan) -> list[ColumnPlan]:
    """The columns inside of expressions, as often as an expression may well repeat them."""
    return [
        column
        for column in table.columns
        for term in index.terms
        for _ in range(MOST_REPEATED * term.count(quoted(column.name)))
    ]


def _aligned(size: Any) -> Any:
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def _largest(array: pa.Array, type: PgType) -> Sizes:  # noqa: A002
    """What the cells take when nothing is compressed, at most."""
    if type.name in FIXED_SIZE or not (pa.types.is_string(array.type) or pa.types.is_binary(array.type)):
        return np.full(len(array), 2 * FIXED_BYTES if pa.types.is_decimal(array.type) else FIXED_BYTES, np.int64)
    lengths = np.diff(cell_offsets(array)).astype(np.int64)
    if type.name == "char":
        lengths = np.maximum(lengths, 4 * (type.length or 1))  # filled up with blanks
    elif type.name not in PLAIN:
        lengths = lengths * MOST_PER_BYTE + 64
    sizes = lengths + VALUE_HEADER
    if array.null_count:
        sizes[~valid_mask(array)] = 0
    return sizes


def _least(value: bytes | None, folded: bool) -> int:
    """What a value takes at least, however well the server compresses it."""
    if value is None:
        return 0
    if len(value) <= LONGEST_SHORT:
        return SHORT_HEADER + len(value)
    shown = value[:LOOKED_AT].lower() if folded else value[:LOOKED_AT]  # of bytes, that is ASCII alone
    return min(VALUE_HEADER + len(value), COMPRESSED_HEADER + unrepeated_bytes(shown))


def unrepeated_bytes(value: bytes) -> int:
    """How many bytes of a value no Lempel-Ziv method can copy from before: those outside every repeated triple."""
    cells = np.frombuffer(value, np.uint8).astype(np.int64)
    if len(cells) < SHORTEST_MATCH:
        return len(cells)
    triples = cells[:-2] << 16 | cells[1:-1] << 8 | cells[2:]
    order = np.argsort(triples, kind="stable")
    again = order[1:][triples[order][1:] == triples[order][:-1]]
    copied: BoolMask = np.zeros(len(cells), np.bool_)
    for place in range(SHORTEST_MATCH):
        copied[again + place] = True
    return int(len(cells) - np.count_nonzero(copied))
