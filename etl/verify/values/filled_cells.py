"""NULL cells for which the plan of a move names a value: the rows that had no owner.

Invariant: only what would be NULL in the target is filled, and it is compared as if the source held that text.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from etl.model import Reading, StorageClass
from etl.verify.cells import Cells


def with_filled(cells: Cells, reading: Reading) -> Cells:
    """The column with the reading's text in place of every NULL; call it after the readings that make NULLs."""
    if reading.null_as is None:
        return cells
    text = pa.scalar(reading.null_as.encode(), pa.binary())
    held = [array.is_valid() for _, array in cells.arrays]
    empty = pc.invert(reduce(pc.or_, held)) if held else pa.array([True] * cells.row_count)
    texts = cells.texts()
    filled = pc.if_else(empty, text, pa.nulls(cells.row_count, pa.binary()) if texts is None else texts)
    others = tuple((storage, array) for storage, array in cells.arrays if storage is not StorageClass.TEXT)
    return replace(cells, arrays=((StorageClass.TEXT, filled), *others))
