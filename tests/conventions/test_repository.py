"""Habits that keep the repository readable and movable, checked by machine."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 300
# Files over the limit, with the reason; better empty.
LONG_FILES: frozenset[str] = frozenset()

REGISTRIES = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)*(?:pypi\.org|pythonhosted\.org|anaconda\.org|artifactory|nexus)\b|--(?:extra-)?index-url",
    re.IGNORECASE,
)
# a folder of somebody's machine: it would not exist on another
MACHINE_PATHS = re.compile(r"(?<![\w.$~}/-])/(?:home/\w|root/|Users/\w|work/\w|mnt/\w)")


def tracked_files() -> list[Path]:
    """Every file that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """The content of a text file; '' for a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


PYTHON_FILES = [path for path in tracked_files() if path.suffix == ".py"]
PACKAGE_FILES = [path for path in PYTHON_FILES if path.is_relative_to(ROOT / "etl")]


def test_no_two_modules_share_a_name() -> None:
    """`documents.py` is one file, so that a traceback, a search and a conversation need no folder to be clear."""
    names = Counter(path.name for path in PACKAGE_FILES if path.name != "__init__.py")
    assert {name: times for name, times in names.items() if times > 1} == {}


def test_files_stay_short_enough_to_be_read() -> None:
    """A file over 300 lines holds more than one idea."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in PACKAGE_FILES
        if (lines := len(text_of(path).splitlines())) > LONGEST_FILE
    }
    assert {name: lines for name, lines in long.items() if name not in LONG_FILES} == {}
    assert not LONG_FILES - long.keys(), "these are short again: take them off the list"


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """The first thing in a file is a docstring."""
    text = text_of(path).lstrip()
    assert not text or text.startswith('"""')


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "base", "manager", "misc"])
def test_no_module_is_a_drawer(name: str) -> None:
    """A name that fits everything says nothing."""
    assert not [path for path in PACKAGE_FILES if name in path.stem.split("_")]


def test_tests_are_sentences_with_a_docstring() -> None:
    """A failing test says in words what no longer holds."""
    bare = [
        f"{path.relative_to(ROOT)}: {found[1]}"
        for path in PYTHON_FILES
        if path.is_relative_to(ROOT / "tests")
        for found in re.finditer(
            r"^(?:async )?def (test_\w+)\((?:[^()]|\([^()]*\))*\)[^:]*:\n(?!\s+r?\"\"\")", text_of(path), re.M
        )
    ]
    assert bare == []


def test_no_file_names_a_registry() -> None:
    """Where packages come from is the machine's business."""
    own = Path(__file__)
    assert [path for path in tracked_files() if path != own and REGISTRIES.search(text_of(path))] == []


def test_no_file_names_a_folder_of_a_machine() -> None:
    """The repository works wherever it is cloned."""
    own = Path(__file__)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked_files()
        if path != own and (match := MACHINE_PATHS.search(text_of(path)))
    ]
    assert found == []


def test_every_dependency_is_pinned() -> None:
    """constraints.txt holds one exact version of everything that pyproject.toml asks for, and nothing but versions."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    asked = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower() for name in wanted}  # type: ignore[index]
    assert asked - pinned == set()
