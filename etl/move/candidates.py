"""Where something of the source may be: paths, ``$VARIABLE``, ``yaml:FILE#pointer``.

Each candidate leads to a path or says why it leads nowhere; nothing is created.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.move import env_file, yaml_reading

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Origin:
    """A path or a value, and the candidate that led to it."""

    value: str
    candidate: str
    note: str = ""  # what the candidate does not say by itself: where a variable is set

    @property
    def path(self) -> Path:
        return Path(self.value)


@dataclass(frozen=True, slots=True)
class Failed:
    """A candidate that led nowhere, and why."""

    candidate: str
    why: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What candidates are read against."""

    folder: Path  # of the plan file: relative paths begin here
    environment: Mapping[str, str]
    env_file: Path | None = None  # variables that the environment does not have

    def variable(self, name: str) -> tuple[str, str] | None:
        """The value of a variable and where it is set."""
        if self.environment.get(name):
            return self.environment[name], "set in the environment"
        if self.env_file is not None:
            found = env_file.read(self.env_file).get(name)
            if found:
                return found, f"set in {self.env_file}"
        return None

    def place(self, text: str, folder: Path | None = None) -> Path:
        """The absolute path of a path as written, ``~`` included; links stay links."""
        home = self.environment.get("HOME")
        if home and (text == "~" or text.startswith("~/")):
            text = home + text[1:]
        return Path(os.path.abspath((folder or self.folder) / Path(text).expanduser()))


def first_that_exists(
    candidates: Iterable[str], around: Surroundings, exists: Callable[[Path], bool]
) -> tuple[Origin | None, list[Failed]]:
    """The first candidate whose path ``exists``, and those before it that failed."""
    failed: list[Failed] = []
    for candidate in candidates:
        found = resolve(candidate, around, is_path=True)
        if isinstance(found, Failed):
            failed.append(found)
        elif not exists(found.path):
            failed.append(Failed(candidate, f"{found.path} does not exist"))
        else:
            return found, failed
    return None, failed


def resolve(candidate: str, around: Surroundings, *, is_path: bool) -> Origin | Failed:
    """What a candidate stands for: an absolute path with ``is_path``, else the value as it is."""
    text, note, folder = candidate, "", around.folder
    if candidate.startswith("yaml:"):
        file_text, _, pointer = candidate.removeprefix("yaml:").partition("#")
        file = around.place(file_text)
        if not file.is_file():
            return Failed(candidate, f"{file} does not exist")
        value = yaml_reading.follow(yaml_reading.parse(yaml_reading.read_text(file), file), pointer)
        if value is None or isinstance(value, dict | list):
            return Failed(candidate, f"{file} has no value at {pointer or 'an empty pointer'}")
        text, folder = str(value), file.parent
    for match in VARIABLE.finditer(text):
        found = around.variable(match[1] or match[2])
        if found is None:
            return Failed(candidate, f"{match[0]} is not set")
        note = found[1]
    text = VARIABLE.sub(lambda match: (around.variable(match[1] or match[2]) or ("", ""))[0], text)
    text = text.removeprefix("sqlite:///") if is_path else text
    return Origin(str(around.place(text, folder)) if is_path else text, candidate, note)
