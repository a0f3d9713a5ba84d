"""Records of a table's leaves (fileformat2.html §2.1), a vector per column: what each cell is and where it stands.

Invariant: after ``lay_out`` every cell lies inside its record and every record inside its page; whatever is otherwise
raises UnusualPageError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etl.extract.btree import LEAF_HEADER_BYTES, cell_addresses
from etl.extract.database_file import Addresses, PageBlock, UnusualPageError

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
SerialTypes = npt.NDArray[Any]  # uint8 where all are below 128, else int64
ONE_BYTE = 128  # a varint below it is one byte
LONGEST_VARINT = 9
BEYOND_LENGTHS = 2**32  # serial types from here on would be cells of 2 GB
# the bytes that a value of each serial type takes in the record's body
BODY_BYTES = np.array([0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0] + [(kind - 12) // 2 for kind in range(12, 128)], np.int64)


@dataclass
class Rows:
    """Some rows in key order, known by their rowids; their records are not yet looked into."""

    block: PageBlock
    rowids: Integers
    payloads: Integers  # bytes of each record
    records: Addresses  # where each record begins
    page_ends: Addresses  # which address each record must not go beyond

    def part(self, first: int, end: int) -> Rows:
        of = slice(first, end)
        return Rows(self.block, self.rowids[of], self.payloads[of], self.records[of], self.page_ends[of])


@dataclass
class StoredCells:
    """One column of some rows: the serial type of each cell, where its bytes begin and where they end."""

    types: SerialTypes
    starts: Addresses
    ends: Addresses
    absent: Mask | None = None  # rows whose records are too short to have this column; None where there are none
    only_type: int | None = None  # the serial type where all cells have the same, which saves most of the work


def read_rows(block: PageBlock, counts: Integers, first: int, end: int) -> Rows:
    """The rows of the leaves ``first`` to ``end`` of a block."""
    cells = cell_addresses(block, counts, first, end, LEAF_HEADER_BYTES)
    payloads, at = read_varints(block.data, cells)
    rowids, at = read_varints(block.data, at)
    if (rowids[1:] <= rowids[:-1]).any():
        raise UnusualPageError("rowids do not ascend")
    return Rows(block, rowids, payloads, at, np.repeat(block.pages[first:end] + block.usable_bytes, counts[first:end]))


def largest_local(usable_bytes: int) -> int:
    """A larger payload goes on in overflow pages (fileformat2.html §1.6)."""
    return usable_bytes - 35


def lay_out(rows: Rows, column_count: int) -> list[StoredCells]:
    """Every column of the records."""
    ends = rows.records + rows.payloads
    if (rows.payloads < 1).any() or (ends > rows.page_ends).any():
        raise UnusualPageError("a record ends outside its page")
    header_bytes, at = read_varints(rows.block.data, rows.records)
    bodies = rows.records + header_bytes
    if (bodies < at).any() or (bodies > ends).any():
        raise UnusualPageError("a record's header is longer than the record")
    types, header_ends = read_types(rows.block.data, at, column_count)
    absent: list[Mask | None] = [None] * column_count
    if (header_ends != bodies).any():
        absent = shorten(types, rows.block.data, at, bodies)
    columns = []
    for kinds, mask in zip(types, absent, strict=True):
        least, most = int(kinds.min()), int(kinds.max())
        if least < 0 or most >= BEYOND_LENGTHS:
            raise UnusualPageError("a serial type is out of range")
        starts, bodies = bodies, bodies + (body_bytes(kinds) if least < most else body_bytes(kinds[:1]))
        columns.append(StoredCells(kinds, starts, bodies, mask, least if least == most else None))
    if (bodies != ends).any():
        raise UnusualPageError("a record is longer or shorter than its cells")
    return columns


def read_types(data: Bytes, at: Addresses, column_count: int) -> tuple[list[SerialTypes], Addresses]:
    """The serial types of all columns, and where the last of them ends."""
    types = []
    for _ in range(column_count):
        kinds, at = read_serial_types(data, at)
        types.append(kinds)
    return types, at


def shorten(types: list[SerialTypes], data: Bytes, at: Addresses, header_ends: Addresses) -> list[Mask | None]:
    """Set the types behind the end of a header to NULL, and say where.

    A row that was written before ALTER TABLE ADD COLUMN lacks the last columns.
    """
    masks: list[Mask | None] = []
    complete = np.zeros(len(at), np.bool_)  # whether the header ends with a column
    for place, kinds in enumerate(types):
        absent = at >= header_ends
        complete |= at == header_ends
        types[place] = np.where(absent, 0, kinds)
        masks.append(absent if absent.any() else None)
        _, at = read_serial_types(data, at)
    if not (complete | (at == header_ends)).all():
        raise UnusualPageError("a record has more columns than the table")
    return masks


def read_serial_types(data: Bytes, at: Addresses) -> tuple[SerialTypes, Addresses]:
    """One varint a row, and where the next one begins."""
    found = data.take(at, mode="clip")  # behind a header's end anything may stand, and nobody looks at it
    after = at + 1
    if found.max(initial=0) < ONE_BYTE:
        return found, after
    longer = np.flatnonzero(found >= ONE_BYTE)
    types = found.astype(np.int64)
    types[longer], after[longer] = read_varints(data, at[longer])
    return types, after


def body_bytes(types: SerialTypes) -> Integers:
    """How many bytes of the body each cell takes."""
    lengths: Integers = BODY_BYTES.take(types, mode="clip")
    return lengths if types.dtype == np.uint8 else np.where(types < ONE_BYTE, lengths, (types - 12) >> 1)


def read_varints(data: Bytes, at: Addresses) -> tuple[Integers, Addresses]:
    """The variable-length integers that begin at these addresses, and where each ends (fileformat2.html §1.6)."""
    byte = data.take(at, mode="clip")
    values, after = (byte & 0x7F).astype(np.int64), at + 1
    rows: slice | npt.NDArray[np.intp] = slice(None)
    for place in range(1, LONGEST_VARINT):
        goes_on = byte >= ONE_BYTE
        if not goes_on.any():
            break
        if not goes_on.all():
            rows = np.flatnonzero(goes_on) if isinstance(rows, slice) else rows[goes_on]
        byte = data.take(after[rows], mode="clip")
        last = place == LONGEST_VARINT - 1  # the ninth byte has eight bits
        values[rows] = (values[rows] << (8 if last else 7)) | (byte if last else byte & 0x7F)
        after[rows] += 1
    return values, after
