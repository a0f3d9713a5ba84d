"""Which of many digests stand more than once, in flat memory.

Invariant: of equal digests the one with the lowest ordinal is the first, and every other one is counted; beyond
``HELD_RECORDS`` all of them go to files by their value, and each file is settled by itself.
"""

from __future__ import annotations

import heapq
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

HELD_RECORDS = 200_000  # of 24 bytes, several times while they are sorted
BUCKETS = 256
RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("ordinal", "<i8")])
Records = NDArray[Any]  # of RECORD
Digests = NDArray[np.uint64]  # (n, 2)
Ordinals = NDArray[np.int64]  # (n,)
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)  # odd: a digest may be a small number


@dataclass(slots=True)
class Repeated:
    """How many rows repeat an earlier one, and the first of them: (ordinal, ordinal of the earlier one)."""

    count: int = 0
    first: list[tuple[int, int]] = field(default_factory=list)


class RepeatedDigests:
    """Takes the digests of rows; ``settle`` says which of them repeat another one."""

    def __init__(self) -> None:
        self._held: list[Records] = []
        self._held_count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> RepeatedDigests:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, digests: Digests, ordinals: Ordinals) -> None:
        """Take some rows."""
        records = np.empty(len(ordinals), RECORD)
        records["high"], records["low"], records["ordinal"] = digests[:, 0], digests[:, 1], ordinals
        self._held.append(records)
        self._held_count += len(records)
        if self._held_count >= HELD_RECORDS:
            self._spill()

    def settle(self, most: int) -> Repeated:
        """What repeats, when every row has been taken; ``most`` of it by ordinal."""
        found = Repeated()
        if self._folder is None:
            _settle(self._take(), found, most)
            return found
        self._spill()
        for bucket in range(BUCKETS):
            path = self._path(self._folder, bucket)
            if path.exists():
                _settle(np.fromfile(path, RECORD), found, most)
        return found

    def _take(self) -> Records:
        records = np.concatenate(self._held) if self._held else np.empty(0, RECORD)
        self._held, self._held_count = [], 0
        return records

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="etl-keys-")
        records = self._take()
        mixed = records["high"] * _MIX[0] ^ records["low"] * _MIX[1]
        buckets = (mixed * _MIX[0]) >> np.uint64(56)
        order = np.argsort(buckets, kind="stable")
        records, edges = records[order], np.searchsorted(buckets[order], np.arange(BUCKETS + 1))
        for bucket in np.flatnonzero(np.diff(edges)).tolist():
            with self._path(self._folder, bucket).open("ab") as file:
                file.write(records[edges[bucket] : edges[bucket + 1]].tobytes())

    @staticmethod
    def _path(folder: tempfile.TemporaryDirectory[str], bucket: int) -> Path:
        return Path(folder.name) / str(bucket)


def _settle(records: Records, found: Repeated, most: int) -> None:
    """Add what repeats among the records, which hold all or none of the rows of a digest."""
    if not len(records):
        return
    records = records[np.lexsort((records["ordinal"], records["low"], records["high"]))]
    begins = np.ones(len(records), np.bool_)
    begins[1:] = (records["high"][1:] != records["high"][:-1]) | (records["low"][1:] != records["low"][:-1])
    if begins.all():
        return
    others = records["ordinal"][begins][np.cumsum(begins) - 1]
    rows, firsts = records["ordinal"][~begins], others[~begins]
    found.count += len(rows)
    earliest = np.argsort(rows, kind="stable")[:most]
    pairs = zip(rows[earliest].tolist(), firsts[earliest].tolist(), strict=True)
    found.first = heapq.nsmallest(most, [*found.first, *pairs])
