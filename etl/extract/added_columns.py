"""Columns that rows lack because ALTER TABLE ADD COLUMN came after them: SQLite answers with the column's default.

Invariant: nobody here works out a default. SQLite is asked for the cell of one such row, and what it says holds for
all of them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.extract.pages import Reading
from etl.extract.records import Integers, Mask, StoredCells
from etl.extract.stored_values import StoredValues
from etl.model import PlainColumn, SourceColumn, SourceValues, SplitColumn


class AddedColumns:
    """The defaults of one table's columns, each asked for once."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._defaults: dict[str, SplitColumn] = {}

    def values(
        self, values: StoredValues, cells: StoredCells, column: SourceColumn, absent: Mask, rowids: Integers
    ) -> SourceValues:
        """A column with the default in the rows that lack it."""
        if column.name not in self._defaults:
            rowid = int(rowids[int(np.argmax(absent))])
            self._defaults[column.name] = self._reading.cell(column, rowid)
        return filled(values.split(cells, column.affinity), absent, self._defaults[column.name])


def filled(column: SplitColumn, absent: Mask, default: SplitColumn) -> SourceValues:
    """The column with the default where it is absent; plain, where it then has one storage class."""
    mask = pa.array(absent)
    parts = [
        part if one.null_count else pc.if_else(mask, one[0], part)
        for part, one in zip(parts_of(column), parts_of(default), strict=True)
    ]
    held = [part for part in parts if part.null_count < len(part)]
    return PlainColumn(held[0]) if len(held) == 1 else SplitColumn(*parts)


def parts_of(column: SplitColumn) -> tuple[pa.Array, ...]:
    return column.integers, column.reals, column.texts, column.blobs
