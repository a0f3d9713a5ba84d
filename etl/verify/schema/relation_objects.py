"""Compares what a relation is with what the plan wants: a plain table that survives a crash and shows every row."""

from __future__ import annotations

from collections.abc import Iterator

from etl.model import Difference, TablePlan, Way
from etl.verify.schema.catalog_rows import Catalog
from etl.verify.schema.object_differences import object_difference

KINDS = {"r": "a table", "p": "a partitioned table", "f": "a foreign table"}


def compare_relation(table: TablePlan, catalog: Catalog) -> Iterator[Difference]:
    """Whether the table is what was created, and whether all of its rows can be seen.

    A table that the target had may be of any kind; row security that applies to the role leaves a verification with
    part of the rows, and nobody can say which.
    """
    found = catalog.relations[table.name]
    if table.way is Way.CREATE:
        actual = KINDS.get(found.kind, found.kind).replace("a ", "an unlogged " if found.unlogged else "a ", 1)
        if actual != "a table":
            yield object_difference(table, table.name, "a table", actual)
    if found.hides_rows:
        yield object_difference(
            table, table.name, "a table that shows all its rows", "row security that applies to the role that looks"
        )
