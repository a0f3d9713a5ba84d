"""One section of a plan file: its values by their kinds, and what to say when they are of another."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from etl.errors import UsageError
from etl.move.move_plan import Command
from etl.move.placeholders import NAMES, split_command, unknown_names


class Section:
    """A TOML table; remembers which keys were asked for, so that ``finish`` can name the others."""

    def __init__(self, path: Path, name: str, content: Mapping[str, Any] | None) -> None:
        self.path = path
        self.name = name
        self.is_absent = content is None
        self._content: Mapping[str, Any] = content or {}
        self._known: set[str] = set()

    def keys(self) -> Iterable[str]:
        return self._content.keys()

    def error(self, key: str, what: str, hint: str) -> UsageError:
        """``PLAN.toml: [section] key: what``."""
        where = f"[{self.name}] {key}" if self.name and key else f"[{self.name}]" if self.name else key
        return UsageError(f"{self.path}: {where}: {what}", hint)

    def finish(self, known: Collection[str] = ()) -> None:
        """Raise UsageError for a key that nobody asked for."""
        names = sorted(self._known | set(known))
        for key in self._content:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(names)}"
                raise self.error(key, "nobody knows this key", hint)

    def everything(self) -> dict[str, Any]:
        """The whole section, for who checks it elsewhere."""
        return dict(self._content)

    def table(self, key: str, *, required: bool = False) -> Section:
        value = self._get(key, required, f"write a section [{self._inside(key)}]")
        if value is not None and not isinstance(value, dict):
            raise self.error(key, f"{_shown(value)} is no table", f"write [{self._inside(key)}] or {key} = {{ … }}")
        return Section(self.path, self._inside(key), value)

    def tables(self, key: str) -> list[Section]:
        value = self._get(key, False, "")
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
            raise self.error(key, "is to be given once or several times", f"begin each with [[{self._inside(key)}]]")
        return [Section(self.path, f"{self._inside(key)} {number}", part) for number, part in enumerate(value, 1)]

    def text(self, key: str) -> str | None:
        value = self._get(key, False, "")
        return None if value is None else self._checked_text(key, value)

    def required_text(self, key: str) -> str:
        return self._checked_text(key, self._get(key, True, f'add {key} = "…"'))

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """One text, or a list of them."""
        value = self._get(key, required, f'add {key} = "…" or {key} = ["…", "…"]')
        if value is None:
            return ()
        return tuple(self._checked_text(key, part) for part in (value if isinstance(value, list) else [value]))

    def scalar(self, key: str, *, required: bool = False) -> str | None:
        """A text or a number, as text."""
        value = self._get(key, required, f'add {key} = "…"')
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise self.error(key, f"{_shown(value)} is neither a text nor a number", f'write {key} = "…"')
        return None if value is None else str(value)

    def number(self, key: str, default: float | None = None) -> float | None:
        value = self._get(key, False, "")
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise self.error(key, f"{_shown(value)} is no number from 0", f"write {key} = 30")
        return value

    def mode(self, key: str, default: int) -> int:
        """Permissions in octal digits, as text: a TOML number would be read in another base."""
        value = self._get(key, False, "")
        if value is None:
            return default
        if not isinstance(value, str) or not value.isdigit() or set(value) & {"8", "9"} or int(value, 8) > 0o777:
            raise self.error(key, f"{_shown(value)} is no mode of a file", 'octal digits in quotes, as in "0600"')
        return int(value, 8)

    def template(self, key: str) -> str | None:
        """A text with placeholders, every one of them known."""
        value = self.text(key)
        if value is not None:
            self._check_placeholders(key, value)
        return value

    def command(self, key: str) -> Command | None:
        """A command line, split into its arguments."""
        value = self.template(key)
        if value is None:
            return None
        try:
            return split_command(value)
        except ValueError as error:
            raise self.error(key, f"cannot be split into arguments: {error}", "check the quotes") from error

    def _check_placeholders(self, key: str, text: str) -> None:
        for name in unknown_names(text):
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {{{near[0]}}}?" if near else f"there are {', '.join(f'{{{name}}}' for name in NAMES)}"
            raise self.error(key, f"{{{name}}} is no placeholder", hint)

    def _get(self, key: str, required: bool, hint: str) -> Any:
        self._known.add(key)
        value = self._content.get(key)
        if value is None and required:
            raise self.error(key, "is missing", hint)
        return value

    def _checked_text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, f"{_shown(value)} is no text", f'write {key} = "…"')
        return value

    def _inside(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
