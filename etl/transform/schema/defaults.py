"""Translate a column's DEFAULT into the value that its target type holds for what SQLite would have stored.

Invariant: a default is a constant, the current time or random bytes; it is rendered only where it surely fits the
column's type, else ``Untranslatable``. 'now' never reaches PostgreSQL as a literal: it would freeze at the moment of
the migration.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, time
from decimal import Decimal

from sqlglot import exp

from etl.model import PLAIN_READING, PgType, Reading
from etl.transform.rows.zones import UTC_NAME
from etl.transform.schema.clocks import CLOCK_WORDS, UTC_NOW, Clock, clock_call, render_clock
from etl.transform.schema.literals import is_iso_date, number_literal
from etl.transform.schema.names import quote_text
from etl.transform.schema.random_values import RandomBytes, random_bytes, render_random
from etl.transform.schema.syntax import Untranslatable, parse, unwrapped
from etl.transform.schema.types import INTEGER_TYPES, TEXT_TYPES

EPOCH_FACTORS = {"epoch-s": 1, "epoch-ms": 1000}  # of what counts seconds since 1970
INTEGER_BITS = {"smallint": 15, "integer": 31, "bigint": 63}
PLAIN_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
PLAIN_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
TRUE_WORDS = frozenset({"t", "true", "yes", "on", "y", "1"})
FALSE_WORDS = frozenset({"f", "false", "no", "off", "n", "0"})
TIMESTAMP_TEXT = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)
OFFSET_TEXT = re.compile(r"(.+[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?:Z|[+-]\d\d:\d\d)", re.ASCII)
TIME_TEXT = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

Constant = None | int | Decimal | str | bytes | Clock | RandomBytes


def translate_default(sql: str, type_: PgType, reading: Reading = PLAIN_READING) -> str | None:
    """The default as PostgreSQL SQL; None for NULL, which is no default. Raises Untranslatable with the reason.

    ``reading`` is the column's: a default is a value of the column, and read like one.
    """
    value = constant(parse(sql))
    if value is None:
        return None
    if reading.how is not None:
        return _read_as(value, type_, reading.how)
    if isinstance(value, Clock):
        return render_clock(value, type_)
    if isinstance(value, RandomBytes):
        return render_random(value, type_)
    kind = type_.name
    if kind in INTEGER_TYPES:
        return _integer(value, INTEGER_BITS[kind])
    if kind in TEXT_TYPES | {"citext"}:
        return _text(value, type_.length)
    renderer = {
        "double precision": _real,
        "real": _real,
        "boolean": _boolean,
        "json": _json,
        "jsonb": _json,
        "bytea": _bytes,
    }.get(kind)
    if renderer is not None:
        return renderer(value)
    return _numeric(value, type_) if kind == "numeric" else _string_like(value, kind, reading)


def _read_as(value: Constant, type_: PgType, how: str) -> str:
    """The current time under the epoch in which it is given; everything else is left to people."""
    if isinstance(value, Clock) and value.format is None and EPOCH_FACTORS.get(how) == value.factor:
        if type_.name == "timestamptz":
            return "date_trunc('second', now())"
        if type_.name == "timestamp":
            return f"date_trunc('second', {UTC_NOW})"
    raise Untranslatable(f"the column is read as {type_}:{how}")


def constant(node: exp.Expression) -> Constant:
    """What a DEFAULT clause stands for. Raises Untranslatable."""
    node = unwrapped(node)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    if isinstance(node, exp.HexString):
        return bytes.fromhex(str(node.this))
    if isinstance(node, exp.Literal | exp.Boolean | exp.Neg):
        return _number(number_literal(node))
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod | exp.DPipe):
        folded = _folded(node)
        if folded is not None:
            return folded
    if isinstance(node, exp.Column):
        # `default abc` and `default "abc"` are strings to SQLite, but for its three clock words
        word = "" if node.this.quoted else node.name.lower()
        return Clock(CLOCK_WORDS[word]) if word in CLOCK_WORDS else str(node.name)
    return random_bytes(node) or clock_call(node)


def _folded(node: exp.Expression) -> int | str | None:
    """What SQLite makes of an expression of constants: integers within 64 bits, or texts behind one another."""
    try:
        left, right = constant(node.this), constant(node.expression)
    except Untranslatable:  # the clock has arithmetic of its own
        return None
    if isinstance(node, exp.DPipe):
        return f"{left}{right}" if isinstance(left, int | str) and isinstance(right, int | str) else None
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    if isinstance(node, exp.Div | exp.Mod):
        if right == 0:
            return None
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        result = quotient if isinstance(node, exp.Div) else left - quotient * right
    else:
        result = left + right if isinstance(node, exp.Add) else left - right
        result = left * right if isinstance(node, exp.Mul) else result
    return result if -(2**63) <= result < 2**63 else None


def _number(text: str) -> int | Decimal:
    number = Decimal(text)
    integer = re.fullmatch(r"-?\d+", text) and -(2**63) <= int(text) < 2**63
    return int(text) if integer else number


def _integer(value: int | Decimal | str | bytes, bits: int) -> str:
    if isinstance(value, str) and PLAIN_INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) <= 2**53:
        value = int(value)
    if isinstance(value, int) and -(2**bits) <= value < 2**bits:
        return str(value)
    raise Untranslatable(f"{_shown(value)} is no integer of {bits + 1} bits")


def _real(value: int | Decimal | str | bytes) -> str:
    number = _decimal(value)
    rendered = repr(float(number))
    if rendered.lstrip("-") in {"inf", "nan"}:
        raise Untranslatable(f"{value!r} is no finite number")
    return rendered


def _numeric(value: int | Decimal | str | bytes, type_: PgType) -> str:
    number = _decimal(value).normalize()
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or not -1_000 <= exponent <= 1_000:
        raise Untranslatable(f"{value!r} is too large for a numeric default")
    if type_.precision is not None:
        scale = type_.scale or 0
        if -exponent > scale or (number and len(digits) + exponent > type_.precision - scale):
            raise Untranslatable(f"{_shown(value)} does not fit {type_}")
    return f"{number:f}"


def _shown(value: int | Decimal | str | bytes) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)


def _decimal(value: int | Decimal | str | bytes) -> Decimal:
    if isinstance(value, str) and PLAIN_NUMBER.fullmatch(value):
        return Decimal(value.strip())
    if isinstance(value, int | Decimal):
        return Decimal(value)
    raise Untranslatable(f"{value!r} is no number")


def _boolean(value: int | Decimal | str | bytes) -> str:
    word = str(int(value)) if isinstance(value, Decimal) and value in {0, 1} else str(value).strip().lower()
    if not isinstance(value, bytes) and word in TRUE_WORDS | FALSE_WORDS:
        return "true" if word in TRUE_WORDS else "false"
    raise Untranslatable(f"{value!r} is no boolean")


def _text(value: int | Decimal | str | bytes, length: int | None) -> str:
    text = _decimal_text(value) if isinstance(value, Decimal) else value
    if isinstance(text, bytes):
        raise Untranslatable("a blob in a text column is not translated")
    text = str(text)
    if length is not None and len(text) > length:
        raise Untranslatable(f"{text!r} is longer than {length} characters")
    return quote_text(text)


def _decimal_text(value: Decimal) -> str:
    """A real as the text that SQLite and Python agree on: up to 15 digits, no exponent."""
    rendered = repr(float(value))
    if "e" in rendered or len(rendered.strip("-").replace(".", "")) > 15:
        raise Untranslatable(f"{value} has no text form that all SQLite versions agree on")
    return rendered


def _json(value: int | Decimal | str | bytes) -> str:
    if isinstance(value, bytes):
        raise Untranslatable("a blob in a JSON column is not translated")
    text = str(value)
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise Untranslatable(f"{text!r} is no JSON") from error
    if "\\u0000" in text or re.search(r"\\u[dD][89a-fA-F]", text):
        raise Untranslatable(f"{text!r} is JSON that jsonb cannot hold")
    return quote_text(text)


def _refuse_constant(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are Python's, not JSON's


def _bytes(value: int | Decimal | str | bytes) -> str:
    if isinstance(value, int | Decimal):
        raise Untranslatable(f"{value} in a bytea column is not translated")
    content = value.encode() if isinstance(value, str) else value
    return f"'\\x{content.hex()}'::bytea"


def _string_like(value: int | Decimal | str | bytes, kind: str, reading: Reading) -> str:
    """Dates, times and UUIDs in the forms that need no coercion, and moments that UTC names without their offset."""
    if isinstance(value, str) and _is_written_as(value, kind):
        return quote_text(value)
    if kind == "timestamp" and isinstance(value, str) and reading.timezone == UTC_NAME and (moment := _in_utc(value)):
        return quote_text(moment.isoformat(" "))
    raise Untranslatable(f"{value!r} is no {kind}")


def _in_utc(text: str) -> datetime | None:
    """The time in UTC of a text with an offset; None for any other text, and beyond what Python counts."""
    if not OFFSET_TEXT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _is_written_as(text: str, kind: str) -> bool:
    if kind == "date":
        return is_iso_date(text)
    if kind == "uuid":
        return UUID_TEXT.fullmatch(text) is not None
    try:
        if kind == "timestamp" and TIMESTAMP_TEXT.fullmatch(text):
            datetime.fromisoformat(text)
            return True
        if kind == "timestamptz" and OFFSET_TEXT.fullmatch(text):
            datetime.fromisoformat(text)
            return True
        if kind == "time" and TIME_TEXT.fullmatch(text):
            time.fromisoformat(text)
            return True
    except ValueError:
        return False
    return False
