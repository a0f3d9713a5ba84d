"""Choose the target type of every column: the user's cast, else the parent key's, else the declared, else the data's.

Invariant: what the declared types do not tell is asked for by ``undecided_columns`` and answered by a census of
storage classes; nothing is decided from a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from etl.errors import PlanError
from etl.model import BINARY_JSON, SourceCatalog, SourceColumn, SourceTable, StorageClass
from etl.transform.schema.casts import Cast, cast_for, parse_casts
from etl.transform.schema.references import Reference, resolve_references
from etl.transform.schema.types import Decision, decide_type, declared_type, declares_binary_json

Census = Mapping[tuple[str, str], frozenset[StorageClass]]
Types = Mapping[tuple[str, str], Decision]
References = Mapping[str, tuple[Reference, ...]]


def undecided_columns(catalog: SourceCatalog, casts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The (table, column) pairs whose storage classes must be known before ``plan_tables``.

    These are columns whose declared type does not tell their values, and key columns that may hold NULLs.
    """
    parsed = parse_casts(casts)
    parents = parent_columns(resolve_references(catalog))
    return tuple(
        (table.name, column.name)
        for table in catalog.tables
        for column in table.columns
        if may_hold_null_in_key(table, column)
        or (
            declared_type(column.declared) is None
            and (table.name, column.name) not in parents
            and cast_for(parsed, table.name, column.name) is None
        )
    )


def may_hold_null_in_key(table: SourceTable, column: SourceColumn) -> bool:
    """SQLite lets NULLs into a primary key that is neither the rowid nor WITHOUT ROWID nor STRICT."""
    return column.key_position > 0 and not column.not_null and not is_never_null(table, column)


def is_never_null(table: SourceTable, column: SourceColumn) -> bool:
    """NOT NULL by declaration or by its place in the key."""
    in_strong_key = column.key_position > 0 and (table.without_rowid or table.strict)
    return column.not_null or in_strong_key or column.name == table.rowid_alias


def choose_types(catalog: SourceCatalog, census: Census, casts: Sequence[Cast], references: References) -> Types:
    """The type of every column. Raises PlanError naming every column that no type can hold."""
    # a cast is the user's word: the column follows no parent, and its own children follow it
    parents = {child: parent for child, parent in parent_columns(references).items() if cast_for(casts, *child) is None}
    types: dict[tuple[str, str], Decision] = {}
    problems: list[PlanError] = []
    for table in catalog.tables:
        for column in table.columns:
            try:
                types[table.name, column.name] = _decide_own(table, column, census, casts, parents)
            except PlanError as error:
                problems.append(error)
    if problems:
        hints = [problem.hint or "" for problem in problems]
        raise PlanError("; ".join(problem.message for problem in problems), "; ".join(dict.fromkeys(hints)))
    return types | {place: _decide_by_parent(place, types, parents) for place in parents}


def parent_columns(references: References) -> Mapping[tuple[str, str], tuple[str, str]]:
    """Child column → parent column, of the first foreign key that can be created."""
    parents: dict[tuple[str, str], tuple[str, str]] = {}
    for table, listed in references.items():
        for reference in listed:
            if reference.parent is None or reference.problem:
                continue
            for child, parent in zip(reference.source.columns, reference.parent_columns, strict=True):
                if (table, child) != (reference.parent.name, parent):
                    parents.setdefault((table, child), (reference.parent.name, parent))
    return parents


def _decide_own(
    table: SourceTable,
    column: SourceColumn,
    census: Census,
    casts: Sequence[Cast],
    parents: Mapping[tuple[str, str], tuple[str, str]],
) -> Decision:
    place = (table.name, column.name)
    cast = cast_for(casts, *place)
    if cast is not None:
        # whatever JSON type it becomes, the blobs of a JSONB column are SQLite's
        binary = cast.how is None and cast.type.name in ("json", "jsonb") and declares_binary_json(column)
        return Decision(cast.type, "as --cast says", BINARY_JSON if binary else cast.how, by_user=True)
    declared = declared_type(column.declared)
    if declared is not None:
        return declared
    # a child column takes its parent's type later: its own values need not agree
    classes = frozenset[StorageClass]() if place in parents else census.get(place, frozenset())
    return decide_type(table.name, column, classes)


def _decide_by_parent(
    place: tuple[str, str],
    types: Mapping[tuple[str, str], Decision],
    parents: Mapping[tuple[str, str], tuple[str, str]],
) -> Decision:
    """The type at the end of the chain of parents; a chain that comes back to its start decides nothing."""
    seen, root = {place}, place
    while root in parents:
        root = parents[root]
        if root in seen:
            return types[place]
        seen.add(root)
    own, parent = types[place], types[root]
    if own.type == parent.type:
        return replace(own, how=parent.how)
    return Decision(parent.type, f"as {root[0]}.{root[1]}, which it references", parent.how)
