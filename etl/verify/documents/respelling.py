"""Documents of a whole column in two spellings: the canonical one, and the one in which PostgreSQL sends jsonb.

Where a column's documents have few shapes, no document is parsed: what is fixed in a shape is compared as bytes, and
the scalars between are put where each spelling has them. `documents.py` is the specification; this proves, for each
document, that the specification says the same, or leaves the document to it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.verify.documents import short_scalars as scalars
from etl.verify.documents.canonical import LARGE_DOCUMENT_BYTES, canonical_document, is_doubtful
from etl.verify.documents.document_marks import escaped_of
from etl.verify.documents.document_shapes import JSONB, Anchor, Piece, Shape, learn_shape
from etl.verify.pieces import every
from etl.verify.values.fixed_rules import widths_of

MAX_SHAPES = 12  # in one batch
FEW = 16  # one document in so many may be spelled by itself
VERSION = b"\x01"
WORD = 8  # bytes that are compared at once
SCALAR = r"^(?:true|false|null|0|-?0\.[0-9]*[1-9]|-?[1-9][0-9]*(?:\.[0-9]*[1-9])?)$"
LONG = 1_000  # characters of a number; the specification knows how long it may be at all

Places = NDArray[Any]  # of integers
_QUOTE, _BLANK = ord('"'), ord(" ")
_CANONICAL_ESCAPES = np.zeros(256, np.bool_)
_CANONICAL_ESCAPES[list(b'"\\bfnrt')] = True


@dataclass(frozen=True, slots=True)
class Respelled:
    """One document a cell, in both spellings."""

    canonical: pa.Array  # binary
    jsonb: pa.Array  # binary; as jsonb_send writes it: a version byte, and what jsonb_out prints


def respell(texts: pa.Array) -> Respelled | None:
    """Both spellings of every cell of a binary array without nulls, or None where the shapes do not help."""
    if not len(texts) or int(widths_of(texts).max()) > LARGE_DOCUMENT_BYTES or not _is_utf8(texts):
        return None
    bytes_of = _Bytes(texts)
    found: list[tuple[Places, Respelled]] = []
    left = bytes_of.plain_rows()
    for _ in range(MAX_SHAPES):
        if not len(left):
            break
        shape = learn_shape(texts[int(left[0])].as_py())
        matched = None if shape is None else _match(bytes_of, left, shape)
        if matched is None:
            left = left[1:]  # of no shape: one of the odd ones
            continue
        rows, respelled = matched
        found.append((rows, respelled))
        left = np.setdiff1d(left, rows, assume_unique=True) if len(rows) < len(left) else left[:0]
    return _merge(texts, found)


def _merge(texts: pa.Array, found: list[tuple[Places, Respelled]]) -> Respelled | None:
    """The documents in their own order, with those of no shape spelled one by one."""
    if len(found) == 1 and len(found[0][0]) == len(texts):
        return found[0][1]
    covered = np.zeros(len(texts), np.bool_)
    for rows, _ in found:
        covered[rows] = True
    odd = np.flatnonzero(~covered)
    if len(odd) * FEW > len(texts):
        return None
    spelled = [(canonical_document(text), jsonb_document(text)) for text in texts.take(pa.array(odd)).to_pylist()]
    if any(canonical is None or jsonb is None for canonical, jsonb in spelled):
        return None
    pairs = [pa.array([pair[place] for pair in spelled], pa.binary()) for place in (0, 1)]
    found = [*found, (odd, Respelled(*pairs))]
    places = np.empty(len(texts), np.int64)
    places[np.concatenate([rows for rows, _ in found])] = np.arange(len(texts))
    order = pa.array(places)
    canonical = pa.concat_arrays([part.canonical for _, part in found]).take(order)
    return Respelled(canonical, pa.concat_arrays([part.jsonb for _, part in found]).take(order))


def jsonb_document(text: bytes) -> bytes | None:
    """One document as jsonb_send writes it; None where that needs more than binary64."""
    if is_doubtful(text):
        return None
    with suppress(orjson.JSONDecodeError, RecursionError, UnicodeEncodeError):
        value = _sorted(orjson.loads(text))
        return VERSION + json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).encode()
    return None


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda key: JSONB.order(key.encode()))}
    return list(map(_sorted, value)) if isinstance(value, list) else value


def _is_utf8(texts: pa.Array) -> bool:
    with suppress(pa.ArrowInvalid):
        texts.view(pa.string()).validate(full=True)
        return True
    return False


class _Bytes:
    """The bytes of a column's texts, and where the double quotes stand that begin and end strings."""

    def __init__(self, texts: pa.Array) -> None:
        offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
        first, end = int(offsets[0]), int(offsets[-1])
        self.data = np.zeros(end - first + WORD, np.uint8)  # so that a word may begin at the last byte
        self.data[:-WORD] = np.frombuffer(texts.buffers()[2], np.uint8)[first:end]
        self.words = np.ndarray((end - first + 1,), "<u8", self.data, 0, (1,))
        self.starts = offsets[:-1].astype(np.int64) - first
        self.ends = offsets[1:].astype(np.int64) - first
        escaped = escaped_of(self.data)
        letters = self.data[escaped]
        quotes = np.flatnonzero(self.data == _QUOTE)
        self.quotes = np.delete(quotes, np.searchsorted(quotes, escaped[letters == _QUOTE]))
        edges = np.searchsorted(self.quotes, np.append(self.starts, end - first))
        self.first_quote = edges[:-1]
        self.quote_counts = np.diff(edges)
        self._odd = np.concatenate((escaped[~_CANONICAL_ESCAPES[letters]] - 1, self._controls()))

    def _controls(self) -> Places:
        return np.flatnonzero(self.data[:-WORD] < _BLANK)

    def plain_rows(self) -> Places:
        """The texts without control characters, whose escapes are those of the canonical form."""
        rows = np.arange(len(self.starts))
        if not len(self._odd):
            return rows
        return np.delete(rows, np.unique(np.searchsorted(self.ends, self._odd, side="right")))

    def quotes_of(self, rows: Places, count: int) -> Places:
        """The quotes of texts that all have ``count``: one line a quote."""
        if len(rows) * count == len(self.quotes):
            return self.quotes.reshape(len(rows), count).T
        return self.quotes.take(self.first_quote[rows] + np.arange(count)[:, None])

    def words_at(self, places: Places) -> NDArray[np.uint64]:
        """The eight bytes from each place on; from a place beyond the data any."""
        # no take(): it would first copy the view, which is eight times the data
        words: NDArray[np.uint64] = self.words[np.clip(places, 0, len(self.words) - 1)]
        return words

    def are(self, places: Places, wanted: bytes) -> NDArray[np.bool_]:
        """Whether these bytes stand at each of the places; a place beyond the data has any."""
        equal = np.ones(len(places), np.bool_)
        for at in range(0, len(wanted), WORD):
            part = wanted[at : at + WORD]
            words = self.words_at(places + at)
            if len(part) < WORD:
                words &= np.uint64((1 << 8 * len(part)) - 1)
            equal &= words == np.uint64(int.from_bytes(part, "little"))
        return equal


