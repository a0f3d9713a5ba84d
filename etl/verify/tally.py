"""What has been seen of both sides of a table: rows, sums of digests, and the rows that met no equal.

Invariant: every row of either side enters the sums exactly once, whether it was equal or not.
"""

from __future__ import annotations

from collections.abc import Sequence

from etl.model import TablePlan
from etl.verify.expected import is_document
from etl.verify.multiset import SOURCE, TARGET, Unmatched
from etl.verify.rows import digest, join_row, split_row, sum_digests


class Tally:
    """The account of one table while it is compared; one thread at a time."""

    def __init__(self, table: TablePlan, unmatched: Unmatched) -> None:
        self.table = table
        self.versioned = [column.type.name == "jsonb" for column in table.columns if is_document(column.type)]
        self.source_rows = self.target_rows = 0
        self.source_sum = self.target_sum = 0
        self._unmatched = unmatched
        names = [column.name for column in table.columns]
        self._key_places = [names.index(name) for name in table.primary_key]

    def add_equal(self, rows: Sequence[bytes]) -> None:
        """Rows that both sides have at the same place."""
        total = sum_digests(rows)
        self.source_sum += total
        self.target_sum += total
        self.source_rows += len(rows)
        self.target_rows += len(rows)

    def add_batch(self, source: Sequence[bytes], target: Sequence[bytes]) -> None:
        """Rows of both sides that stand near each other but are not all equal."""
        self._add(SOURCE, source, self.source_rows)
        self._add(TARGET, target, self.target_rows)
        self.source_rows += len(source)
        self.target_rows += len(target)

    def add_extra(self, target: Sequence[bytes]) -> None:
        """Rows of the target behind the source's last."""
        self.add_batch((), target)

    def trailing(self, source: Sequence[bytes], target: Sequence[bytes]) -> int:
        """How many rows at the end of the longer-running side have no equal in this batch.

        Positive: rows of the source; negative: rows of the target; 0 when both are as far, or when so little
        matches that it is no question of a shift.
        """
        ours, theirs = set(source), set(target)
        left, right = _unknown_at_end(source, theirs), _unknown_at_end(target, ours)
        if left == right or 2 * left > len(source) or 2 * right > len(target):
            return 0
        return left if left > right else -right

    def _add(self, side: int, rows: Sequence[bytes], first: int) -> None:
        digests = list(map(digest, rows))
        if side == SOURCE:
            self.source_sum += sum(digests)
        else:
            self.target_sum += sum(digests)
        for place, (row, value) in enumerate(zip(rows, digests, strict=True)):
            self._unmatched.add(side, value, self._key(row, value), first + place)

    def _key(self, row: bytes, value: int) -> int:
        if not self._key_places:
            return value
        payloads = split_row(row)
        return digest(join_row([payloads[place] for place in self._key_places]))


def _unknown_at_end(rows: Sequence[bytes], known: set[bytes]) -> int:
    for count, row in enumerate(reversed(rows)):
        if row in known:
            return count
    return len(rows)
