"""Whether a large JSON text is surely good, looked at in stretches: its tree of values would take ten times its size.

The text is cut at commas. Each stretch is read as a document of its own, with the brackets before it that are open
where it begins, and those behind it that are open where it ends:

    [{"a":1},{"b":[1,2 , 3,4],"c":5}]        [{"a":1},{"b":[1,2 + ]}]      [{"-":[ + 3,4],"c":5}]
                       ^ cut

Invariant: when every stretch is a document, the text is one. An object that reaches over a cut has its keys kept, as
hashes; equal hashes, as all that is not sure, are left to the rule for single values.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

Data = npt.NDArray[np.uint8]
Hashes = list[npt.NDArray[np.int64]]
IsSingle = Callable[[bytes, Any], bool]

STRETCH_BYTES = 1 << 18
_KEY = secrets.token_hex(8)  # in the place of the key that stands before the cut
_HELD = f'{{"{_KEY}":'.encode()
_BLANKS = b" \t\n\r"
_CLOSING = bytes.maketrans(b"[{", b"]}")
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


def is_sure(text: Data, has_single_keys: IsSingle | None, stretch_bytes: int = STRETCH_BYTES) -> bool:
    """Whether the bytes are JSON, and no object repeats a key by ``has_single_keys`` (text, its value).

    Without that nobody asks for keys. False says only that nobody knows.
    """
    opened, keys, at = b"", list[Hashes](), 0
    while at < len(text):
        stretch = _Stretch(text[at:], stretch_bytes)
        if at and stretch.text.lstrip(_BLANKS)[:1] in (b"", b",", b"]", b"}"):
            return False  # nothing behind a comma, and the bracket that is put there would hide it
        if stretch.is_cut and stretch.text.rstrip(_BLANKS)[-1:] in (b"[", b"{"):
            return False  # nor before one
        kept = len(opened) - stretch.closed
        if kept < 0:
            return False
        behind = opened[:kept] + stretch.opened
        if stretch.is_cut and not behind:
            return False
        document = _before(opened) + stretch.text + behind[::-1].translate(_CLOSING)
        try:
            value = orjson.loads(document)
        except orjson.JSONDecodeError:
            return False
        if has_single_keys is not None:
            if not has_single_keys(document, value):
                return False
            _note_keys(value, opened, kept, stretch.opened, keys)
            if not all(map(_are_single, keys[kept : len(opened)])):
                return False
            keys[kept : len(opened)] = []
        opened, at = behind, at + len(stretch.text) + 1
    return at > 0 and not opened


class _Stretch:
    """A part of a text that begins outside of strings, up to a comma that it does not hold, or to the end."""

    def __init__(self, rest: Data, size: int) -> None:
        while True:
            text = rest[:size].tobytes()
            # escaped quotes are none, and an escaped backslash escapes nothing
            data = np.frombuffer(text.replace(b"\\\\", b"__").replace(b'\\"', b"__"), np.uint8)
            quotes = np.flatnonzero(data == ord('"'))
            places = np.flatnonzero((_STEPS[data] != 0) | (data == ord(",")))
            places = places[np.searchsorted(quotes, places) % 2 == 0]
            depths = np.cumsum(_STEPS[data[places]], dtype=np.int64)
            self.is_cut = size < len(rest)
            commas = np.flatnonzero(data[places] == ord(","))
            if not self.is_cut or len(commas):
                break
            size *= 4
        if self.is_cut:
            late = commas[len(commas) // 2 :]
            last = int(late[np.argmin(depths[late])])  # few containers reach over it
            text, places, depths = text[: places[last]], places[:last], depths[:last]
        lowest = int(depths.min(initial=0))
        least_behind = np.minimum.accumulate(depths[::-1])[::-1]
        stays = (_STEPS[data[places]] > 0) & (np.append(least_behind[1:], depths[-1:]) >= depths)
        self.text = text
        self.closed = -lowest  # of what was open before
        self.opened = data[places[stays]].tobytes()


def _before(opened: bytes) -> bytes:
    """What opens these containers again: the innermost goes on with an item, the others hold the next one."""
    outer = (b"[" if bracket == ord("[") else _HELD for bracket in opened[:-1])
    return b"".join(outer) + opened[-1:]


def _note_keys(value: Any, opened: bytes, kept: int, new: bytes, keys: list[Hashes]) -> None:
    """Keep the keys that the stretch adds to the objects that reach over its ends."""
    inside = [value][: len(opened)]  # what was open before
    while len(inside) < len(opened):
        inside.append(inside[-1][_KEY] if isinstance(inside[-1], dict) else inside[-1][0])
    inside += _opened_within(_last(inside[kept - 1]) if kept and new else value, len(new))
    keys += [[] for _ in new]
    for container, hashes in zip(inside, keys, strict=True):
        if isinstance(container, dict):
            hashes.append(np.fromiter((hash(key) for key in container if key != _KEY), np.int64))


def _opened_within(container: Any, count: int) -> Iterator[Any]:
    """So many containers that are open at the end, the first of them this one."""
    for place in range(count):
        container = _last(container) if place else container
        yield container


def _last(container: Any) -> Any:
    return next(reversed(container.values())) if isinstance(container, dict) else container[-1]


def _are_single(hashes: Hashes) -> bool:
    if not hashes:
        return True
    joined = np.concatenate(hashes)
    return len(np.unique(joined)) == len(joined)
