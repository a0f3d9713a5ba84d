"""Cuts a YAML text into layers, line by line: what is kept is kept as it was written.

Comments, quotes, order and blank lines survive because nothing is written anew. A comment belongs to the key under it;
what stands at the head and the foot of the file goes to the first layer that is given. Whether the result is right is
not this module's claim: ``config_layers.prove`` reads it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from etl.move.yaml_reading import ConfigError

Path = tuple[str, ...]
LayersOf = Callable[[Path], frozenset[str]]  # all layers that a key and what is under it belong to


@dataclass(frozen=True, slots=True)
class _Entry:
    """One key of a block mapping with the lines that are its own: comments above, value below."""

    path: Path
    key: Any
    value: Any
    first: int
    end: int  # exclusive

    @property
    def key_line(self) -> int:
        return int(self.key.start_mark.line)

    @property
    def is_alias(self) -> bool:
        """The node stands where its anchor is, before the key."""
        place = self.value.start_mark
        return bool((place.line, place.column) < (self.key.start_mark.line, self.key.start_mark.column))


class Cutter:
    """One text; ``cut`` gives what belongs to one layer."""

    def __init__(self, text: str, root: Any, layers_of: LayersOf) -> None:
        self.lines = text.splitlines(keepends=True)
        if self.lines and not self.lines[-1].endswith("\n"):
            self.lines[-1] += "\n"
        self._root = root
        self._layers_of = layers_of
        if root is not None and not _is_mapping(root):
            raise ConfigError("the config is a list or a single value, not a mapping", "only mappings can be split")

    def cut(self, layer: str, with_frame: bool) -> str:
        """The text of one layer; ``with_frame``: with what stands above the first key and below the last."""
        if self._root is None or not self._root.value:
            return "".join(self.lines) if with_frame and self._root is None else ""
        if _is_flow(self._root):
            return self._flow_text(self._root, (), layer) + "\n" if self._has(self._root, (), layer) else ""
        head = self._end_of_head(_line(self._root.value[0][0]))
        foot = self._start_of_comments(len(self.lines), _line(self._root.value[-1][0]) + 1, 0)
        body = "".join(self._mapping(self._root, (), head, foot, layer))
        if with_frame:
            return "".join(self.lines[:head]) + body + "".join(self.lines[foot:])
        return body

    def _end_of_head(self, line: int) -> int:
        """The comments directly above the first key are the key's; what is above them is of the whole file."""
        while line > 0 and self.lines[line - 1].lstrip().startswith("#"):
            line -= 1
        return line

    # --- block mappings --------------------------------------------------------------------------------------------

    def _mapping(self, node: Any, path: Path, first: int, end: int, layer: str) -> Iterator[str]:
        for entry in self._entries(node, path, first, end):
            layers = self._layers_of(entry.path)
            if layers == {layer}:
                yield from self.lines[entry.first : entry.end]
            elif layer in layers:
                yield from self._part_of(entry, layer)

    def _part_of(self, entry: _Entry, layer: str) -> Iterator[str]:
        """An entry of which some belongs here and some elsewhere: its key, and what of its value is of this layer."""
        if entry.is_alias or not _is_mapping(entry.value):
            raise ConfigError(
                f"{'.'.join(entry.path)}: is an alias of something that belongs to several files",
                "write out what the alias stands for",
            )
        if _is_flow(entry.value):
            yield from self.lines[entry.first : entry.key_line]
            before = self.lines[entry.key_line][: entry.key.start_mark.column]
            yield f"{before}{self._source(entry.key, entry.key)}: {self._flow_text(entry.value, entry.path, layer)}\n"
            return
        yield from self.lines[entry.first : entry.key_line + 1]
        yield from self._mapping(entry.value, entry.path, entry.key_line + 1, entry.end, layer)

    def _entries(self, node: Any, path: Path, first: int, end: int) -> list[_Entry]:
        starts = [first]
        for (key, _), (after, _) in zip(node.value, node.value[1:], strict=False):
            starts.append(self._start_of_comments(_line(after), _line(key) + 1, _column(after)))
        ends = [*starts[1:], end]
        return [
            _Entry((*path, _key_text(key)), key, value, start, stop)
            for (key, value), start, stop in zip(node.value, starts, ends, strict=True)
        ]

    def _start_of_comments(self, line: int, above: int, column: int) -> int:
        """The first of the comments above ``line``, none above ``above``; deeper ones belong to what they stand under.

        Blank lines before the first comment stay where they are: they may be the end of a text block.
        """
        start = probe = line
        while probe > above:
            text = self.lines[probe - 1].strip()
            if text.startswith(("#", "%")) or text in ("...", "---"):
                if len(self.lines[probe - 1]) - len(self.lines[probe - 1].lstrip()) > column:
                    break
                start = probe - 1
            elif text:
                break
            probe -= 1
        return start

    # --- flow mappings ---------------------------------------------------------------------------------------------

    def _has(self, node: Any, path: Path, layer: str) -> bool:
        return any(layer in self._layers_of((*path, _key_text(key))) for key, _ in node.value)

    def _flow_text(self, node: Any, path: Path, layer: str) -> str:
        """``{a: 1, b: {c: 2}}`` with the items of one layer."""
        items = []
        for key, value in node.value:
            inner = (*path, _key_text(key))
            layers = self._layers_of(inner)
            if layers == {layer}:
                items.append(self._source(key, value))
            elif layer in layers:
                items.append(f"{self._source(key, key)}: {self._flow_text(value, inner, layer)}")
        return "{" + ", ".join(items) + "}"

    def _source(self, first: Any, last: Any) -> str:
        """The text from the start of one node to the end of another, on one line."""
        begin, stop = first.start_mark, last.end_mark
        if begin.line == stop.line:
            text: str = self.lines[begin.line][begin.column : stop.column]
            return text
        parts: list[str] = [self.lines[begin.line][begin.column :], *self.lines[begin.line + 1 : stop.line]]
        return " ".join(part.strip() for part in [*parts, self.lines[stop.line][: stop.column]])


def _is_mapping(node: Any) -> bool:
    return str(node.tag) == "tag:yaml.org,2002:map"


def _is_flow(node: Any) -> bool:
    return bool(node.flow_style)


def _line(node: Any) -> int:
    return int(node.start_mark.line)


def _column(node: Any) -> int:
    return int(node.start_mark.column)


def _key_text(key: Any) -> str:
    if not isinstance(key.value, str):
        raise ConfigError(f"line {_line(key) + 1}: a key is a list or a mapping itself", "give it a name")
    text: str = key.value
    return text
