"""``.env`` files: ``NAME=value``, one a line, as shells and the usual libraries read them.

A value in quotes ends at its quote; without quotes it ends before `` #``. ``${OTHER}`` stays as it is written.
"""

from __future__ import annotations

import re
from pathlib import Path

from etl.move.yaml_reading import ConfigError, read_text

LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)", re.DOTALL)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}


def read(path: Path) -> dict[str, str]:
    """The variables in the order of the file, the last of a name counts; raises ConfigError with the line."""
    found: dict[str, str] = {}
    lines = read_text(path).splitlines()
    number = 0
    while number < len(lines):
        line, first = lines[number].strip(), number + 1
        number += 1
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise ConfigError(
                f"{path} line {first}: is not NAME=value", "correct the line, or make it a comment with #"
            )
        name, text = match[1], match[2]
        quote = text[:1]
        if quote in ("'", '"'):
            while _closing(text, quote) is None:
                if number == len(lines):
                    raise ConfigError(f"{path} line {first}: the quote of {name} never ends", "close the quote")
                text += "\n" + lines[number]
                number += 1
            text = text[1 : _closing(text, quote)]
            found[name] = text if quote == "'" else ESCAPE.sub(lambda part: ESCAPES.get(part[1], part[0]), text)
        else:
            found[name] = re.split(r"\s#", text, maxsplit=1)[0].strip()
    return found


def _closing(text: str, quote: str) -> int | None:
    """The place of the quote that ends the value."""
    place = 1
    while place < len(text):
        if text[place] == quote:
            return place
        place += 2 if text[place] == "\\" and quote == '"' else 1
    return None
