"""Files appear whole, with their mode, and a secret can be read by nobody else at any moment."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from etl.move.atomic_files import keep_copy, write_file
from etl.move.step_outcome import StepError


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    """Neither too much nor too little, whatever the shell has set."""
    old = os.umask(umask)
    try:
        write_file(tmp_path / "secret", b"x", 0o600)
        write_file(tmp_path / "open", b"x", 0o644)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o644


def test_nobody_else_could_read_a_secret_for_a_moment(tmp_path: Path) -> None:
    """Watched while it is written, under a umask that takes nothing away: no other mode is ever seen."""
    seen: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for entry in os.scandir(tmp_path):
                try:
                    seen.add(stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode))
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=watch)
    old = os.umask(0)
    watcher.start()
    try:
        for number in range(200):
            write_file(tmp_path / f"secret-{number % 3}", b"x" * 200_000, 0o600)
    finally:
        over.set()
        watcher.join()
        os.umask(old)
    assert seen == {0o600}


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """No half file, no temporary one, and what was there stays."""
    (tmp_path / "there").mkdir()
    with pytest.raises(StepError, match="cannot be written"):
        write_file(tmp_path / "there", b"x", 0o600)
    with pytest.raises(StepError, match="nobody-of-that-name"):
        write_file(tmp_path / "new", b"x", 0o600, "nobody-of-that-name")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_is_written_over_is_kept(tmp_path: Path) -> None:
    """Each time under a name of its own."""
    path = tmp_path / "config.yml"
    for text in (b"one", b"two", b"three"):
        if path.exists():
            keep_copy(path)
        write_file(path, text, 0o600)
    assert path.read_bytes() == b"three"
    assert (tmp_path / "config.yml.before-move.1").read_bytes() == b"one"
    assert (tmp_path / "config.yml.before-move.2").read_bytes() == b"two"
