"""Reads etl.toml: the same names as the flags, at the top for every command or in a section of one command.

Invariant: a name that no command knows is an error, since a misspelt setting would silently not apply.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etl.errors import UsageError

FILE_NAME = "etl.toml"


def read_settings(path: Path, command: str, known: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """The settings of one command: the top level's, overridden by the command's own section.

    ``known`` holds the parameter names of every command. Returns parameter name → value as TOML has it. Raises
    UsageError for a file that cannot be read or parsed and for a name that nobody knows.
    """
    content = _parse(path)
    everywhere = frozenset().union(*known.values())
    found: dict[str, Any] = {}
    sections: dict[str, Mapping[str, Any]] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            _check(path, key, known.keys())
            sections[key] = value
        else:
            found[_checked_name(path, key, everywhere)] = value
    for section, values in sections.items():
        names = {_checked_name(path, key, known[section], f"[{section}] "): value for key, value in values.items()}
        if section == command:
            found.update(names)
    return {name: value for name, value in found.items() if name in known[command]}


def _parse(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", "give --config an existing file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not TOML: {error}", 'a setting reads: jobs = 4, or tables = ["a*"]') from error


def _checked_name(path: Path, key: str, names: frozenset[str], where: str = "") -> str:
    name = key.replace("-", "_")
    _check(path, name, names, where)
    return name


def _check(path: Path, name: str, names: Any, where: str = "") -> None:
    if name not in names:
        near = difflib.get_close_matches(name, list(names), n=1)
        hint = f"did you mean {near[0]}?" if near else f"the names are those of the flags: {', '.join(sorted(names))}"
        raise UsageError(f"{path}: {where}{name}: no such setting", hint)
