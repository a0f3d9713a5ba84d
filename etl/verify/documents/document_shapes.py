"""The shape of a JSON document: what stays the same from document to document, and where the scalars stand.

Applications write the documents of a column by one piece of code, so that thousands of them differ in their scalars
alone. A `Shape` is learned from one of them, token by token, and then recognised in whole columns by comparing bytes.

Invariant: a document that has a shape is, byte for byte, the shape's fixed runs with one scalar in each slot; each
scalar already is as its canonical form spells it. So it can be respelled by putting the scalars elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Piece = bytes | int  # fixed bytes, or the number of a slot
MAX_SLOTS = 64
_TOKEN = re.compile(rb'([ \t\n\r]*)(?:([{}\[\],:])|("(?:[^"\\]|\\.)*+")|(-?[0-9.]+|true|false|null)|($))')


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a document is printed: what stands behind commas and colons, and how the members of an object are sorted."""

    space: bytes
    order: Callable[[bytes], Any]


CANONICAL = Spelling(b"", bytes)
JSONB = Spelling(b" ", lambda key: (len(key), key))  # jsonb_out: shorter keys first, then by bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a fixed run begins: so many bytes before a double quote of the document, or before its start or end."""

    quote: int | None  # number of the quote, from 0; None for the document's start (or end, when ``from_end``)
    distance: int
    from_end: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """``runs[0]``, slot 0, ``runs[1]``, slot 1 … ``runs[-1]`` is a document of this shape."""

    runs: tuple[bytes, ...]
    anchors: tuple[Anchor, ...]  # one a run
    string_slots: dict[int, int]  # slot → number of its opening quote; the others hold numbers and words
    quote_count: int
    canonical: tuple[Piece, ...]
    jsonb: tuple[Piece, ...]


def learn_shape(text: bytes) -> Shape | None:
    """The shape of one document, or None where it has none: odd scalars, equal keys, two numbers in a row, no JSON."""
    try:
        reader = _Reader(text)
        value = reader.read_document()
    except (ValueError, RecursionError):
        return None
    anchors = tuple(reader.anchors())
    if len(anchors) != len(reader.runs):
        return None
    strings = {slot: quote for slot, quote in enumerate(reader.slots) if quote is not None}
    printed = (tuple(_merged(_print(value, spelling))) for spelling in (CANONICAL, JSONB))
    return Shape(tuple(map(bytes, reader.runs)), anchors, strings, reader.quote_count, *printed)


@dataclass(slots=True)
class _Object:
    members: dict[bytes, _Value] = field(default_factory=dict)


_Value = _Object | list["_Value"] | int  # a scalar is the number of its slot


class _Reader:
    """Reads a document into runs, slots and a tree."""

    def __init__(self, text: bytes) -> None:
        self.runs = [bytearray()]
        self.slots: list[int | None] = []  # the opening quote of a string, None for a number or a word
        self.quote_count = 0
        self._first_quotes: list[tuple[int, int] | None] = [None]  # of each run: its first quote, and where it stands
        self._text = text
        self._advance(0)

    def read_document(self) -> _Value:
        value = self._read_value()
        if self._kind != "end":
            raise ValueError("text after the document")
        self._keep()
        return value

    def anchors(self) -> Iterator[Anchor]:
        """One for each run, as long as there is one."""
        last = len(self.runs) - 1
        for place, run in enumerate(self.runs):
            before = self.slots[place - 1] if place else None
            after = self.slots[place] if place < last else None
            first_quote = self._first_quotes[place]
            if place == 0:
                yield Anchor(None, 0)
            elif before is not None:
                yield Anchor(before + 1, -1)
            elif first_quote is not None:
                yield Anchor(*first_quote)
            elif after is not None:
                yield Anchor(after, len(run))
            elif place == last:
                yield Anchor(None, len(run), from_end=True)
            else:
                return

    def _read_value(self) -> _Value:
        match self._kind:
            case "{":
                return self._read_object()
            case "[":
                return self._read_array()
            case "string" | "scalar":
                return self._take_slot()
        raise ValueError("no value")

    def _read_object(self) -> _Object:
        result = _Object()
        self._keep()
        while self._kind != "}":
            if result.members:
                self._expect(",")
            key = self._token[1:-1]
            if self._kind != "string" or b"\\" in key or key in result.members:
                raise ValueError("no plain key, or one that was there before")
            self._keep()
            self._expect(":")
            result.members[key] = self._read_value()
        self._keep()
        return result

    def _read_array(self) -> list[_Value]:
        result: list[_Value] = []
        self._keep()
        while self._kind != "]":
            if result:
                self._expect(",")
            result.append(self._read_value())
        self._keep()
        return result

    def _expect(self, kind: str) -> None:
        if self._kind != kind:
            raise ValueError(f"no {kind}")
        self._keep()

    def _keep(self) -> None:
        """The token belongs to the current run."""
        self.runs[-1] += self._blank
        if self._kind == "string":
            self._first_quotes[-1] = self._first_quotes[-1] or (self.quote_count, len(self.runs[-1]))
            self.quote_count += 2
        self.runs[-1] += self._token
        self._advance(self._end)

    def _take_slot(self) -> int:
        if len(self.slots) == MAX_SLOTS:
            raise ValueError("too many scalars for a shape")
        self.runs[-1] += self._blank
        is_string = self._kind == "string"
        self.slots.append(self.quote_count if is_string else None)
        self.quote_count += 2 * is_string
        self.runs.append(bytearray())
        self._first_quotes.append(None)
        self._advance(self._end)
        return len(self.slots) - 1

    def _advance(self, start: int) -> None:
        match = _TOKEN.match(self._text, start)
        if match is None:
            raise ValueError("no token")
        self._end, self._blank = match.end(), match[1]
        mark, string, scalar = match[2], match[3], match[4]
        self._token: bytes = mark or string or scalar or b""
        self._kind = mark.decode() if mark else "string" if string else "scalar" if scalar else "end"


def _print(value: _Value, spelling: Spelling) -> Iterator[Piece]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, list):
        yield b"["
        for place, item in enumerate(value):
            yield (b"," + spelling.space) * (place > 0)
            yield from _print(item, spelling)
        yield b"]"
    else:
        yield b"{"
        for place, key in enumerate(sorted(value.members, key=spelling.order)):
            yield (b"," + spelling.space) * (place > 0)
            yield b'"' + key + b'":' + spelling.space
            yield from _print(value.members[key], spelling)
        yield b"}"


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Neighbouring fixed bytes as one piece."""
    fixed = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            fixed += piece
            continue
        if fixed:
            yield fixed
        fixed = b""
        yield piece
    if fixed:
        yield fixed
