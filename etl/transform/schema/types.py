"""Decide the PostgreSQL type of a column from its declared SQLite type (docs/coercion.md, "Declared types").

Invariant: a declared type that says nothing sure about its values is never guessed: it is decided by the storage
classes found in the data (``decide_type``), and what no type can hold is refused with the flag that solves it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from etl.errors import PlanError, UsageError
from etl.model import BINARY_JSON, Affinity, PgType, SourceColumn, StorageClass
from etl.transform.schema.names import quote

# Declared types, upper case, without modifiers and without UNSIGNED, SIGNED and ZEROFILL.
DECLARED_WORDS = {
    "boolean": "BOOL, BOOLEAN",
    "bigint": "INT, INTEGER, BIGINT, BIG INT, INT4, INT8, INT32, INT64, MEDIUMINT, LONG, SERIAL, SERIAL4, SERIAL8,"
    " BIGSERIAL, UINT, UINT32, UINT64, UNSIGNED",
    "smallint": "TINYINT, SMALLINT, INT2, INT16, UINT8, UINT16, SMALLSERIAL",
    "date": "DATE",
    "timestamp": "DATETIME, DATETIME2, SMALLDATETIME, TIMESTAMP, TIMESTAMP WITHOUT TIME ZONE",
    "timestamptz": "TIMESTAMPTZ, DATETIMETZ, DATETIMEOFFSET, TIMESTAMP WITH TIME ZONE",
    "time": "TIME, TIME WITHOUT TIME ZONE",
    "numeric": "DECIMAL, NUMERIC, DEC, NUMBER, MONEY, SMALLMONEY, CURRENCY",
    "double precision": "REAL, FLOAT, DOUBLE, DOUBLE PRECISION, FLOAT4, FLOAT8",
    "varchar": "CHAR, CHARACTER, VARCHAR, NCHAR, NVARCHAR, VARCHAR2, NVARCHAR2, BPCHAR, VARYING CHARACTER,"
    " CHARACTER VARYING, CHAR VARYING, NATIVE CHARACTER, NATIONAL CHARACTER, NATIONAL CHARACTER VARYING,"
    " NATIONAL VARYING CHARACTER, NATIONAL CHAR, NATIONAL VARCHAR",
    "text": "TEXT, CLOB, NCLOB, NTEXT, STRING, TINYTEXT, MEDIUMTEXT, LONGTEXT, LONGVARCHAR, LONGNVARCHAR",
    "jsonb": "JSON, JSONB",
    "uuid": "UUID, GUID, UNIQUEIDENTIFIER",
    "bytea": "BLOB, BYTEA, BINARY, VARBINARY, TINYBLOB, MEDIUMBLOB, LONGBLOB, LONGVARBINARY",
}
TYPE_NAMES = {word: name for name, words in DECLARED_WORDS.items() for word in re.split(r",\s*", words)}

# What `--cast` takes: PostgreSQL's own spellings → the name in PgType.
CAST_NAMES = {
    "smallint": "smallint",
    "int2": "smallint",
    "integer": "integer",
    "int": "integer",
    "int4": "integer",
    "bigint": "bigint",
    "int8": "bigint",
    "real": "real",
    "float4": "real",
    "double precision": "double precision",
    "double": "double precision",
    "float": "double precision",
    "float8": "double precision",
    "numeric": "numeric",
    "decimal": "numeric",
    "boolean": "boolean",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
    "time": "time",
    "time without time zone": "time",
    "text": "text",
    "varchar": "varchar",
    "character varying": "varchar",
    "char": "char",
    "character": "char",
    "json": "json",
    "jsonb": "jsonb",
    "uuid": "uuid",
    "bytea": "bytea",
    "citext": "citext",
    "timetz": "timetz",
    "time with time zone": "timetz",
    "interval": "interval",
    "money": "money",
    "xml": "xml",
    "inet": "inet",
    "cidr": "cidr",
    "macaddr": "macaddr",
    "macaddr8": "macaddr8",
    "bit": "bit",
    "varbit": "varbit",
    "bit varying": "varbit",
    **{name: name for name in ("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange")},
}
INTEGER_TYPES = frozenset({"smallint", "integer", "bigint"})
NUMBER_TYPES = INTEGER_TYPES | {"real", "double precision", "numeric"}
TEXT_TYPES = frozenset({"text", "varchar", "char"})

MAX_VARCHAR = 10_485_760  # PostgreSQL's MaxAttrSize / 1024
MAX_PRECISION = 1_000  # NUMERIC_MAX_PRECISION
# The words, the modifiers, the words behind them (`time (3) with time zone`), the brackets of an array.
TYPE = re.compile(r"\s*([a-z0-9 ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)\s*([a-z ]*?))?\s*(\[\s*\])?\s*")
TEMPORAL_TYPES = ("timestamp", "timestamptz", "time", "timetz", "interval")
LENGTHS = {
    **dict.fromkeys(("varchar", "char"), (1, MAX_VARCHAR)),
    **dict.fromkeys(("bit", "varbit"), (1, 83_886_080)),
    **dict.fromkeys(TEMPORAL_TYPES, (0, 6)),
}
BIGINT, TEXT = PgType("bigint"), PgType("text")
BY_CLASS = {
    StorageClass.INTEGER: BIGINT,
    StorageClass.REAL: PgType("double precision"),
    StorageClass.TEXT: TEXT,
    StorageClass.BLOB: PgType("bytea"),
}
BY_AFFINITY = {
    Affinity.INTEGER: BIGINT,
    Affinity.REAL: PgType("double precision"),
    Affinity.NUMERIC: PgType("numeric"),
    Affinity.TEXT: TEXT,
    Affinity.BLOB: TEXT,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A type and, where it is not simply the declared one, why; ``how`` its values are read (``Reading.how``)."""

    type: PgType
    note: str | None = None
    how: str | None = None
    by_user: bool = False  # --cast: the values do not change it


