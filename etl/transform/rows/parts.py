"""A column of a page by storage class, as the rules take it.

Invariant: every cell that is not NULL is in exactly one part, with the value and the class that SQLite has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from etl.model import PgType, PlainColumn, SourceValues, StorageClass
from etl.transform.rows.arrow_types import underlying
from etl.transform.rows.buffers import Rows, as_binary, fixed_array, fixed_values, valid_mask
from etl.transform.rows.rendering import SourceValue

_STORAGE_OF_ARROW = {
    pa.int64(): StorageClass.INTEGER,
    pa.float64(): StorageClass.REAL,
    pa.string(): StorageClass.TEXT,
    pa.binary(): StorageClass.BLOB,
}
# To these an integral number goes the same way whether SQLite stored it as INTEGER or as REAL.
_INDIFFERENT = frozenset(("numeric", "double precision", "real"))


@dataclass(frozen=True, slots=True)
class Part:
    """The cells of one storage class in a column; null elsewhere."""

    storage: StorageClass
    array: pa.Array
    integral_is_integer: bool = False  # a double without a fraction stands for an INTEGER

    def cells(self, rows: Rows) -> Iterator[tuple[SourceValue, StorageClass]]:
        """The values at some rows, as the specification takes them."""
        array = as_binary(self.array) if self.storage is StorageClass.TEXT else self.array
        for value in array.take(pa.array(rows)).to_pylist():
            if self.integral_is_integer and value is not None and float(value).is_integer():
                yield int(value), StorageClass.INTEGER
            else:
                yield value, self.storage


def parts_of(values: SourceValues, target: PgType) -> list[Part]:
    """A column by storage class, without the classes that it does not hold."""
    if isinstance(values, PlainColumn):
        parts = _plain_parts(values, target)
    else:
        parts = [
            Part(StorageClass.INTEGER, values.integers),
            Part(StorageClass.REAL, values.reals),
            Part(StorageClass.TEXT, values.texts),
            Part(StorageClass.BLOB, values.blobs),
        ]
    return [part for part in parts if part.array.null_count < len(part.array)]


def _plain_parts(column: PlainColumn, target: PgType) -> list[Part]:
    array = column.array
    if array.null_count == len(array):
        return []
    storage = _STORAGE_OF_ARROW[array.type]
    if storage is not StorageClass.REAL or not column.integral_is_integer:
        return [Part(storage, array)]
    if underlying(target).name in _INDIFFERENT:
        return [Part(storage, array, integral_is_integer=True)]
    doubles, valid = fixed_values(array, np.float64), valid_mask(array)
    whole = np.rint(doubles) == doubles
    integers = np.where(whole & valid, doubles, 0).astype(np.int64)
    return [
        Part(StorageClass.INTEGER, fixed_array(pa.int64(), integers, valid & whole)),
        Part(StorageClass.REAL, fixed_array(pa.float64(), doubles, valid & ~whole)),
    ]
