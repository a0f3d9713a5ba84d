"""What has been seen of both sides of a table: rows, sums of digests, and the rows that met no equal.

Invariant: every row of either side enters the sums exactly once, whether it was equal or not.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from etl.model import TablePlan
from etl.verify.expected import is_document
from etl.verify.multiset import SOURCE, TARGET, Unmatched
from etl.verify.repeated_keys import RepeatedKeys
from etl.verify.rows import digest, digests, sum_digests

_LENGTH = struct.Struct(">i")
_NULL = b"\xff\xff\xff\xff"  # its length word


class Tally:
    """The account of one table while it is compared; one thread at a time."""

    def __init__(self, table: TablePlan, unmatched: Unmatched) -> None:
        self.table = table
        self.versioned = [column.type.name == "jsonb" for column in table.columns if is_document(column.type)]
        self.source_rows = self.target_rows = 0
        self.source_sum = self.target_sum = 0
        self.repeated_keys = RepeatedKeys(table)
        self._unmatched = unmatched
        self._key_places = key_places(table)

    def add_equal(self, rows: Sequence[bytes | memoryview]) -> None:
        """Rows that both sides have at the same place."""
        total = sum_digests(rows)
        self.source_sum += total
        self.target_sum += total
        self.source_rows += len(rows)
        self.target_rows += len(rows)

    def add_batch(self, source: Digested, target: Digested) -> None:
        """Rows of both sides that stand near each other but are not all equal."""
        ours, theirs = set(source.digests), set(target.digests)
        if len(ours) == len(source.rows) and len(theirs) == len(target.rows):
            # no row stands twice: equal ones cancel here, the others wait for the next batches
            self._wait(SOURCE, source, self.source_rows, theirs)
            self._wait(TARGET, target, self.target_rows, ours)
        else:
            self._wait(SOURCE, source, self.source_rows, set())
            self._wait(TARGET, target, self.target_rows, set())
        self.source_rows += len(source.rows)
        self.target_rows += len(target.rows)
        self.source_sum += sum(source.digests)
        self.target_sum += sum(target.digests)

    def add_extra(self, rows: Sequence[bytes]) -> None:
        """Rows of the target behind the source's last."""
        self.add_batch(Digested([]), Digested(rows))

    def _wait(self, side: int, rows: Digested, first: int, known: set[int]) -> None:
        for place, value in enumerate(rows.digests):
            if value not in known:
                self._unmatched.add(side, value, key_digest(rows.rows[place], value, self._key_places), first + place)


def key_places(table: TablePlan) -> list[int]:
    """Where the columns of the primary key stand in a row."""
    names = [column.name for column in table.columns]
    return [names.index(name) for name in table.primary_key]


def key_digest(row: bytes, value: int, places: Sequence[int]) -> int:
    """The digest of a canonical row's key; of a row without a key its own, ``value``."""
    return digest(_key_fields(row, places)) if places else value


def _key_fields(row: bytes, places: Sequence[int]) -> bytes:
    """The fields at these places (not empty) of a canonical row, lengths included; NULL and no equivalent are one."""
    fields = []
    read_length = _LENGTH.unpack_from
    at = 2
    for _ in range(max(places) + 1):
        (length,) = read_length(row, at)
        end = at + 4 + length if length > 0 else at + 4
        fields.append(row[at:end] if length >= 0 else _NULL)
        at = end
    return b"".join([fields[place] for place in places])


class Digested:
    """Canonical rows with their digests."""

    def __init__(self, rows: Sequence[bytes]) -> None:
        self.rows = rows
        self.digests = digests(rows)

    def first(self, count: int) -> Digested:
        """The first rows only."""
        part = Digested([])
        part.rows, part.digests = self.rows[:count], self.digests[:count]
        return part


def shift_at_end(source: Digested, target: Digested) -> int:
    """How many rows at the end of the longer-running side have no equal in this batch.

    Positive: rows of the source; negative: rows of the target; 0 when both are as far, or when so little matches
    that it is no question of a shift.
    """
    left = _unknown_at_end(source.digests, set(target.digests))
    right = _unknown_at_end(target.digests, set(source.digests))
    if left == right or 2 * left > len(source.rows) or 2 * right > len(target.rows):
        return 0
    return left if left > right else -right


def _unknown_at_end(values: Sequence[int], known: set[int]) -> int:
    for count, value in enumerate(reversed(values)):
        if value in known:
            return count
    return len(values)
