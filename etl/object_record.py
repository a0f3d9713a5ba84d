"""What a run promised of schema objects, as a report keeps it: ``etl verify TARGET --against report.json``.

Invariant: what is written down is the plan's own, names and SQL, and not what a server makes of it; so it can be
compared with a server of another version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from etl.model import (
    Affinity,
    CheckPlan,
    ColumnPlan,
    ForeignKeyPlan,
    IndexPlan,
    PgType,
    Plan,
    SourceColumn,
    SourceTable,
    SourceView,
    TablePlan,
    ViewPlan,
    Way,
)

SCHEMA = "\0"  # stands for the schema in the query of a ViewPlan
OF_A_COLUMN = ("not_null", "identity", "default", "generated", "virtual", "collation")

Made = TypeVar("Made")


def objects_of(plan: Plan) -> dict[str, Any]:
    """Keys, constraints, indexes, sequences and defaults of each table, and the views, as plain values."""
    return {
        "tables": {table.source.name: _objects_of_table(table) for table in plan.tables},
        "views": {view.name: [column.name for column in view.table.columns] for view in plan.views},
        # a query in pieces: between two of them the schema is named
        "view_queries": {view.name: view.sql.split(SCHEMA) for view in plan.views},
    }


def _objects_of_table(table: TablePlan) -> dict[str, Any]:
    content = {
        "way": table.way.value,
        "sequence": table.source.sequence,
        "rowid_alias": table.source.rowid_alias,
    }
    if table.way is Way.FILL:  # all else is the application's own; only its sequences are the run's work
        return content
    return {
        **content,
        "columns": {
            column.name: {name: value for name in OF_A_COLUMN if (value := getattr(column, name))}
            for column in table.columns
        },
        "primary_key": list(table.primary_key),
        "primary_key_name": table.primary_key_name,
        "indexes": [asdict(index) for index in table.indexes],
        "foreign_keys": [asdict(key) for key in table.foreign_keys],
        "checks": [asdict(check) for check in table.checks],
    }


def with_objects(table: TablePlan, recorded: Mapping[str, Any]) -> TablePlan:
    """The table with the objects that were promised; raises KeyError or TypeError for a record that is not whole."""
    source = replace(table.source, sequence=recorded["sequence"], rowid_alias=recorded["rowid_alias"])
    if recorded["way"] == Way.FILL.value:
        return replace(table, source=source, way=Way.FILL)
    return replace(
        table,
        source=source,
        columns=tuple(_with_marks(column, recorded["columns"][column.name]) for column in table.columns),
        primary_key=tuple(recorded["primary_key"]),
        primary_key_name=recorded["primary_key_name"],
        indexes=_made(IndexPlan, recorded["indexes"]),
        foreign_keys=_made(ForeignKeyPlan, recorded["foreign_keys"]),
        checks=_made(CheckPlan, recorded["checks"]),
    )


def views_of(recorded: Mapping[str, Any]) -> tuple[ViewPlan, ...]:
    """The views that were promised: names, columns and queries, which the record of an older etl has not got."""
    queries: Mapping[str, Sequence[str]] = recorded.get("view_queries", {})
    return tuple(
        ViewPlan(
            SourceView(name, ""),
            name,
            SCHEMA.join(queries.get(name, ())),
            TablePlan(SourceTable(name, ()), name, tuple(_view_column(column) for column in columns)),
        )
        for name, columns in recorded["views"].items()
    )


def _view_column(name: str) -> ColumnPlan:
    return ColumnPlan(SourceColumn(name, "", Affinity.BLOB), name, PgType("text"))


def _with_marks(column: ColumnPlan, recorded: Mapping[str, Any]) -> ColumnPlan:
    return replace(column, **{name: recorded[name] for name in OF_A_COLUMN if name in recorded})


def _made(kind: type[Made], recorded: Iterable[Mapping[str, Any]]) -> tuple[Made, ...]:
    """Values of this class; JSON has lists where they have tuples."""
    return tuple(
        kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in one.items()})
        for one in recorded
    )
