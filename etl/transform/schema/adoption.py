"""Created tables whose parents are tables that the target has already: their foreign keys follow what is there.

Invariant: a foreign key is planned only onto a key that its parent has, from columns that compare with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from etl.model import ColumnPlan, ForeignKeyPlan, PgType, Plan, SkippedObject, TablePlan, TargetTable, Way
from etl.options import Options
from etl.transform.rows.arrow_types import underlying
from etl.transform.schema.column_readings import reading_of
from etl.transform.schema.names import fold
from etl.transform.schema.target_types import target_type
from etl.transform.schema.types import INTEGER_TYPES, TEXT_TYPES


def adopt_parents(plan: Plan, found: Sequence[TargetTable], options: Options) -> Plan:
    """The plan with the foreign keys of created tables onto filled and kept ones as those have their keys."""
    created = {table.name for table in plan.tables if table.way is Way.CREATE}
    parents = {fold(table.name): table for table in found if table.name not in created}
    untranslated: list[SkippedObject] = []
    tables = []
    for table in plan.tables:
        keys = []
        for key in table.foreign_keys:
            parent = None if key.parent in created or table.way is Way.FILL else parents.get(fold(key.parent))
            if parent is None:
                keys.append(key)
                continue
            adopted = _adopt(key, parent)
            if adopted is None:
                sql = f"FOREIGN KEY ({', '.join(key.columns)}) REFERENCES {key.parent}"
                why = f"the target's {parent.name} has no such key"
                name = f"{table.source.name}.{', '.join(key.columns)}"
                untranslated.append(SkippedObject("foreign key", name, sql, why, table=table.source.name))
                continue
            keys.append(adopted)
            table = _with_types_of(table, adopted, parent, options)
        tables.append(replace(table, foreign_keys=tuple(keys)))
    return replace(plan, tables=tuple(tables), untranslated=(*plan.untranslated, *untranslated))


def split_foreign_keys(plan: Plan) -> tuple[Plan, Plan]:
    """The tables to create with the foreign keys among themselves, and those onto tables that the target has."""
    created = plan.created
    names = {table.name for table in created.tables}

    def only(inner: bool) -> tuple[TablePlan, ...]:
        return tuple(
            replace(table, foreign_keys=tuple(key for key in table.foreign_keys if (key.parent in names) is inner))
            for table in created.tables
        )

    outward = tuple(table for table in only(False) if table.foreign_keys)
    return replace(created, tables=only(True)), replace(created, tables=outward)


def leads_to_others(plan: Plan) -> bool:
    """Whether tables are filled, or foreign keys of created ones lead to tables that stay as they are (--keep)."""
    return bool(plan.filled.tables) or bool(split_foreign_keys(plan)[1].tables)


def in_waves(plan: Plan) -> list[list[tuple[TablePlan, ...]]]:
    """The tables in an order in which each finds its parents filled; those of one wave do not need each other.

    Tables whose foreign keys go round stand together: there is no order among them.
    """
    waiting = _together(plan)
    waves: list[list[tuple[TablePlan, ...]]] = []
    while waiting:
        names = {table.name for group in waiting for table in group}
        ready = [group for group in waiting if not _parents(group) & names]
        waves.append(ready)
        waiting = [group for group in waiting if group not in ready]
    return waves


def _together(plan: Plan) -> list[tuple[TablePlan, ...]]:
    """Each table by itself, or with those that it leads to and that lead back to it; the largest first."""
    tables = {table.name: table for table in plan.largest_first}
    above = {name: _above(name, tables) for name in tables}
    groups = (tuple(one for one in tables if one == name or {one, name} <= above[name] & above[one]) for name in tables)
    return [tuple(tables[name] for name in group) for group in dict.fromkeys(groups)]


def _above(name: str, tables: Mapping[str, TablePlan]) -> set[str]:
    """The tables of the run that the foreign keys of this one lead to, however far."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = {key.parent for key in tables[waiting.pop()].foreign_keys} & tables.keys() - found
        found |= new
        waiting += new
    return found


def _parents(group: Sequence[TablePlan]) -> set[str]:
    """The parents of these tables beside themselves."""
    return {key.parent for table in group for key in table.foreign_keys} - {table.name for table in group}


def with_created(plan: Plan, created: Plan) -> Plan:
    """The plan with its created tables as the rows have made them; their foreign keys onto other tables stay."""
    new = {table.name: table for table in created.tables}

    def joined(table: TablePlan) -> TablePlan:
        outward = (key for key in table.foreign_keys if key.parent not in new)
        return replace(new[table.name], foreign_keys=(*new[table.name].foreign_keys, *outward))

    tables = tuple(joined(table) if table.name in new else table for table in plan.tables)
    views = created.views if created.tables and len(new) == len(plan.tables) else plan.views
    return replace(plan, tables=tables, views=views, untranslated=created.untranslated)


def with_listed(plan: Plan, things: Sequence[SkippedObject]) -> Plan:
    """The plan with these things among those that are not translated, each once."""
    return replace(plan, untranslated=tuple(dict.fromkeys((*plan.untranslated, *things))))


def _adopt(key: ForeignKeyPlan, parent: TargetTable) -> ForeignKeyPlan | None:
    by_lower: Mapping[str, str] = {fold(column.name): column.name for column in parent.columns}
    columns = tuple(by_lower.get(fold(name), "") for name in key.parent_columns)
    if "" in columns or frozenset(columns) not in parent.unique_keys:
        return None
    return replace(key, parent=parent.name, parent_columns=columns)


def _with_types_of(table: TablePlan, key: ForeignKeyPlan, parent: TargetTable, options: Options) -> TablePlan:
    """The table with child columns that compare with their parents' (docs/coercion.md: a child follows its parent)."""
    there = {column.name: column for column in parent.columns}
    wanted = {
        child: underlying(target_type(there[name], f"{parent.name}.{name}"))
        for child, name in zip(key.columns, key.parent_columns, strict=True)
    }
    return replace(table, columns=tuple(_follow(column, wanted.get(column.name), options) for column in table.columns))


def _follow(column: ColumnPlan, parent: PgType | None, options: Options) -> ColumnPlan:
    if parent is None or parent == column.type or {parent.name, column.type.name} <= INTEGER_TYPES:
        return column
    if {parent.name, column.type.name} <= TEXT_TYPES:
        return column
    reading = reading_of(parent, None, options)
    return replace(column, type=parent, reading=reading, default=None, fixed=True, note="as the key it references")
