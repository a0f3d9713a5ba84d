"""YAML as data: the one place that knows ruamel.yaml's loader and what it raises.

``${VARIABLE}`` is text to YAML, and to us.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etl.errors import EtlError


class ConfigError(EtlError):
    """A config file that cannot be read, understood, split or written."""


def read_text(path: Path) -> str:
    """The file's text; raises ConfigError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "check its permissions") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8", "save it as UTF-8") from error


def parse(text: str, path: Path) -> Any:
    """The data of a YAML text, None for an empty one; raises ConfigError with the line."""
    yaml, errors = _library()
    try:
        return yaml(typ="safe", pure=True).load(text)
    except errors as error:
        raise _unreadable(path, error) from error


def compose(text: str, path: Path) -> Any:
    """The tree of nodes with their places in the text, None for an empty one; raises ConfigError with the line."""
    yaml, errors = _library()
    try:
        return yaml(pure=True).compose(text)
    except errors as error:
        raise _unreadable(path, error) from error


def follow(data: Any, pointer: str) -> Any:
    """What a pointer such as ``people.0.username`` leads to; None where it leads nowhere."""
    for part in pointer.split("."):
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def _library() -> tuple[Any, Any]:
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError
    except ImportError as error:
        raise ConfigError("YAML files need ruamel.yaml, which is not installed", "pip install 'etl[move]'") from error
    return YAML, YAMLError


def _unreadable(path: Path, error: Any) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    where = f" line {mark.line + 1}" if mark is not None else ""
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return ConfigError(f"{path}{where}: is not YAML: {what}", "correct the file, and run the command again")
