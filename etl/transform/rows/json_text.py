"""The scalar rules for json and jsonb: a strict, non-recursive check of a JSON text (RFC 8259).

Invariant: what jsonb is given, jsonb can hold: no ``\\u0000``, no lone surrogate, no number beyond numeric. The text
itself is never rewritten, so that every digit arrives.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import Enum, auto

from etl.model import BINARY_JSON, PgType, Reading, StorageClass
from etl.transform.rows.numerals import NUMERIC_FRACTION_DIGITS, NUMERIC_WHOLE_DIGITS
from etl.transform.rows.outcomes import Converted, Outcome, cast_hint, refuse

LARGEST_JSONB = 0x0FFFFFFF  # bytes (jsonb.h: JENTRY_OFFLENMASK)
LARGEST_JSON = 0x3FFFFFFF  # bytes: one field of a row (memutils.h: MaxAllocSize)
# PostgreSQL reads JSON recursively: its default max_stack_depth of 2 MB was seen to hold 10,000 levels, not 20,000.
DEEPEST = 6_000

_TOKEN = re.compile(
    r"[ \t\n\r]*(?:"
    r'(?P<string>"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<literal>true|false|null)"
    r"|(?P<mark>[{}\[\]:,])"
    r"|(?P<end>\Z))"
)
_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_TELLING_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SHORT_NUMBER = 1_000  # characters: far from what numeric cannot hold
_SURROGATE = re.compile("[\ud800-\udfff]")


class _State(Enum):
    """What may come next."""

    VALUE = auto()
    FIRST_ITEM = auto()  # a value or ]
    FIRST_KEY = auto()  # a key or }
    KEY = auto()
    COLON = auto()
    AFTER = auto()  # a comma, the closing mark, or the end


@dataclass(slots=True)
class _Scan:
    """How far a scan has come, and what it saw that jsonb minds."""

    state: _State = _State.VALUE
    open: list[set[str] | None] = field(default_factory=list)  # keys of each open object, None for an array
    duplicate_key: bool = False
    problem: str | None = None  # the first thing that jsonb cannot hold


def convert_document(value: bytes, target: PgType) -> Outcome:
    """TEXT to json (kept byte for byte) or jsonb (``json-duplicate-keys`` where the last one wins)."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return refuse(value, StorageClass.TEXT, target, "is not valid UTF-8", "bytea")
    largest = LARGEST_JSONB if target.name == "jsonb" else LARGEST_JSON
    if len(value) > largest:
        return refuse(value, StorageClass.TEXT, target, f"is larger than {target} can hold")
    scan = _quick_scan(text) or scan_json(text)
    if scan is None:
        return refuse(value, StorageClass.TEXT, target, "is not valid JSON")
    if target.name == "json":
        return Converted(text)
    if scan.problem is not None:
        return refuse(value, StorageClass.TEXT, target, f"holds {scan.problem}, which jsonb cannot")
    return Converted(text, "json-duplicate-keys" if scan.duplicate_key else None)


class _UnsureError(ValueError):
    """The quick scan leaves a document to the careful one."""