def _match(texts: _Bytes, candidates: Places, shape: Shape) -> tuple[Places, Respelled] | None:
    """The candidates that have the shape, with their spellings; None when the first one has it not."""
    rows = candidates[texts.quote_counts[candidates] == shape.quote_count]
    if not len(rows) or rows[0] != candidates[0]:
        return None
    limits, good = _limits_of(texts, rows, shape)
    for place in range(len(shape.runs) - 1):
        if place not in shape.string_slots:
            good &= _are_canonical(texts, *limits[1 + 2 * place : 3 + 2 * place])
    if not good[0]:
        return None
    edges = np.empty((len(rows), len(limits)), np.int32)
    for place, limit in enumerate(limits):
        edges[:, place] = limit
    if not good.all():
        rows, edges = rows[good], edges[good]
    return rows, Respelled(_join(shape.canonical, texts, edges), _join((VERSION, *shape.jsonb), texts, edges))


def _limits_of(texts: _Bytes, rows: Places, shape: Shape) -> tuple[list[Places], NDArray[np.bool_]]:
    """Where each text starts, each of its slots starts and ends, and it ends itself; and which have all runs there."""
    quotes = texts.quotes_of(rows, shape.quote_count)
    starts, ends = texts.starts[rows], texts.ends[rows]
    begins = [_begin(anchor, starts, ends, quotes) for anchor in shape.anchors]
    good = begins[-1] + len(shape.runs[-1]) == ends
    limits = [starts]
    for place in range(len(begins) - 1):
        left, right = begins[place] + len(shape.runs[place]), begins[place + 1]
        quote = shape.string_slots.get(place)
        good &= left < right if quote is None else (left == quotes[quote]) & (right == quotes[quote + 1] + 1)
        limits += [left, right]
    for begin, run in zip(begins, shape.runs, strict=True):
        good &= texts.are(begin, run)
    return [*limits, ends], good


def _begin(anchor: Anchor, starts: Places, ends: Places, quotes: Places) -> Places:
    if anchor.quote is not None:
        place: Places = quotes[anchor.quote]
        return place - anchor.distance
    return ends - anchor.distance if anchor.from_end else starts


def _are_canonical(texts: _Bytes, starts: Places, ends: Places) -> NDArray[np.bool_]:
    """Whether numbers and words are as their canonical form spells them."""
    lengths = ends - starts
    short = (lengths >= 1) & (lengths <= scalars.LONGEST)
    lengths = np.where(short, lengths, 1)
    words = texts.words_at(starts) & scalars.KEPT[lengths]
    proven: NDArray[np.bool_] = scalars.are_canonical(words, lengths) & short
    left = np.flatnonzero(~proven & (ends > starts))
    if len(left):
        proven[left] = pc.match_substring_regex(_cut(texts, starts[left], ends[left]), SCALAR)
        proven[left] &= ends[left] - starts[left] < LONG
    return proven


def _cut(texts: _Bytes, starts: Places, ends: Places) -> pa.Array:
    """What stands between each start and end."""
    edges = np.stack((starts, ends), axis=1).astype(np.int32)
    return _pieces(texts, edges).take(pa.array(np.arange(0, edges.size, 2)))


def _pieces(texts: _Bytes, edges: NDArray[np.int32]) -> pa.Array:
    """What stands between each edge and the next; the last piece of a line reaches to the next line."""
    return pa.Array.from_buffers(pa.binary(), edges.size - 1, [None, pa.py_buffer(edges), pa.py_buffer(texts.data)])


def _join(pieces: tuple[Piece, ...], texts: _Bytes, edges: NDArray[np.int32]) -> pa.Array:
    """The documents of these lines of edges, printed piece by piece."""
    count, width = edges.shape
    fixed = [piece for piece in pieces if isinstance(piece, bytes)]
    pool = pa.concat_arrays([_pieces(texts, edges), pa.array(fixed, pa.binary())])
    order = np.empty((count, len(pieces)), np.int32)
    lines = np.arange(0, edges.size, width, dtype=np.int32)
    for place, piece in enumerate(pieces):
        if isinstance(piece, bytes):
            order[:, place] = edges.size - 1 + fixed.index(piece)
        else:
            order[:, place] = lines + (2 * piece + 1)
    return every(pool.take(pa.array(order.ravel())), len(pieces))
