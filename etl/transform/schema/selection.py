"""``--tables`` and ``--exclude``: which part of the source a run moves.

Invariant: a glob that matches nothing is an error, and so is a selection of nothing: never an empty run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from etl.errors import PlanError, UsageError
from etl.model import SourceCatalog
from etl.transform.schema.casts import matches_glob, near_misses

BUILT_IN_COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})


def select_tables(catalog: SourceCatalog, include_globs: Sequence[str], exclude_globs: Sequence[str]) -> SourceCatalog:
    """The catalog with only the tables that are included and not excluded; what belongs to the others goes with them.

    Raises UsageError, with the nearest names, for a glob that matches no table, view or virtual table, and when none
    is left.
    """
    names = [table.name for table in catalog.tables]
    names += [view.name for view in catalog.views]
    names += [thing.name for thing in catalog.skipped if thing.table is None and thing.needs_attention]
    for flag, globs in (("--tables", include_globs), ("--exclude", exclude_globs)):
        for glob in globs:
            if not any(matches_glob(name, glob) for name in names):
                raise UsageError(f"{flag} {glob!r} matches no table", near_misses(glob, names))

    def is_selected(name: str) -> bool:
        included = not include_globs or any(matches_glob(name, glob) for glob in include_globs)
        return included and not any(matches_glob(name, glob) for glob in exclude_globs)

    if names and not any(map(is_selected, names)):
        raise UsageError("--tables and --exclude together leave no table", "a table must match no --exclude")

    virtual = (thing.name for thing in catalog.skipped if thing.table is None)
    return replace(
        catalog,
        left_out=(*(table.name for table in catalog.tables if not is_selected(table.name)), *virtual),
        tables=tuple(table for table in catalog.tables if is_selected(table.name)),
        views=tuple(view for view in catalog.views if is_selected(view.name)),
        skipped=tuple(thing for thing in catalog.skipped if is_selected(thing.table or thing.name)),
    )


def require_readable(catalog: SourceCatalog) -> None:
    """Raise PlanError for tables that nobody here can read: they may hold the only copy of their rows."""
    for table in catalog.tables:
        key = next((index for index in table.indexes if index.origin == "pk"), None) if table.without_rowid else None
        foreign = {term.collation for term in key.terms} - BUILT_IN_COLLATIONS if key else set()
        if foreign:
            raise PlanError(
                f"{table.name}: its rows lie in the order of {', '.join(sorted(foreign))}, a collation of the"
                " application, and SQLite does not read them without it",
                f"rebuild it in the source with a rowid, or leave it out with --exclude {table.name}",
            )
    for thing in catalog.skipped:
        if thing.kind == "missing module":
            raise PlanError(
                f"{thing.name}: {thing.reason}", f"leave it out with --exclude {thing.name}, if its rows are not needed"
            )
