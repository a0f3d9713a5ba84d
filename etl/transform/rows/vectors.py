"""What a vector rule hands back, and the table of who converts what.

Invariant: a vector rule converts a cell exactly as ``convert_value`` does, rule name included, or marks it as odd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from etl.model import PgType
from etl.transform.rows.buffers import BoolMask, valid_mask


@dataclass(frozen=True, slots=True)
class Vector:
    """A whole column converted, but for its odd cells.

    ``values``: the target's Arrow type, n cells, null for null; what stands in an odd cell is never read.
    ``odd``: the cells left to ``convert_value``; None for none. No null cell is odd.
    ``coerced``: which converted cells were changed by which named rule; masks may cover nulls and odd cells.
    """

    values: pa.Array
    odd: BoolMask | None = None
    coerced: tuple[tuple[str, BoolMask], ...] = ()


VectorRule = Callable[[pa.Array, PgType, pa.DataType], Vector]


def all_odd(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """The rule of what has none: every cell is left to the specification."""
    return Vector(pa.nulls(len(array), arrow_type), valid_mask(array))
