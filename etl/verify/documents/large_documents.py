"""Large JSON documents in canonical form, stretch by stretch: a tree of objects would take ten times their size.

A document is cut at commas. What lies whole within a stretch is spelled by orjson; of the containers that reach over
a cut, what is done of them stands in the output, and on a stack where their members stand there, for these are sorted
when their object ends:

    [{"b":1,"a":2},{"c":3} | ,{"x":[1,2 | ,3],"w":4}]        | a cut
    run ───────────────────  , open { "x" [ run  run ] close run } close

Invariant: what comes out is, byte for byte, what `document_tokens.py` gives. Every byte of the text belongs to a run
that orjson has read, or is a bracket, a comma or a key of a container on the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from etl.verify.documents.document_marks import COMMA, Data, Marks, Places, marks_of, quotes_of
from etl.verify.documents.document_tokens import canonical_document_by_token, quoted_string, string_of
from etl.verify.documents.exact_numbers import respell

STRETCH_BYTES = 1 << 18
MOST_BYTES = (1 << 31) - 1
MOST_OPEN = 10_000  # containers within one another; no server reads as many
_BLANKS = b" \t\n\r"
_KEY = re.compile(rb'[ \t\n\r]*("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")[ \t\n\r]*:[ \t\n\r]*')
_CLOSING = {ord("["): ord("]"), ord("{"): ord("}")}


class _TooDeep(Exception):  # noqa: N818 - another way, not an error
    """More open containers than are kept here."""


def canonical_large_document(text: bytes | memoryview, stretch_bytes: int = STRETCH_BYTES) -> bytes | bytearray | None:
    """The canonical form of one JSON text, or None when it is none.

    Beside both it holds a stretch; and a copy of an object that reaches beyond one, where that is not sorted already.
    """
    try:
        return _Assembly(memoryview(text), stretch_bytes).document()
    except _TooDeep:
        return canonical_document_by_token(bytes(text))
    except (ValueError, ArithmeticError):
        return None


class _Open:
    """A container that is not closed yet; of an object also where each member begins in the output and its key ends."""

    __slots__ = ("begins", "closing", "ends", "has_items", "start")

    def __init__(self, opening: int, start: int) -> None:
        self.closing = _CLOSING[opening]
        self.start = start  # of what it holds, in the output
        self.has_items = False
        self.begins: list[Places] = []
        self.ends: list[Places] = []

    @property
    def is_object(self) -> bool:
        return self.closing == ord("}")


class _Assembly:
    """The output, in which a comma stands behind every item until its container is closed."""

    def __init__(self, text: memoryview, stretch_bytes: int) -> None:
        self._stretch_bytes = stretch_bytes
        self._text = text
        self._data: Data = np.frombuffer(text, np.uint8)
        self._out = bytearray()
        self._root = _Open(ord("["), 0)  # a container of one item
        self._stack = [self._root]

    def document(self) -> bytearray:
        at = 0
        while at < len(self._data):
            marks, end = self._stretch(at)
            self._take(at, end, marks)
            at = end
        if len(self._stack) > 1 or not self._root.has_items:
            raise ValueError("not closed")
        del self._out[-1:]
        return self._out

    def _stretch(self, at: int) -> tuple[Marks, int]:
        """The marks from a place on (counted from there) to the next cut, and where that is."""
        size = self._stretch_bytes
        while True:
            data = self._data[at : at + size]
            marks = marks_of(data, quotes_of(data))
            if at + size >= len(self._data):
                return marks, len(self._data)
            cut = _cut(marks, size)
            if cut is not None:
                return marks.before(cut), at + cut
            size *= 4

    def _take(self, at: int, end: int, marks: Marks) -> None:
        """A stretch: runs of whole items, and between them what closes or opens a container that reaches beyond it."""
        done, depth, first = at, 0, 0
        for event in _events(marks):
            place = at + int(marks.places[event])
            if marks.steps[event] < 0:
                self._add_run(self._text[done:place])
                self._close(int(marks.kinds[event]))
            else:
                commas = np.flatnonzero((marks.kinds[first:event] == COMMA) & (marks.depths[first:event] == depth))
                comma = at + int(marks.places[first + commas[-1]]) if len(commas) else None
                self._open(self._text, done, comma, place)
            done, depth, first = place + 1, int(marks.depths[event]), event + 1
        self._add_run(self._text[done:end])

    def _add_run(self, text: memoryview, *, is_followed: bool = False) -> None:
        """Items of the innermost container, perhaps none; ``is_followed`` by a comma."""
        top, run = self._stack[-1], bytes(text).strip(_BLANKS)
        if top is self._root and run and not (is_followed or top.has_items):  # a document without any cut
            self._out += respell(run) + b","
            top.has_items = True
            return
        if top is self._root and (run or is_followed):
            raise ValueError("text before or behind the document")
        if not run:
            if is_followed and not top.has_items:
                raise ValueError("a comma before the first item")
            return
        if top.has_items:
            if not run.startswith(b","):
                raise ValueError("no comma between two items")
            run = run[1:].strip(_BLANKS)
            if not run:
                raise ValueError("nothing between a comma and what follows")
        self._add_items(top, run)

    def _add_items(self, top: _Open, run: bytes) -> None:
        content = memoryview(respell(b"{" + run + b"}" if top.is_object else b"[" + run + b"]"))[1:-1]
        if top.is_object:
            begins, ends = _members(content)
            top.begins.append((len(self._out) + begins).astype(np.int32))
            top.ends.append((len(self._out) + ends).astype(np.int32))
        self._out += content
        self._out += b","
        top.has_items = True

    def _open(self, text: memoryview, done: int, comma: int | None, place: int) -> None:
        """A container opens at ``place``; what stands from ``done`` on is items, a comma, and of an object the key."""
        if comma is not None:
            self._add_run(text[done:comma], is_followed=True)
        top = self._stack[-1]
        if top.has_items != (comma is not None):
            raise ValueError("no comma between two items")
        head = bytes(text[done if comma is None else comma + 1 : place])
        if top.is_object:
            key = _KEY.fullmatch(head)
            if key is None:
                raise ValueError("a value without its key")
            top.begins.append(np.array([len(self._out)], np.int32))
            self._out += quoted_string(string_of(key[1]))
            top.ends.append(np.array([len(self._out) - 1], np.int32))
            self._out += b":"
        elif head.strip(_BLANKS):
            raise ValueError("no comma between two items")
        top.has_items = True
        if len(self._stack) > MOST_OPEN:
            raise _TooDeep
        opening = self._data[place]
        self._out.append(opening)
        self._stack.append(_Open(int(opening), len(self._out)))

    def _close(self, mark: int) -> None:
        top = self._stack.pop()
        if not self._stack or mark != top.closing:
            raise ValueError("closed by another mark")
        if len(self._out) > MOST_BYTES:
            raise OverflowError("more than Arrow holds in a cell")
        if top.is_object and top.has_items:
            _sort_members(self._out, top)
        if top.has_items:
            self._out[-1] = mark
        else:
            self._out.append(mark)
        self._out += b","


def _cut(marks: Marks, size: int) -> int | None:
    """The comma to cut at: the outermost one of the second half, so that few containers reach over it."""
    commas = marks.commas
    commas = commas[marks.places[commas] > 0]  # the cut before is none again
    if not len(commas):
        return None
    late = commas[marks.places[commas] >= size // 2]
    if len(late):
        return int(marks.places[late[np.argmin(marks.depths[late])]])
    return int(marks.places[commas[-1]])


def _events(marks: Marks) -> Iterator[int]:
    """The marks that close what was open before this text, or open what it does not close."""
    if not len(marks.depths):
        return
    lowest = np.minimum.accumulate(np.minimum(marks.depths, 0))
    before = np.concatenate(([0], lowest[:-1]))
    least_behind = np.minimum.accumulate(marks.depths[::-1])[::-1]
    behind = np.concatenate((least_behind[1:], marks.depths[-1:]))
    steps = marks.steps
    yield from np.flatnonzero(
        ((steps < 0) & (marks.depths < before)) | ((steps > 0) & (behind >= marks.depths))
    ).tolist()


def _members(content: memoryview) -> tuple[Places, Places]:
    """Where the members of a canonical object begin, and the closing quotes of their keys; it comes without braces."""
    data = np.frombuffer(content, np.uint8)
    quotes = quotes_of(data)
    marks = marks_of(data, quotes)
    commas = marks.commas
    begins = np.concatenate(([0], marks.places[commas[marks.depths[commas] == 0]] + 1))
    return begins, quotes[np.searchsorted(quotes, begins) + 1]


def _sort_members(out: bytearray, top: _Open) -> None:
    """Sort the members, each with its comma, by their keys; of equal keys the last one stays."""
    begins, ends = np.concatenate(top.begins), np.concatenate(top.ends)
    top.begins, top.ends = [], []
    order = _order(_keys(out, begins, ends))
    if order is None:
        return
    limits = pa.py_buffer(np.append(begins, np.int32(len(out))))
    members = pa.Array.from_buffers(pa.binary(), len(begins), [None, limits, pa.py_buffer(out)])
    content = members.take(order).buffers()[2]
    del members, limits  # or the output could not shrink
    out[top.start :] = memoryview(content)


def _keys(out: bytearray, begins: Places, ends: Places) -> pa.Array:
    """The keys as the bytes that are compared."""
    limits = pa.py_buffer(np.stack((begins + np.int32(1), ends), axis=1))
    pieces = pa.Array.from_buffers(pa.binary(), 2 * len(begins) - 1, [None, limits, pa.py_buffer(out)])
    keys = pieces.take(pa.array(np.arange(0, 2 * len(begins), 2, dtype=np.int32)))
    escaped = pc.match_substring(keys, "\\")
    if pc.any(escaped).as_py():
        values = [orjson.loads(b'"' + key + b'"').encode() for key in keys.filter(escaped).to_pylist()]
        keys = pc.replace_with_mask(keys, escaped, pa.array(values, pa.binary()))
    return keys


def _order(keys: pa.Array) -> pa.Array | None:
    """The places of the keys that stay, in their order; None where that is all of them as they stand."""
    ascending = pc.less(keys[:-1], keys[1:])
    if pc.all(ascending).as_py():
        return None
    order = pc.array_sort_indices(keys).cast(pa.int32())  # stable
    ordered = keys.take(order)
    is_last = pa.concat_arrays([pc.not_equal(ordered[:-1], ordered[1:]), pa.array([True])])
    return order if pc.all(is_last).as_py() else order.filter(is_last)
