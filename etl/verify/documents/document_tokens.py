"""JSON documents token by token: the specification of the canonical form, and of the one in which jsonb is printed.

Invariant: the canonical form is exact. Keys are sorted by their UTF-8 bytes and the last of equal keys wins; numbers
are plain decimals with neither exponent nor padding, with every digit that was written; nothing is lost to binary64.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import orjson

_TOKEN = re.compile(
    rb"[ \t\n\r]*(?:(?P<mark>[{}\[\],:])|(?P<string>\"(?:[^\"\\\x00-\x1f]|\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}))*+\")"
    rb"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(?P<word>true|false|null))"
)
_BLANK = re.compile(rb"[ \t\n\r]*")
MAX_EXPONENT = 200_000  # PostgreSQL's numeric ends at 131,072 digits before the point and 16,383 after it


def canonical_document_by_token(text: bytes) -> bytes | None:
    """The slow, exact path: tokens and a stack of our own, so that depth does not matter."""
    return _spelled_by_token(text, CANONICAL)


def jsonb_document_by_token(text: bytes) -> bytes | None:
    """One document as jsonb_out prints it, every digit included; None when it is none."""
    return _spelled_by_token(text, JSONB)


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the tokens of a document are put together again."""

    comma: bytes
    colon: bytes
    order: Callable[[bytes], tuple[int, bytes]]  # of the keys of an object
    pads: bool  # whether zeros at the end of a number stay


CANONICAL = Spelling(b",", b":", lambda key: (0, key), pads=False)
JSONB = Spelling(b", ", b": ", lambda key: (len(key), key), pads=True)


def _spelled_by_token(text: bytes, spelling: Spelling) -> bytes | None:
    try:
        text.decode()
        return _parse(text, spelling)
    except (ValueError, ArithmeticError):
        return None


class _Open:
    """An object or an array that is not closed yet."""

    __slots__ = ("items", "key", "members", "spelling", "state")

    def __init__(self, mark: bytes, spelling: Spelling) -> None:
        self.spelling = spelling
        self.members: dict[bytes, bytes] | None = {} if mark == b"{" else None
        self.items: list[bytes] = []
        self.key: bytes | None = None
        self.state = "first"  # first, then after a value, then after a comma

    def add(self, value: bytes) -> None:
        if self.members is None:
            self.items.append(value)
        elif self.key is None:
            raise ValueError("a value without its key")
        else:
            self.members[self.key] = value
            self.key = None
        self.state = "value"

    def close(self) -> bytes:
        comma, colon = self.spelling.comma, self.spelling.colon
        if self.members is None:
            return b"[" + comma.join(self.items) + b"]"
        parts = (
            quoted_string(key) + colon + self.members[key] for key in sorted(self.members, key=self.spelling.order)
        )
        return b"{" + comma.join(parts) + b"}"


def _parse(text: bytes, spelling: Spelling) -> bytes:
    stack: list[_Open] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError("no token")
        at = match.end()
        value = _step(stack, match, spelling)
        if value is None:
            continue
        if not stack:
            if _BLANK.fullmatch(text, at) is None:
                raise ValueError("text after the document")
            return value
        stack[-1].add(value)


def _step(stack: list[_Open], match: re.Match[bytes], spelling: Spelling) -> bytes | None:
    """Take one token; the canonical bytes of the value that it completes, if it completes one."""
    mark = match["mark"]
    top = stack[-1] if stack else None
    if mark in (b"}", b"]"):
        if top is None or (top.members is None) != (mark == b"]") or top.state == "comma" or top.key is not None:
            raise ValueError("closed too early")
        return stack.pop().close()
    if mark == b",":
        if top is None or top.state != "value":
            raise ValueError("misplaced comma")
        top.state = "comma"
        return None
    if mark == b":":
        if top is None or top.state != "key":
            raise ValueError("misplaced colon")
        top.state = "colon"
        return None
    if top is not None and top.members is not None and top.key is None:
        if match["string"] is None or top.state == "value":
            raise ValueError("a key must be a string")
        top.key, top.state = string_of(match["string"]), "key"
        return None
    if top is not None and top.state == ("key" if top.members is not None else "value"):
        raise ValueError("two values without a mark between them")
    if mark is not None:
        stack.append(_Open(mark, spelling))
        return None
    return _scalar(match, spelling)


def _scalar(match: re.Match[bytes], spelling: Spelling) -> bytes:
    if match["string"] is not None:
        return quoted_string(string_of(match["string"]))
    if match["number"] is not None:
        return spelled_number(match["number"], spelling)
    return match["word"]


def string_of(token: bytes) -> bytes:
    """The UTF-8 bytes that a string token stands for."""
    if b"\\" not in token:
        return token[1:-1]
    value = orjson.loads(token)  # refuses lone surrogates
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value.encode()


def quoted_string(value: bytes) -> bytes:
    return orjson.dumps(value.decode())


def spelled_number(token: bytes, spelling: Spelling) -> bytes:
    """A plain decimal: every digit that was written, no exponent, no zeros that say nothing (but where they stay)."""
    number = Decimal(token.decode())
    if not number and not spelling.pads:
        return b"0"
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError("beyond every number that PostgreSQL holds")
    text = f"{number:f}" if number else f"{abs(number):f}"
    if spelling.pads:
        return text.encode()
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.encode()
