"""Translate the expressions of generated columns, stored and virtual; nothing is loaded into them.

Invariant: the server's value is the one that SQLite shows: where the column's type or affinity would make something
else of the expression's value, it is refused, and the verification compares every row all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from etl.model import Affinity, ColumnPlan, Plan, SkippedObject, TablePlan, Way
from etl.transform.schema.expressions import translate_value
from etl.transform.schema.names import fold, quote
from etl.transform.schema.scope import Operand, ScopeColumn
from etl.transform.schema.syntax import Untranslatable, parse
from etl.transform.schema.types import INTEGER_TYPES, TEXT_TYPES

MAX_LENGTH = 10_000  # characters of an expression that others have been put into
VIRTUAL_SINCE = 18  # major version of the server
NUMERIC_AFFINITIES = frozenset({Affinity.INTEGER, Affinity.NUMERIC, Affinity.REAL})


@dataclass
class GeneratedColumns:
    """The generated columns of one table.

    PostgreSQL computes no column from a generated one: what SQLite computes so gets the other's expression instead.
    """

    scope: Mapping[str, ScopeColumn]  # all columns of the table, by folded source name
    definitions: Mapping[str, str]  # source column → SQLite's expression
    columns: Mapping[str, ColumnPlan]  # folded source name → generated column
    operands: dict[str, ScopeColumn] = field(default_factory=dict)  # those that others have asked for

    def expression(self, column: ColumnPlan) -> str:
        """The expression as PostgreSQL computes it for this column. Raises Untranslatable."""
        sql = self.definitions.get(column.source.name)
        if sql is None:
            raise Untranslatable("its expression cannot be read")
        used = {fold(node.name) for node in parse(sql).find_all(exp.Column)} & self.columns.keys()
        computed = _assigned(
            translate_value(sql, {**self.scope, **{name: self._replaced(name) for name in used}}), column
        )
        if len(computed) > MAX_LENGTH:
            raise Untranslatable("with what it is computed from in its place it becomes too long")
        return computed

    def _replaced(self, name: str) -> ScopeColumn:
        """A generated column as an operand: its expression, as the column's type holds the value."""
        if name in self.operands:
            return self.operands[name]
        column, known = self.columns[name], self.scope[name]
        try:
            sql = self.expression(column)
        except Untranslatable as reason:
            raise Untranslatable(f"it is computed from {column.source.name}, which has no translation") from reason
        held = f"({sql})" if column.type.name in TEXT_TYPES else f"({sql})::{column.type}"
        self.operands[name] = replace(known, instead=held)
        return self.operands[name]


def _assigned(value: Operand, column: ColumnPlan) -> str:
    """The value as the column takes it: the affinity of the source, the type of the target."""
    kind, affinity = column.type.name, column.source.affinity
    numeric = affinity in NUMERIC_AFFINITIES
    if kind in INTEGER_TYPES and numeric and value.kind in {"integer", "boolean"}:
        return f"({value.sql})::integer" if value.kind == "boolean" else value.sql
    if kind == "boolean" and numeric and value.kind == "boolean":
        return value.sql
    if kind == "numeric" and numeric and value.kind == "integer":
        return value.sql
    if kind == "double precision" and affinity is Affinity.REAL and value.kind in {"integer", "real", "number"}:
        return value.sql
    if kind in {"text", "varchar"} and affinity is Affinity.TEXT:
        if value.kind == "text":
            return value.sql
        if value.kind == "integer" and value.type.name != "numeric":
            return f"({value.sql})::text"
    raise Untranslatable(f"a value of the kind {value.kind} is not stored as {column.type} in the same way")


def with_virtual_columns(plan: Plan, server_major: int) -> Plan:
    """The plan with SQLite's virtual columns virtual again, where the server can; what is stored instead is noted.

    PostgreSQL has them from version 18 on, and not in keys, foreign keys and indexes.
    """
    tables, stored = [], []
    for table in plan.tables:
        names = {
            c.name for c in table.columns if c.source.virtual and c.generated is not None and table.way is Way.CREATE
        }
        keyed = {name for name in names if server_major < VIRTUAL_SINCE or _is_keyed(table, name)}
        stored += [f"{table.name}.{name}" for name in sorted(keyed)]
        columns = tuple(replace(c, virtual=c.name in names - keyed) for c in table.columns)
        tables.append(replace(table, columns=columns) if names else table)
    why = f"before PostgreSQL {VIRTUAL_SINCE}" if server_major < VIRTUAL_SINCE else "in keys and indexes"
    note = (f"virtual columns are STORED {why}: {', '.join(stored)}",) if stored else ()
    return replace(plan, tables=tuple(tables), notes=tuple(dict.fromkeys((*plan.notes, *note))))


def _is_keyed(table: TablePlan, name: str) -> bool:
    texts = [text for index in table.indexes for text in (*index.terms, index.predicate or "")]
    keys = {*table.primary_key, *(column for key in table.foreign_keys for column in key.columns)}
    return name in keys or any(quote(name) in text for text in texts)


def with_plain_columns(table: TablePlan) -> TablePlan:
    """The table with today's values as data instead of expressions, which the server has refused to compute."""
    return replace(table, columns=tuple(replace(column, generated=None, virtual=False) for column in table.columns))


def made_plain(before: TablePlan, after: TablePlan) -> Iterator[SkippedObject]:
    """The generated columns that became plain ones on the way."""
    for old, new in zip(before.columns, after.columns, strict=True):
        if old.generated is not None and new.generated is None:
            yield SkippedObject(
                "generated column",
                f"{before.source.name}.{old.source.name}",
                f"GENERATED ALWAYS AS ({old.generated})",
                "the column holds today's values as plain data: PostgreSQL cannot compute it for all rows",
                table=before.source.name,
            )
