"""Files that are there whole or not at all, and that nobody else could read for a moment.

Invariant: a file is made with mode 0600 and gets a wider mode only when its content is complete; the umask can only
take rights away, and is corrected before the file gets its name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from etl.move.step_outcome import StepError


def write_file(path: Path, content: bytes, mode: int, owner: str | None = None) -> None:
    """Write ``path`` in one step, over what is there; raises StepError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if owner is not None:
                    shutil.chown(beside, owner)
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink()
    except (OSError, LookupError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StepError(f"{path}: cannot be written: {reason}", "check the folder and its permissions") from error


def make_folder(path: Path) -> None:
    """The folder and those above it; raises StepError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StepError(f"{path}: cannot be made: {error.strerror}", "check the folder above it") from error


def keep_copy(path: Path) -> Path:
    """Move a file aside under a name that is free; returns it. The copy has the mode of the file."""
    number = 0
    while True:
        number += 1
        kept = path.with_name(f"{path.name}.before-move.{number}")
        if not kept.exists():
            break
    try:
        os.link(path, kept)
    except OSError:
        try:
            shutil.copy2(path, kept)
        except OSError as error:
            raise StepError(
                f"{kept}: cannot be written: {error.strerror}", "make room, or move the file aside"
            ) from error
    return kept
