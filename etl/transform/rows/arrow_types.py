"""The Arrow type in which the values of each PostgreSQL type travel to the encoder.

Invariant: it follows from the PostgreSQL type alone.
"""

from __future__ import annotations

import pyarrow as pa

from etl.errors import PlanError
from etl.model import PgType
from etl.transform.rows.numerals import DECIMAL128_DIGITS
from etl.transform.rows.ranges import RANGES

_ARROW_TYPES: dict[str, pa.DataType] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
    "text": pa.string(),
    "varchar": pa.string(),
    "char": pa.string(),
    "citext": pa.string(),
    "json": pa.string(),
    "jsonb": pa.string(),
    "uuid": pa.binary(16),
    "bytea": pa.binary(),
}

# Types that no encoder writes in binary: their arrays are strings that hold exactly PostgreSQL's input text, for a COPY
# as CSV. So are arrays (integer[] …); see is_text_copied.
TEXT_COPIED = frozenset(
    ("interval", "timetz", "inet", "cidr", "macaddr", "macaddr8", "money", "bit", "varbit", "xml", *RANGES)
)


def underlying(type: PgType) -> PgType:  # noqa: A002
    """The type under a domain (under all of them), else the type itself."""
    while type.base is not None and not is_array(type):
        type = type.base  # noqa: A001
    return type


def is_array(type: PgType) -> bool:  # noqa: A002
    """Whether it is an array of its ``base``."""
    return type.name.endswith("[]")


def is_text_copied(type: PgType) -> bool:  # noqa: A002
    """Whether the values of a type travel as its input text, in a COPY as CSV."""
    return type.name in TEXT_COPIED or is_array(type)


def target_arrow_type(type: PgType) -> pa.DataType:  # noqa: A002 - the name that the contract of the stages gives it
    """The Arrow type whose arrays the encoder takes for a PostgreSQL type.

    ``numeric`` without a precision, or with one over 38, is a string of its exact digits. Raises PlanError for a type
    that has no conversion.
    """
    type = underlying(type)  # noqa: A001
    if is_text_copied(type) or type.labels:
        return pa.string()
    if type.name == "numeric":
        if type.precision is None or type.precision > DECIMAL128_DIGITS:
            return pa.string()
        return pa.decimal128(type.precision, type.scale or 0)
    if type.name not in _ARROW_TYPES:
        raise PlanError(f"there is no conversion to {type}", "--cast the column to one of the types that have one")
    return _ARROW_TYPES[type.name]
