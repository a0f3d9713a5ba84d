"""What has been seen of both sides of a table: rows, sums of digests, and the rows that met no equal.

Invariant: every row of either side enters the sums exactly once, whether it was equal or not.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import cast

from etl.model import TablePlan
from etl.verify.multiset import SOURCE, TARGET, Unmatched
from etl.verify.repeated_keys import RepeatedKeys
from etl.verify.rows import digest, digests, sum_digests
from etl.verify.target import Chunk
from etl.verify.values.expected import is_document

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
        self.key_places = key_places(table)

    def add_equal(self, rows: Sequence[bytes | memoryview]) -> None:
        """Rows that both sides have at the same place."""
        self.add_equal_sum(sum_digests(rows), len(rows))

    def add_equal_sum(self, total: int, count: int) -> None:
        """The same, of rows whose digests are summed already."""
        self.source_sum += total
        self.target_sum += total
        self.source_rows += count
        self.target_rows += count

    def add_batch(self, source: Digested, target: Digested) -> None:
        """Rows of both sides that stand near each other but are not all equal."""
        ours, theirs = set(source.digests), set(target.digests)
        if len(ours) == len(source) and len(theirs) == len(target):
            # no row stands twice: equal ones cancel here, the others wait for the next batches
            self._wait(SOURCE, source, self.source_rows, theirs)
            self._wait(TARGET, target, self.target_rows, ours)
        else:
            self._wait(SOURCE, source, self.source_rows, set())
            self._wait(TARGET, target, self.target_rows, set())
        self.source_rows += len(source)
        self.target_rows += len(target)
        self.source_sum += sum(source.digests)
        self.target_sum += sum(target.digests)

    def add_extra(self, rows: Sequence[bytes]) -> None:
        """Rows of the target behind the source's last."""
        self.add_batch(Digested([]), Digested(rows))

    def _wait(self, side: int, rows: Digested, first: int, known: set[int]) -> None:
        for place, value in enumerate(rows.digests):
            if value not in known:
                self._unmatched.add(side, value, rows.key(place, self.key_places), first + place)


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
        self._rows = rows
        self.digests = digests(rows)

    def __len__(self) -> int:
        return len(self.digests)

    def key(self, place: int, places: Sequence[int]) -> int:
        """`key_digest` of the row at ``place``."""
        return key_digest(self._rows[place], self.digests[place], places)

    def first(self, count: int) -> Digested:
        """The first rows only."""
        part = Digested([])
        part._rows, part.digests = self._rows[:count], self.digests[:count]
        return part

    def bytes_of_last(self, count: int) -> int:
        """How many bytes the last rows have."""
        return sum(map(len, self._rows[-count:]))


class LargeRows(Digested):
    """The canonical rows of a batch with a large one: only what a comparison needs is held, their bytes may go.

    Invariant: equal are bytes of the same number and the same SHA-256.
    """

    def __init__(
        self,
        rows: Sequence[bytes | memoryview],
        sent: Sequence[bytes | memoryview] | None,
        source_bytes: int,
        places: Sequence[int],
    ) -> None:
        """``sent`` are the rows as the server sends them, None where nobody knows."""
        given = cast(Sequence[bytes], rows)  # any buffer does
        self.source_bytes = source_bytes
        self.digests = digests(given)
        self._keys = [key_digest(row, value, places) for row, value in zip(given, self.digests, strict=True)]
        self._sizes = list(map(len, given))
        self.byte_count = sum(map(len, given if sent is None else sent))
        self._proof = None if sent is None else _proof_of(sent)

    def key(self, place: int, places: Sequence[int]) -> int:
        return self._keys[place]

    def bytes_of_last(self, count: int) -> int:
        return sum(self._sizes[-count:])

    def equals(self, chunks: Sequence[Chunk]) -> bool:
        """Whether these are the rows as the server sends them."""
        return sum(map(len, chunks)) == self.byte_count and _proof_of(chunks) == self._proof


def _proof_of(chunks: Sequence[Chunk]) -> bytes:
    proof = sha256()
    for chunk in chunks:
        proof.update(chunk)
    return proof.digest()


def shift_at_end(source: Digested, target: Digested) -> int:
    """How many rows at the end of the longer-running side have no equal in this batch.

    Positive: rows of the source; negative: rows of the target; 0 when both are as far, or when so little matches
    that it is no question of a shift.
    """
    left = _unknown_at_end(source.digests, set(target.digests))
    right = _unknown_at_end(target.digests, set(source.digests))
    if left == right or 2 * left > len(source) or 2 * right > len(target):
        return 0
    return left if left > right else -right


def _unknown_at_end(values: Sequence[int], known: set[int]) -> int:
    for count, value in enumerate(reversed(values)):
        if value in known:
            return count
    return len(values)
