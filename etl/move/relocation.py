"""Step 6, relocate documents: copied, never moved, and what is there already is never written over.

Links are followed to their content: a link into somebody's checkout would lead nowhere for the others. Loops, links
that lead nowhere and what is neither file nor folder are reported; a file that cannot be read fails the step, after all
others have been copied.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from etl.counted_nouns import counted
from etl.move.atomic_files import make_folder
from etl.move.placeholders import fill_command
from etl.move.programs import run_program
from etl.move.situation import Situation
from etl.move.step_outcome import DONE, SKIPPED, StepError, StepOutcome
from etl.threads import StoppedError, in_stoppable_thread

BLOCK_BYTES = 4 << 20


@dataclass(slots=True)
class Copied:
    """The account of one copy; ``kept`` are files that were there with another content."""

    stopped: Callable[[], bool]
    files: int = 0
    bytes: int = 0
    same: int = 0
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # loops, links that lead nowhere, sockets
    failed: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [
            f"{counted(self.files, 'file')} copied, {counted(self.bytes, 'byte')}; {self.same:,} were there already",
            *(f"kept as it was: {path}" for path in self.kept),
            *(f"left out: {what}" for what in self.left_out),
            *(f"not copied: {what}" for what in self.failed),
        ]


async def relocate(situation: Situation) -> StepOutcome:
    """Copy the documents and run the index command; raises StepError when a file could not be copied."""
    plan, source = situation.plan.documents, situation.detected.path("documents")
    if plan is None:
        return StepOutcome("documents", SKIPPED, ("the plan has no [documents]",))
    if source is None:
        return StepOutcome("documents", SKIPPED, ("no documents were found",))
    target = situation.place(plan.to)
    copied = await in_stoppable_thread(copy_documents, source, target)
    lines = list(copied.lines)
    changed = [f"copied: {counted(copied.files, 'file')} to {target}"] if copied.files else []
    data = {
        "files": copied.files,
        "bytes": copied.bytes,
        "same": copied.same,
        "kept": copied.kept,
        "left_out": copied.left_out,
        "failed": copied.failed,
    }
    if copied.failed:
        raise StepError(
            f"documents: {len(copied.failed):,} could not be copied, first {copied.failed[0]}",
            "make them readable, and --resume: what is there is not copied again",
            lines,
            data,
            changed,
        )
    if plan.index is not None:
        ended = await run_program(
            fill_command(plan.index, situation.values), situation.plan.folder, situation.command_environment
        )
        if ended.status != 0:
            raise StepError(
                f"documents: the index command {ended.why}: {' '.join(plan.index)}",
                "what it printed stands above; correct [documents] index, and --resume",
                [*lines, *ended.output],
                data,
                changed,
            )
        lines.append(f"indexed in {ended.seconds:.1f} s: {' '.join(plan.index)}")
    return StepOutcome("documents", DONE, tuple(lines), data, tuple(changed))


def copy_documents(source: Path, target: Path, stopped: Callable[[], bool] = lambda: False) -> Copied:
    """Copy a folder into another; both may exist. Raises StepError when one lies in the other.

    When ``stopped`` says so, it ends with StoppedError within a block of a file, and leaves no half file.
    """
    real, real_target = source.resolve(), target.resolve()
    if real == real_target or real in real_target.parents or real_target in real.parents:
        raise StepError(f"documents: {source} and {target} lie in each other", "name another place in [documents] to")
    copied = Copied(stopped)
    _copy_folder(source, target, (), copied)
    return copied


def _copy_folder(source: Path, target: Path, above: tuple[tuple[int, int], ...], copied: Copied) -> None:
    try:
        status = source.stat()
        with os.scandir(source) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        copied.failed.append(f"{source}: {error.strerror}")
        return
    place = (status.st_dev, status.st_ino)
    if place in above:
        copied.left_out.append(f"{source}: a loop, it leads to a folder that it is in")
        return
    if target.exists() and not target.is_dir():
        copied.kept.append(f"{target}: a file, and {source} is a folder")
        return
    is_new = not target.exists()
    make_folder(target)
    for entry in entries:
        if copied.stopped():
            raise StoppedError
        _copy_entry(Path(entry.path), target / entry.name, (*above, place), copied)
    if is_new:
        with contextlib.suppress(OSError):
            shutil.copystat(source, target)


def _copy_entry(source: Path, target: Path, above: tuple[tuple[int, int], ...], copied: Copied) -> None:
    try:
        mode = source.stat().st_mode
    except OSError as error:
        if not source.is_symlink():
            copied.failed.append(f"{source}: {error.strerror}")
            return
        what = "a loop of links" if error.errno == errno.ELOOP else "a link that leads nowhere"
        copied.left_out.append(f"{source}: {what} ({os.readlink(source)})")
        return
    if stat.S_ISDIR(mode):
        _copy_folder(source, target, above, copied)
    elif stat.S_ISREG(mode):
        _copy_file(source, target, copied)
    else:
        copied.left_out.append(f"{source}: neither a file nor a folder")


def _copy_file(source: Path, target: Path, copied: Copied) -> None:
    """Copy content, mode and times; a file that is there stays, and is told where it says something else."""
    try:
        if os.path.lexists(target):
            if target.is_file() and _same_content(source, target):
                copied.same += 1
            else:
                copied.kept.append(str(target))
            return
        beside = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
        try:
            _copy_content(source, beside, copied.stopped)
            shutil.copystat(source, beside)
            beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        copied.failed.append(f"{source}: {error.strerror}")
        return
    copied.files += 1
    copied.bytes += target.stat().st_size


def _copy_content(source: Path, target: Path, stopped: Callable[[], bool]) -> None:
    """Make a file that only its owner can read; the mode of the original comes with its last byte."""
    private = functools.partial(os.open, mode=0o600)
    with source.open("rb") as reader, open(target, "xb", opener=private) as writer:
        while block := reader.read(BLOCK_BYTES):
            if stopped():
                raise StoppedError
            writer.write(block)


def _same_content(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(BLOCK_BYTES):
            if block != right.read(BLOCK_BYTES):
                return False
    return True


def folder_account(folder: Path, above: tuple[tuple[int, int], ...] = ()) -> tuple[int, int]:
    """Files that would be copied and their bytes, links followed as the copy follows them."""
    files = total = 0
    with contextlib.suppress(OSError):
        status = folder.stat()
        place = (status.st_dev, status.st_ino)
        for entry in os.scandir(folder):
            if entry.is_dir() and place not in above:
                more, size = folder_account(Path(entry.path), (*above, place))
                files, total = files + more, total + size
            elif entry.is_file():
                files, total = files + 1, total + entry.stat().st_size
    return files, total
