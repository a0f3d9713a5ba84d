"""Rows of either side that have not met their equal yet, compared as multisets in flat memory.

Invariant: order does not matter and no key is needed. What is left at the end is exactly the difference; beyond
`HELD_ROWS` records both sides go to files by the digest of their key, and each file is settled by itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

HELD_ROWS = 200_000
BUCKETS = 256
SAMPLE_ROWS = 20

RECORD = np.dtype([("key", "V16"), ("row", "V16"), ("position", "<i8")])
Records = NDArray[Any]  # of RECORD

PAIR = np.dtype([("source", "<i8"), ("target", "<i8")])  # positions of a finding on both sides
Pairs = NDArray[Any]  # of PAIR
ABSENT = -1
NO_POSITIONS = np.zeros(0, np.int64)

SOURCE, TARGET = 0, 1


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that differ: a position on the one side, on the other, or on both when they share their key."""

    source: int | None
    target: int | None

    @property
    def kind(self) -> str:
        if self.target is None:
            return "missing"
        return "extra" if self.source is None else "different"


@dataclass(slots=True)
class Settled:
    """The difference of the two multisets: how many of each kind, and the first of each."""

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    every: BinaryIO | None = None  # where all of them go, as `PAIR`

    def add(self, kind: str, source: Records | None, target: Records | None) -> None:
        """Rows of one kind: their positions on the source, on the target, or (paired) on both."""
        sides = [NO_POSITIONS if side is None else side for side in (source, target)]
        count = max(map(len, sides))
        if not count:
            return
        pairs = np.empty(count, PAIR)
        for name, side in zip(("source", "target"), sides, strict=True):
            pairs[name] = side if len(side) else ABSENT
        self.counts[kind] = self.counts.get(kind, 0) + count
        self.findings += findings_of(pairs[:SAMPLE_ROWS])
        if self.every is not None:
            self.every.write(pairs.tobytes())
        if len(self.findings) > 30 * SAMPLE_ROWS:
            self.findings = first_of_each(self.findings)


class Unmatched:
    """Records (row digest, key digest, position) of both sides; equal rows of the two sides cancel each other."""

    def __init__(self, *, keyed: bool, keeps_all: bool = False) -> None:
        """With ``keeps_all`` every finding is written to a file, for `every_pair`."""
        self._keyed = keyed
        self._every = tempfile.TemporaryFile(prefix="etl-verify-") if keeps_all else None  # noqa: SIM115 - __exit__
        self._held: tuple[dict[int, list[tuple[int, int]]], ...] = ({}, {})
        self._held_count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Unmatched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()
        if self._every is not None:
            self._every.close()

    def add(self, side: int, row: int, key: int, position: int) -> None:
        """A row of one side; gone at once when its equal of the other side waits here."""
        waiting = self._held[1 - side].get(row)
        if waiting:
            waiting.pop()
            self._held_count -= 1
            if not waiting:
                del self._held[1 - side][row]
            return
        self._held[side].setdefault(row, []).append((key, position))
        self._held_count += 1
        if self._held_count >= HELD_ROWS:
            self._spill()

    def settle(self) -> Settled:
        """What is left when every row of both sides has been added."""
        settled = Settled(every=self._every)
        if self._folder is None:
            self._settle_pair(self._take(SOURCE), self._take(TARGET), settled)
        else:
            self._spill()
            for bucket in range(BUCKETS):
                self._settle_pair(self._load(SOURCE, bucket), self._load(TARGET, bucket), settled)
        settled.findings = first_of_each(settled.findings)
        return settled

    def every_pair(self, at_once: int) -> Iterator[Pairs]:
        """All findings as `PAIR`, when they are settled and were to be kept; ``at_once`` in an array, by source."""
        if self._every is None:
            return
        self._every.seek(0)
        while data := self._every.read(at_once * PAIR.itemsize):
            pairs = np.frombuffer(data, PAIR)
            yield pairs[np.argsort(pairs["source"], kind="stable")]

    def _settle_pair(self, source: Records, target: Records, settled: Settled) -> None:
        source, target = _cancel(source, target, ["key", "row"])
        if self._keyed:
            _classify(source, target, "key", settled)
        elif self._folder is None:
            # no key: rows that stand after equally many matched rows are one row, changed
            _classify(_ranked(source), _ranked(target), "key", settled)
        else:
            _classify(source, target, "row", settled)

    def _take(self, side: int) -> Records:
        found = [
            (key.to_bytes(16, "big"), row.to_bytes(16, "big"), position)
            for row, waiting in self._held[side].items()
            for key, position in waiting
        ]
        self._held[side].clear()
        return np.array(found, RECORD)

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="etl-verify-")
        for side in (SOURCE, TARGET):
            records = self._take(side)
            buckets = _bytes(records, "key")[:, 0]
            order = np.argsort(buckets, kind="stable")
            records, buckets = records[order], buckets[order]
            edges = np.searchsorted(buckets, np.arange(BUCKETS + 1))
            for bucket in np.unique(buckets).tolist():
                with self._path(side, bucket).open("ab") as file:
                    file.write(records[edges[bucket] : edges[bucket + 1]].tobytes())
        self._held_count = 0

    def _load(self, side: int, bucket: int) -> Records:
        path = self._path(side, bucket)
        return np.fromfile(path, RECORD) if path.exists() else np.zeros(0, RECORD)

    def _path(self, side: int, bucket: int) -> Path:
        if self._folder is None:
            raise RuntimeError("nothing was spilled")
        return Path(self._folder.name) / f"{side}-{bucket}"


