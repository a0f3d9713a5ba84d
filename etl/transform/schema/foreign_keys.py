"""Plan the foreign keys of one table, once the keys of all tables are known.

Invariant: a foreign key is planned only where the target will have the unique key that it needs and types that
compare; every other one is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etl.model import ColumnPlan, ForeignKeyPlan, SkippedObject, TablePlan
from etl.transform.schema.definition import Deferral
from etl.transform.schema.names import Namespace, quote
from etl.transform.schema.references import Reference
from etl.transform.schema.types import INTEGER_TYPES, TEXT_TYPES


@dataclass
class ForeignKeyPlanner:
    """``constraints`` are the names that the table's constraints have taken."""

    table: TablePlan
    tables: Mapping[str, TablePlan]  # by source name
    constraints: Namespace
    untranslated: list[SkippedObject] = field(default_factory=list)

    def plan(self, reference: Reference, deferral: Deferral) -> ForeignKeyPlan | None:
        """The foreign key; None and an entry in ``untranslated`` where it cannot be created."""
        parent = self.tables[reference.parent.name] if reference.parent else None
        problem = reference.problem or self._key_problem(reference, parent)
        key = reference.source
        if parent is None or problem:
            self._skip(reference, problem or "its parent table is missing")
            return None
        columns = tuple(_target_column(self.table, name).name for name in key.columns)
        return ForeignKeyPlan(
            name=self.constraints.take(deferral.name or "_".join((self.table.name, *columns, "fkey"))),
            columns=columns,
            parent=parent.name,
            parent_columns=tuple(_target_column(parent, name).name for name in reference.parent_columns),
            on_update=key.on_update,
            on_delete=key.on_delete,
            deferrable=deferral.deferrable,
            initially_deferred=deferral.initially_deferred,
        )

    def _key_problem(self, reference: Reference, parent: TablePlan | None) -> str | None:
        """Why PostgreSQL would refuse the foreign key although SQLite has it."""
        if parent is None:
            return None
        for child_name, parent_name in zip(reference.source.columns, reference.parent_columns, strict=True):
            child, to = _target_column(self.table, child_name), _target_column(parent, parent_name)
            kinds = {child.type.name, to.type.name}
            if len(kinds) > 1 and not (kinds <= INTEGER_TYPES or kinds <= TEXT_TYPES):
                return f"{child.type} does not compare with {parent.name}.{to.name}, which is {to.type}"
        wanted = {_target_column(parent, name).name for name in reference.parent_columns}
        keys = [{quote(name) for name in parent.primary_key}]
        keys += [set(index.terms) for index in parent.indexes if index.unique and index.predicate is None]
        has_key = set(map(quote, wanted)) in keys
        return None if has_key else f"its parent key in {parent.name} is not created"

    def _skip(self, reference: Reference, reason: str) -> None:
        key, source = reference.source, self.table.source.name
        to = f"({', '.join(key.parent_columns)})" if key.parent_columns else ""
        sql = f"FOREIGN KEY ({', '.join(key.columns)}) REFERENCES {key.parent}{to}"
        name = f"{source}.{', '.join(key.columns)}"
        self.untranslated.append(SkippedObject("foreign key", name, sql, reason, table=source))


def _target_column(table: TablePlan, source_name: str) -> ColumnPlan:
    return next(column for column in table.columns if column.source.name == source_name)
