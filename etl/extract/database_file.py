"""The bytes of the source: whole database pages by their numbers, read beside SQLite and never through it.

Invariant: one descriptor, opened read-only before the run's readers pin the snapshot and closed after the last of them
(closing any descriptor of a file drops the POSIX locks that a process has on it). Pages are read only while the pinned
readers keep everybody from changing the main file; ``snapshot.py`` says when they do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etl.errors import SnapshotError, SourceError

Addresses = npt.NDArray[np.int64]  # of bytes in a block
PageNumbers = npt.NDArray[np.int64]  # 1-based
PAD_BYTES = 64  # behind the last page, so that a few bytes can be loaded from the address of any of its bytes
MOST_BUFFERS = 1_000  # of one preadv (IOV_MAX is 1,024)
HEADER_BYTES = 100  # fileformat2.html §1.3
UTF_8 = 1


class UnusualPageError(Exception):
    """Something that only SQLite itself should read, damage included; the words are for the log."""


class PageBlock:
    """Pages side by side in memory, the last one first.

    The cells of a page mostly stand from its end to its beginning; with the pages in reverse order as well, the rows of
    a whole block descend in address (``cell_texts.py`` makes use of it).
    """

    def __init__(self, capacity: int, page_bytes: int, usable_bytes: int) -> None:
        self.page_bytes = page_bytes
        self.usable_bytes = usable_bytes  # of a page, without what extensions reserve at its end
        self.capacity = capacity
        self.data = np.zeros(capacity * page_bytes + PAD_BYTES, np.uint8)
        self.pages: Addresses = np.zeros(0, np.int64)  # where they begin, in the order in which they were asked for

    def extended(self, more_bytes: int) -> PageBlock:
        """A copy with room for as many bytes behind it."""
        copy = PageBlock(0, self.page_bytes, self.usable_bytes)
        copy.data = np.empty(len(self.data) + more_bytes + PAD_BYTES, np.uint8)
        copy.data[: len(self.data)] = self.data
        copy.pages = self.pages
        return copy

    def values(self, dtype: str) -> npt.NDArray[Any]:
        """A view with one value of this type for every address of the block, aligned or not."""
        count = len(self.data) - np.dtype(dtype).itemsize + 1
        return np.ndarray((count,), dtype, self.data, strides=(1,))


class DatabaseFile:
    """The open main file of a database whose text is UTF-8."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError when the file cannot be opened."""
        self._path = path
        self._file = -1
        with self._errors_named():
            self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    @property
    def inode(self) -> int:
        return os.fstat(self._file).st_ino

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read_header(self) -> None:
        """Learn the size of the pages; raises UnusualPageError where the file's text is not UTF-8."""
        with self._errors_named():
            header = os.pread(self._file, HEADER_BYTES, 0)
            file_bytes = os.fstat(self._file).st_size
        if len(header) < HEADER_BYTES or int.from_bytes(header[56:60], "big") != UTF_8:
            raise UnusualPageError("the text of the file is not UTF-8")
        self.page_bytes = int.from_bytes(header[16:18], "big")
        if self.page_bytes == 1:
            self.page_bytes = 65536
        self.usable_bytes = self.page_bytes - header[20]
        if self.page_bytes < 512 or self.usable_bytes < 480:
            raise UnusualPageError(f"pages of {self.page_bytes} bytes, {header[20]} of them reserved")
        self.page_count = file_bytes // self.page_bytes

    def new_block(self, capacity: int) -> PageBlock:
        return PageBlock(capacity, self.page_bytes, self.usable_bytes)

    def read(self, numbers: PageNumbers, block: PageBlock) -> None:
        """Fill ``block`` with these pages, at most its capacity."""
        block.pages = np.arange(len(numbers) - 1, -1, -1, dtype=np.int64) * self.page_bytes
        self.read_to(numbers, block, block.pages)

    def announce(self, numbers: PageNumbers) -> None:
        """Let the system fetch these pages from the disk meanwhile: they are read next."""
        if hasattr(os, "posix_fadvise"):
            for first, end in runs(numbers):
                start, size = (int(numbers[first]) - 1) * self.page_bytes, (end - first) * self.page_bytes
                with contextlib.suppress(OSError):  # advice; what is wrong with the file its reading tells
                    os.posix_fadvise(self._file, start, size, os.POSIX_FADV_WILLNEED)

    def read_to(self, numbers: PageNumbers, block: PageBlock, addresses: Addresses) -> None:
        """Read each page to its address in the block; neighbours in the file by one system call.

        Raises UnusualPageError for a number that no page has, SnapshotError when the file has become shorter.
        """
        if numbers.min(initial=2) < 2 or numbers.max(initial=2) > self.page_count:
            raise UnusualPageError("a page number is out of range")
        memory = block.data.data
        slots = [memory[start : start + self.page_bytes] for start in addresses.tolist()]
        for first, end in runs(numbers):
            self._read_run(int(numbers[first]), slots[first:end])

    def _read_run(self, number: int, slots: list[memoryview]) -> None:
        with self._errors_named():
            found = os.preadv(self._file, slots, (number - 1) * self.page_bytes)
            if found < len(slots) * self.page_bytes:  # at the end of a file, or where a signal came between
                found = sum(
                    os.preadv(self._file, [slot], (number - 1 + place) * self.page_bytes)
                    for place, slot in enumerate(slots)
                )
        if found != len(slots) * self.page_bytes:
            raise SnapshotError(
                f"{self._path}: it became shorter while it was read",
                "something changed it that does not heed SQLite's locks; stop that, and run the command again",
            )

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(
                f"{self._path}: {error.strerror}", "check the file, its permissions and its disk"
            ) from error


def runs(numbers: PageNumbers) -> Iterator[tuple[int, int]]:
    """Stretches of consecutive numbers, as (first, end) places, none longer than one preadv takes."""
    if len(numbers) == 0:
        return
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    for first, end in zip([0, *breaks.tolist()], [*breaks.tolist(), len(numbers)], strict=True):
        for start in range(first, end, MOST_BUFFERS):
            yield start, min(end, start + MOST_BUFFERS)