def declared_type(declared: str) -> Decision | None:
    """The type that a declared type stands for; None where only the data can tell (none, ANY, an unknown type)."""
    words, modifiers = split_declared(declared)
    name = TYPE_NAMES.get(words)
    if name is None:
        return None
    if name == "numeric":
        return numeric_type(declared, modifiers)
    if name == "varchar":
        return varchar_type(declared, modifiers)
    return Decision(PgType(name), how=BINARY_JSON if words == "JSONB" else None)


def declares_binary_json(column: SourceColumn) -> bool:
    """Whether blobs in this column are SQLite's binary JSON."""
    return split_declared(column.declared)[0] == "JSONB"


def split_declared(declared: str) -> tuple[str, tuple[str, ...]]:
    """The words of a declared type and its modifiers: ``Unsigned  Big Int`` → BIG INT, ``DECIMAL(10,2)`` → 10, 2."""
    match = re.fullmatch(r"([^(]*)(?:\(([^)]*)\)?(.*))?", declared.strip(), re.DOTALL)
    before, inside, after = match.groups(default="") if match else (declared, "", "")
    words = f"{before} {after}".upper().split()
    kept = [word for word in words if word not in {"SIGNED", "ZEROFILL", "UNSIGNED"}]
    if words and not kept:
        kept = ["UNSIGNED"]
    modifiers = tuple(part.strip() for part in inside.split(",")) if inside.strip() else ()
    return " ".join(kept), modifiers


def numeric_type(declared: str, modifiers: tuple[str, ...]) -> Decision:
    """numeric(p,s) where PostgreSQL can hold it, else numeric."""
    plain = Decision(PgType("numeric"), f"{declared} is outside what numeric(p,s) allows" if modifiers else None)
    if not modifiers or len(modifiers) > 2 or not all(part.isascii() and part.isdigit() for part in modifiers):
        return plain
    precision, scale = int(modifiers[0]), int(modifiers[1]) if len(modifiers) == 2 else 0
    if not 1 <= precision <= MAX_PRECISION or scale > precision:
        return plain
    return Decision(PgType("numeric", precision=precision, scale=scale))


