"""What tells the rows of a query apart, and in what order SQLite finds them.

Invariant: an order is completed only by what SQLite's own scan is ordered by; where that is not known, what depends on
it is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from etl.transform.schema.syntax import Untranslatable


@dataclass(frozen=True, slots=True)
class RowOrder:
    """Of the rows of one query; columns are their SQL.

    ``keys``: for every source the sets of columns of which each tells its rows apart. ``scan``: the columns by which
    the rows are found in order; () where they are in order as they come; None where nobody knows.
    """

    keys: Sequence[Collection[frozenset[str]]] = ()
    scan: tuple[str, ...] | None = None
    settles_ties: bool = True  # False where windows see other rows, or in another order, than aggregates gather

    def grouped(self, terms: Collection[str]) -> RowOrder:
        """The groups of the rows by these terms."""
        return replace(self, keys=[{frozenset(terms)}], settles_ties=False)

    def ties(self, terms: Collection[str]) -> list[str]:
        """What has to follow these terms, so that no two rows are equal. Raises Untranslatable."""
        given = set(terms)
        if self.keys and all(any(key <= given for key in source) for source in self.keys):
            return []
        if self.scan and self.settles_ties:
            return [column for column in self.scan if column not in given]
        raise Untranslatable("rows that are equal in the order of a window are numbered as SQLite finds them")

    def found(self) -> str:
        """The ORDER BY of an aggregate that gathers rows as SQLite finds them. Raises Untranslatable."""
        if self.scan is None:
            raise Untranslatable("the order in which SQLite gathers the rows is not known")
        return f" order by {', '.join(self.scan)}" if self.scan else ""