def findings_of(pairs: Pairs) -> list[Finding]:
    return [
        Finding(None if source == ABSENT else source, None if target == ABSENT else target)
        for source, target in pairs.tolist()
    ]


def first_of_each(findings: list[Finding]) -> list[Finding]:
    """The first rows of each kind, in the order of the table."""
    kept: list[Finding] = []
    for kind in ("different", "missing", "extra"):
        chosen = [finding for finding in findings if finding.kind == kind]
        kept += sorted(chosen, key=_position)[:SAMPLE_ROWS]
    return sorted(kept, key=_position)


def _position(finding: Finding) -> int:
    if finding.source is not None:
        return finding.source
    return finding.target or 0


def _cancel(source: Records, target: Records, names: list[str]) -> tuple[Records, Records]:
    """Remove equal records pairwise; the earliest positions go first."""
    numbers, in_source, in_target = _numbered(source, target, names)
    both = np.minimum(np.bincount(in_source, minlength=numbers), np.bincount(in_target, minlength=numbers))
    return source[_rank(in_source) >= both[in_source]], target[_rank(in_target) >= both[in_target]]


def _classify(source: Records, target: Records, name: str, settled: Settled) -> None:
    """Records that agree in ``name`` are one row that differs; the others are missing or extra."""
    source, target = np.sort(source, order="position"), np.sort(target, order="position")
    numbers, in_source, in_target = _numbered(source, target, [name])
    both = np.minimum(np.bincount(in_source, minlength=numbers), np.bincount(in_target, minlength=numbers))
    paired_source = _rank(in_source) < both[in_source]
    paired_target = _rank(in_target) < both[in_target]
    left = source[paired_source]["position"][np.argsort(in_source[paired_source], kind="stable")]
    right = target[paired_target]["position"][np.argsort(in_target[paired_target], kind="stable")]
    order = np.argsort(left, kind="stable")
    settled.add("different", left[order], right[order])
    settled.add("missing", source[~paired_source]["position"], None)
    settled.add("extra", None, target[~paired_target]["position"])


def _numbered(source: Records, target: Records, names: list[str]) -> tuple[int, NDArray[Any], NDArray[Any]]:
    """A small number for each distinct value of the named fields, and the numbers of both sides' records."""
    joined = np.concatenate((source, target))
    if not len(joined):
        return 0, np.zeros(0, np.int64), np.zeros(0, np.int64)
    values = np.concatenate([_bytes(joined, name) for name in names], axis=1).view(">u8")
    order = np.lexsort(values.T[::-1])
    changed = np.ones(len(joined), np.int64)
    changed[0] = 0
    changed[1:] = (values[order][1:] != values[order][:-1]).any(axis=1)
    numbers = np.empty(len(joined), np.int64)
    numbers[order] = np.cumsum(changed)
    return int(numbers.max()) + 1, numbers[: len(source)], numbers[len(source) :]


def _bytes(records: Records, name: str) -> NDArray[np.uint8]:
    """A digest of each record as a row of 16 bytes."""
    return np.ascontiguousarray(records[name]).view(np.uint8).reshape(len(records), 16)


def _rank(numbers: NDArray[Any]) -> NDArray[Any]:
    """For each element, how many equal ones stand before it."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    rank = np.empty(len(numbers), np.int64)
    rank[order] = np.arange(len(numbers)) - starts
    return rank


def _ranked(records: Records) -> Records:
    """The records with, as their key, how many rows before them have met their equal."""
    ranked = np.sort(records, order="position")
    before = (ranked["position"] - np.arange(len(ranked))).astype(">i8")
    keys = np.zeros((len(ranked), 16), np.uint8)
    keys[:, 8:] = before.view(np.uint8).reshape(-1, 8)
    ranked["key"] = keys.view("V16")[:, 0]
    return ranked