def varchar_type(declared: str, modifiers: tuple[str, ...]) -> Decision:
    """varchar(n) where PostgreSQL can hold it, else text."""
    if not modifiers:
        return Decision(TEXT)
    length = modifiers[0]
    if len(modifiers) == 1 and length.isascii() and length.isdigit() and 1 <= int(length) <= MAX_VARCHAR:
        return Decision(PgType("varchar", length=int(length)))
    return Decision(TEXT, f"{declared} is outside what varchar(n) allows")


def decide_type(table: str, column: SourceColumn, classes: frozenset[StorageClass]) -> Decision:
    """The type of a column whose declared type does not tell it, from the storage classes of its values.

    Raises PlanError where the values are of several classes that no one type can hold.
    """
    found = classes - {StorageClass.NULL}
    words, _ = split_declared(column.declared)
    declared = f"declared {column.declared}" if column.declared else "declared without a type"
    if not found:
        type_ = TEXT if words in {"", "ANY"} else BY_AFFINITY[column.affinity]
        return Decision(type_, f"{declared}, holds no values")
    if len(found) == 1:
        (only,) = found
        return Decision(BY_CLASS[only], f"{declared}, holds only {only}")
    if StorageClass.BLOB in found:
        raise PlanError(
            f"{table}.{column.name}: {declared} and holds {_listed(found)}, which no one type can hold",
            _ways_out(table, column.name, found),
        )
    unknown_numbers = words not in {"", "ANY"} and StorageClass.TEXT not in found
    if not unknown_numbers:
        return Decision(TEXT, f"{declared}, holds {_listed(found)}")
    # INTEGER affinity does not keep fractions out (POINT is such a type), and these values have some
    real = column.affinity is Affinity.REAL
    return Decision(PgType("double precision" if real else "numeric"), f"{declared}, holds {_listed(found)}")


def _ways_out(table: str, column: str, found: frozenset[StorageClass]) -> str:
    """What can be done about blobs beside other values: text takes blobs of valid UTF-8, bytea takes no number."""
    as_bytes, as_text = (shlex.quote(f"{table}.{column}={name}") for name in ("bytea", "text"))
    if not found & {StorageClass.INTEGER, StorageClass.REAL}:
        return f"choose the type: --cast {as_bytes}, or --cast {as_text} where its blobs are text in UTF-8"
    name = quote(column)
    mended = f"update {quote(table)} set {name} = cast({name} as blob) where typeof({name}) in ('integer', 'real')"
    return (
        f"where its blobs are text in UTF-8: --cast {as_text}; else make its numbers bytes in SQLite, {mended}, and"
        f" --cast {as_bytes}"
    )


def parse_type(text: str) -> PgType:
    """The type that ``--cast`` names: ``numeric(12,2)``, ``varchar(40)``, ``timestamptz``, ``integer[]``.

    Raises UsageError.
    """
    match = TYPE.fullmatch(text.lower())
    name = CAST_NAMES.get(" ".join(f"{match[1]} {match[4] or ''}".split())) if match else None
    if match is None or name is None:
        raise UsageError(f"--cast: there is no type {text!r}", f"one of: {', '.join(sorted(set(CAST_NAMES.values())))}")
    found = _with_modifiers(text, name, match[2], match[3])
    return PgType(f"{found}[]", base=found) if match[5] else found


def _with_modifiers(text: str, name: str, first: str | None, second: str | None) -> PgType:
    if first is None:
        return PgType(name, length=1) if name in {"char", "bit"} else PgType(name)
    if name == "numeric" and 1 <= int(first) <= MAX_PRECISION and int(second or 0) <= int(first):
        return PgType(name, precision=int(first), scale=int(second or 0))
    low, high = LENGTHS.get(name, (1, 0))
    if second is None and low <= int(first) <= high:
        whole = name in TEMPORAL_TYPES and int(first) == high  # timestamp(6) is timestamp
        return PgType(name) if whole else PgType(name, length=int(first))
    raise UsageError(
        f"--cast: {text!r} has modifiers that {name} does not take", "as in numeric(12,2), varchar(40), timestamptz"
    )


def _listed(classes: frozenset[StorageClass]) -> str:
    return " and ".join(sorted(classes))
