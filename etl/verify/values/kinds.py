"""What stands behind a type of the target: under a domain, in an array, or the labels of an enum.

Invariant: the server sends a domain as the type under it, and an enum as the text of its label.
"""

from __future__ import annotations

from dataclasses import replace

from etl.model import PgType, TablePlan

# pg_type.dat: types that have the same number in every database; an array names that of its elements.
ELEMENT_NUMBERS = {
    "boolean": 16,
    "bytea": 17,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "text": 25,
    "xml": 142,
    "cidr": 650,
    "real": 700,
    "double precision": 701,
    "macaddr8": 774,
    "money": 790,
    "macaddr": 829,
    "inet": 869,
    "char": 1042,
    "varchar": 1043,
    "date": 1082,
    "time": 1083,
    "timestamp": 1114,
    "timestamptz": 1184,
    "interval": 1186,
    "timetz": 1266,
    "bit": 1560,
    "varbit": 1562,
    "numeric": 1700,
    "uuid": 2950,
    "int4range": 3904,
    "numrange": 3906,
    "tsrange": 3908,
    "tstzrange": 3910,
    "daterange": 3912,
    "int8range": 3926,
}
READ_AS_TEXT = frozenset({"citext", "json", "jsonb"})


def underlying(kind: PgType) -> PgType:
    """The type under a domain, under all of them; an enum without the name that it has; every other type itself."""
    while kind.base is not None and not is_array(kind):
        kind = kind.base
    return replace(kind, name="enum") if kind.labels else kind


def is_array(kind: PgType) -> bool:
    """Whether it is an array of its ``base``."""
    return kind.name.endswith("[]")


def element_of(kind: PgType) -> PgType:
    """What an array holds; for an array whose plan does not tell, an element without a name."""
    return underlying(kind.base) if kind.base is not None else PgType("")


def has_number(kind: PgType) -> bool:
    """Whether the elements of an array have a number that is the same everywhere, when it is read as `sent_as` says."""
    return sent_as(kind) == "text[]" or element_of(kind).name in ELEMENT_NUMBERS


def sent_as(kind: PgType) -> str | None:
    """The type that a column is cast to when it is read, None where it is read as it is.

    An array of a domain, an enum or citext names elements whose number is another one in every database. Elements
    of json and jsonb are compared as the server spells them.
    """
    if not is_array(kind) or kind.base is None:
        return None
    element = underlying(kind.base)
    if element.labels or element.name in READ_AS_TEXT:
        return "text[]"
    return None if element == kind.base else f"{element}[]"


def with_underlying_types(table: TablePlan) -> TablePlan:
    """The plan with each column's type as the server sends it."""
    columns = tuple(replace(column, type=underlying(column.type)) for column in table.columns)
    return table if columns == table.columns else replace(table, columns=columns)