def _quick_scan(text: str) -> _Scan | None:
    """The scan of a document that surely is JSON and holds nothing that jsonb minds, but for repeated keys."""
    if _TELLING_ESCAPE.search(text) or text.count("[") + text.count("{") > DEEPEST:
        return None
    scan = _Scan(_State.AFTER)

    def take_object(pairs: list[tuple[str, object]]) -> None:
        scan.duplicate_key |= len(pairs) > 1 and len({key for key, _ in pairs}) < len(pairs)

    try:
        json.loads(
            text,
            object_pairs_hook=take_object,
            parse_int=_take_number,
            parse_float=_take_number,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        return None
    return scan


def _take_number(token: str) -> None:
    if len(token) > _SHORT_NUMBER or "e" in token or "E" in token:
        raise _UnsureError


def _refuse_constant(word: str) -> None:
    raise _UnsureError(word)  # NaN and Infinity are Python's, not JSON's


def scan_json(text: str) -> _Scan | None:
    """Check the grammar of a JSON text and note what jsonb minds; None where it is not JSON."""
    scan, position = _Scan(), 0
    while (token := _TOKEN.match(text, position)) is not None:
        kind, position = token.lastgroup, token.end()
        if kind == "end":
            return scan if scan.state is _State.AFTER and not scan.open else None
        if not (_mark(scan, token["mark"]) if kind == "mark" else _scalar(scan, kind or "", token)):
            return None
        if len(scan.open) > DEEPEST:
            scan.problem = f"more than {DEEPEST} levels"
            return scan
    return None


def _scalar(scan: _Scan, kind: str, token: re.Match[str]) -> bool:
    """Take a string, number or literal; False where none may stand."""
    if kind == "string":
        text = _string(scan, token["string"])
        if scan.state in (_State.KEY, _State.FIRST_KEY):
            return _key(scan, text)
    if scan.state not in (_State.VALUE, _State.FIRST_ITEM):
        return False
    if kind == "number":
        _note(scan, number_problem(token["number"]))
    scan.state = _State.AFTER
    return True


def _string(scan: _Scan, quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    text: str = json.loads(quoted)
    if "\0" in text:
        _note(scan, "\\u0000")
    elif _SURROGATE.search(text):
        _note(scan, "a lone surrogate")
    return text


def _key(scan: _Scan, key: str) -> bool:
    keys = scan.open[-1]
    if keys is None:
        return False
    scan.duplicate_key |= key in keys
    keys.add(key)
    scan.state = _State.COLON
    return True


def _mark(scan: _Scan, mark: str) -> bool:
    """Take one of ``{}[]:,``; False where it may not stand."""
    state = scan.state
    if mark in "{[":
        if state not in (_State.VALUE, _State.FIRST_ITEM):
            return False
        scan.open.append(set() if mark == "{" else None)
        scan.state = _State.FIRST_KEY if mark == "{" else _State.FIRST_ITEM
        return True
    if mark == ":":
        scan.state = _State.VALUE
        return state is _State.COLON
    if not scan.open:
        return False
    in_object = scan.open[-1] is not None
    if mark == ",":
        scan.state = _State.KEY if in_object else _State.VALUE
        return state is _State.AFTER
    scan.open.pop()
    scan.state = _State.AFTER
    first = _State.FIRST_KEY if in_object else _State.FIRST_ITEM
    return state in (_State.AFTER, first) and in_object == (mark == "}")


def number_problem(token: str) -> str | None:
    """What is wrong with a JSON number, if the numeric inside jsonb cannot hold it."""
    match = _NUMBER.fullmatch(token)
    if match is None:
        return None
    whole, fraction, exponent = match[1], match[2] or "", match[3] or "0"
    problem = f"a number out of range ({token[:20]}…)" if len(token) > 20 else f"the number {token}"
    if len(exponent.lstrip("+-0")) > 9:
        return problem
    shift = int(exponent)
    significant = (whole + fraction).lstrip("0")
    whole_digits = len(significant) - len(fraction) + shift if significant else 0
    too_fine = len(fraction) - shift > NUMERIC_FRACTION_DIGITS
    return problem if whole_digits > NUMERIC_WHOLE_DIGITS or too_fine else None


def _note(scan: _Scan, problem: str | None) -> None:
    scan.problem = scan.problem or problem


def json_from_integer(value: int, target: PgType) -> Outcome:
    """``number-to-json``."""
    return Converted(str(value), "number-to-json")


def json_from_real(value: float, target: PgType) -> Outcome:
    """``number-to-json`` for finite values, in the shortest form that reads back as the same double."""
    if value - value != 0:  # infinity
        return refuse(value, StorageClass.REAL, target, "has no form in JSON")
    return Converted(repr(value), "number-to-json")


def json_from_blob(value: bytes, target: PgType, reading: Reading) -> Outcome:
    """Refused: SQLite decodes its binary JSON when it is read; what comes as a blob is none, or was not asked for."""
    if reading.how == BINARY_JSON:
        return refuse(value, StorageClass.BLOB, target, "is a blob, but not SQLite's binary JSON")
    flag = f"{cast_hint(f'{target}:{BINARY_JSON}')} where it is SQLite's binary JSON"
    return refuse(value, StorageClass.BLOB, target, f"is a blob, not {target}", flag=flag)
