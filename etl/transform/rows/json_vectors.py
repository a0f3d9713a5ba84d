"""The vector rules for columns of JSON text: a fast reader says what is surely good, the rest is odd.

Invariant: a document passes only when it is proven that jsonb can hold it and that no object repeats a key; the text
itself passes unread.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from etl.model import PgType
from etl.transform.rows.buffers import BoolMask, Rows, as_string, cell_bytes, cell_offsets, valid_mask
from etl.transform.rows.large_json import is_sure
from etl.transform.rows.text_vectors import unreadable
from etl.transform.rows.vectors import Vector, VectorRule

_TELLING_ESCAPE = re.compile(rb"\\u00(?:00|3[aA])")
_CHUNK = 64
_MARK = secrets.token_hex(8)
_BETWEEN = f',"{_MARK}",'.encode()
LARGE_BYTES = 1 << 20  # of a document
_LONG = 15_000  # bytes: a shorter document has no number of 16,384 decimals, but for a negative exponent
_MANY_DECIMALS = re.compile(rb"[0-9]{%d}" % (_LONG // 2))


def _texts_to_json(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    return Vector(as_string(array), _odd_documents(array, keys_matter=False))


def _texts_to_jsonb(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    odd = _odd_documents(array, keys_matter=True)
    suspect = _suspects(array)
    if suspect is not None:
        odd = suspect if odd is None else odd | suspect
    return Vector(as_string(array), odd)


def texts_unread(array: pa.Array, target: PgType, arrow_type: pa.DataType) -> Vector:
    """Text that is sent as it stands, since the server looks for itself; NUL and bad UTF-8 apart."""
    return Vector(as_string(array), unreadable(array))


def _odd_documents(array: pa.Array, *, keys_matter: bool) -> BoolMask | None:
    offsets = cell_offsets(array)
    is_large = valid_mask(array) & (np.diff(offsets) > LARGE_BYTES)
    if is_large.any():
        return _odd_large_documents(array, is_large, keys_matter=keys_matter)
    data = cell_bytes(array)[offsets[0] : offsets[-1]].tobytes()
    places = (offsets - offsets[0]).tolist()
    rows = np.flatnonzero(valid_mask(array)).tolist()
    is_one = _is_sure_jsonb if keys_matter else _is_sure_json
    odd: list[int] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        documents = [data[places[row] : places[row + 1]] for row in chunk]
        values = _read_together(documents)
        if values is None:
            odd += [row for row, document in zip(chunk, documents, strict=True) if not is_one(document)]
        elif keys_matter and not _are_flat_and_single(values, documents):
            pairs = zip(chunk, documents, values, strict=True)
            odd += [row for row, document, value in pairs if not _has_single_keys(document, value)]
    return _mask(len(array), odd) if odd else None


def _odd_large_documents(array: pa.Array, is_large: BoolMask, *, keys_matter: bool) -> BoolMask | None:
    """The same one by one, where some are large: of these there is no copy."""
    offsets, data = cell_offsets(array).tolist(), cell_bytes(array)
    odd: list[int] = []
    for row in np.flatnonzero(valid_mask(array)).tolist():
        document = data[offsets[row] : offsets[row + 1]]
        if is_large[row]:
            good = is_sure(document, _has_single_keys if keys_matter else None)
        else:
            good = (_is_sure_jsonb if keys_matter else _is_sure_json)(document.tobytes())
        if not good:
            odd.append(row)
    return _mask(len(array), odd) if odd else None


def _read_together(documents: list[bytes]) -> list[Any] | None:
    """The values of these documents, for half the price of one by one; None when one of them may be no JSON.

    They are read as one array with a mark between every two. The mark is random, so that no document holds it; when
    every mark is found where it was put, each document was one whole value.
    """
    try:
        values = orjson.loads(b"[" + _BETWEEN.join(documents) + b"]")
    except orjson.JSONDecodeError:
        return None
    marks = len(documents) - 1
    return values[::2] if len(values) == len(documents) + marks and values[1::2] == [_MARK] * marks else None


def _are_flat_and_single(values: list[Any], documents: list[bytes]) -> bool:
    """Objects without nesting have as many keys as colons; a repeated key would leave a colon too many."""
    return set(map(type, values)) == {dict} and sum(map(len, values)) == b"".join(documents).count(b":")


def _is_sure_json(document: bytes) -> bool:
    try:
        orjson.loads(document)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_sure_jsonb(document: bytes) -> bool:
    """Whether this is JSON in which surely no key is repeated; False says only that nobody knows."""
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError:
        return False
    return _has_single_keys(document, value)


def _has_single_keys(document: bytes, value: Any) -> bool:
    colons = document.count(b":")
    if colons == 0 or (type(value) is dict and len(value) == colons):
        return True
    # Every key has a colon, and there may be more inside strings. Written again, the document has lost its repeated
    # keys, hence their colons; it could gain one only from an escaped colon, and those are suspects.
    try:
        return orjson.dumps(value).count(b":") == colons
    except orjson.JSONEncodeError:  # deeper than 254 levels
        return False


def _suspects(array: pa.Array) -> BoolMask | None:
    r"""Documents with what orjson does not tell: ``\u0000``, ``\u003a``, tiny numbers, numbers of many decimals."""
    offsets = cell_offsets(array)
    data = cell_bytes(array)
    first, last = int(offsets[0]), int(offsets[-1])
    is_long = last - first > LARGE_BYTES << 3  # then it holds a large document, which is not copied
    text = data[first:last].data if is_long else data[first:last].tobytes()
    places = np.concatenate([_escapes(text), _tiny_exponents(data[first:last])]) + first
    rows = np.searchsorted(offsets, places, side="right") - 1
    long = np.flatnonzero(np.diff(offsets) >= _LONG)
    numeric = [row for row in long if _MANY_DECIMALS.search(data[offsets[row] : offsets[row + 1]].data)]
    found = [*rows.tolist(), *numeric]
    return _mask(len(array), found) & valid_mask(array) if found else None


def _escapes(data: bytes | memoryview) -> Rows:
    r"""Where NUL or a colon may be written ``\u0000`` or ``\u003a``; nearly always nowhere."""
    if isinstance(data, bytes) and b"\\u00" not in data:
        return np.zeros(0, np.intp)
    return np.array([match.start() for match in _TELLING_ESCAPE.finditer(data)], np.intp)


def _tiny_exponents(data: npt.NDArray[np.uint8]) -> Rows:
    """Where ``e-`` is followed by four digits; what crosses the end of a cell is found in vain, which does no harm."""
    dashes = np.flatnonzero(data == ord("-"))
    dashes = dashes[(dashes > 0) & (dashes + 4 < len(data))]
    dashes = dashes[(data[dashes - 1] | 0x20) == ord("e")]
    for step in range(1, 5):
        dashes = dashes[data[dashes + step] - np.uint8(48) <= 9]
    found: Rows = dashes.astype(np.intp)
    return found


def _mask(count: int, rows: list[int]) -> BoolMask:
    mask = np.zeros(count, np.bool_)
    mask[rows] = True
    return mask


JSON_RULES: dict[str, VectorRule] = {"json": _texts_to_json, "jsonb": _texts_to_jsonb}
