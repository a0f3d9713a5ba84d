"""What an SQL expression may name, and what is known of each operand.

Invariant: a column is an operand only where SQLite compares and computes with the very values that the target holds;
where its affinity makes something else of them, it is refused with the reason.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from etl.model import PLAIN_READING, Affinity, ColumnPlan, PgType, Reading
from etl.transform.schema.names import fold, quote
from etl.transform.schema.row_order import RowOrder
from etl.transform.schema.syntax import Untranslatable
from etl.transform.schema.types import INTEGER_TYPES, NUMBER_TYPES

NUMERIC_AFFINITIES = frozenset({Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC})
# Target type → the source affinities under which SQLite compares the values as PostgreSQL will.
COMPARABLE_AFFINITIES: Mapping[str, frozenset[Affinity]] = {
    **dict.fromkeys(NUMBER_TYPES | {"boolean"}, NUMERIC_AFFINITIES),
    "date": frozenset({Affinity.NUMERIC, Affinity.TEXT}),
    "text": frozenset({Affinity.TEXT}),
    "varchar": frozenset({Affinity.TEXT}),
}


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A column that an expression may name."""

    name: str  # in the target
    type: PgType
    affinity: Affinity  # of the source: it decides what SQLite compares
    collation: str = "BINARY"  # of the source
    qualifier: str = ""  # of a query's table: its name or alias
    reading: Reading = PLAIN_READING
    source: str = ""  # table.column in the source; "" where it is no table's
    instead: str = ""  # SQL that stands for it: of two that a RIGHT or FULL join made one, of a generated column

    @classmethod
    def of(cls, column: ColumnPlan, table: str, collation: str) -> ScopeColumn:
        """A column of a table (by its source name), under the collation that the source has there."""
        source = f"{table}.{column.source.name}"
        return cls(column.name, column.type, column.source.affinity, collation, source=source)

    def castable(self, type_name: str) -> str:
        """``; --cast table.column=type makes it one``, where that can be said."""
        return f"; --cast {shlex.quote(f'{self.source}={type_name}')} makes it one" if self.source else ""

    @property
    def sql(self) -> str:
        if self.instead:
            return self.instead
        return f"{quote(self.qualifier)}.{quote(self.name)}" if self.qualifier else quote(self.name)


# source name in lower case, in a query also with its table's (``t.name``) → column; None for a name that is ambiguous
Scope = Mapping[str, ScopeColumn | None]


class QueryScope(dict[str, ScopeColumn | None]):
    """The scope of a query, whose rows are compared with SQLite's before anybody sees them.

    ``subquery`` translates a query inside it: its SQL and the operands that it selects. ``rows`` says what is known of
    the order of its rows.
    """

    def __init__(
        self,
        columns: Mapping[str, ScopeColumn | None],
        subquery: Callable[[exp.Expression, QueryScope], tuple[str, list[Operand]]],
    ) -> None:
        super().__init__(columns)
        self.subquery = subquery
        self.windows: Mapping[str, exp.Expression] = {}  # those with a name, in lower case
        self.rows = RowOrder()


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of an expression with the type that it has in the target.

    ``kind`` says what SQLite has there: integer; real; number (either of the two); text; else the type's name.
    """

    sql: str
    type: PgType
    kind: str
    constant: bool = False
    reading: Reading = PLAIN_READING  # of the column that it is

    @classmethod
    def of(cls, sql: str, type_: PgType, *, constant: bool = False) -> Operand:
        name = type_.name
        kind = (
            "integer" if name in INTEGER_TYPES else {"varchar": "text", "numeric": "number", "real": "real"}.get(name)
        )
        return cls(sql, type_, kind or {"double precision": "real"}.get(name, name), constant)


def find_column(node: exp.Expression, scope: Scope) -> ScopeColumn | None:
    """The column that the node names, if it names one."""
    if not isinstance(node, exp.Column):
        return None
    qualified = f"{fold(node.table)}.{fold(node.name)}" if node.table else ""
    return scope.get(qualified) or scope.get(fold(node.name))


def query_value(column: ScopeColumn) -> Operand:
    """The column as it is handed on, whatever its type."""
    return replace(Operand.of(column.sql, column.type), reading=column.reading)


def query_operand(column: ScopeColumn) -> Operand:
    """The column inside a query: dates, documents and the like may be handed on, counted and told apart."""
    if column.type.name in COMPARABLE_AFFINITIES:
        return replace(column_operand(column, any_collation=True), reading=column.reading)
    return query_value(column)


def column_operand(column: ScopeColumn, *, any_collation: bool = False) -> Operand:
    """The column as something to compare and to compute with. Raises Untranslatable."""
    if column.collation != "BINARY" and not any_collation:
        raise Untranslatable(f"{quote(column.name)} compares by the collation {column.collation}")
    if column.affinity not in COMPARABLE_AFFINITIES.get(column.type.name, frozenset()):
        raise Untranslatable(f"{quote(column.name)} compares otherwise as {column.type}")
    return Operand.of(column.sql, column.type)
