"""Render a plan's DDL: SQLAlchemy objects in, PostgreSQL statements out. The only module that imports SQLAlchemy.

Invariant: every statement names its schema, so that no search_path decides where something is built; a percent sign
or a colon in a name or a default arrives as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnClause,
    Computed,
    Date,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    literal_column,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.schema import AddConstraint, Constraint, CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql import quoted_name
from sqlalchemy.types import TypeEngine, UserDefinedType

from etl.errors import PlanError
from etl.model import (
    NOCASE_COLLATION,
    NOCASE_LOCALE,
    ColumnPlan,
    ForeignKeyPlan,
    IndexPlan,
    PgType,
    Plan,
    Statement,
    TablePlan,
)
from etl.transform.rows.arrow_types import TEXT_COPIED
from etl.transform.schema.names import quote
from etl.transform.schema.relations import SCHEMA

__all__ = [
    "create_collations",
    "create_foreign_keys",
    "create_indexes",
    "create_keys",
    "create_tables",
    "create_views",
    "quote",
]

# asyncpg's parameters are $1, so that this dialect doubles no percent sign
DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]
DIALECT.supports_virtual_generated_columns = True  # the plan has them only where the server has
Factory = Callable[[PgType, str | None], TypeEngine[Any]]
TYPES: Mapping[str, Factory] = {
    "smallint": lambda _, __: SmallInteger(),
    "integer": lambda _, __: Integer(),
    "bigint": lambda _, __: BigInteger(),
    "real": lambda _, __: postgresql.REAL(),
    "double precision": lambda _, __: Double(),
    "numeric": lambda type_, _: Numeric(type_.precision, type_.scale),
    "boolean": lambda _, __: Boolean(),
    "date": lambda _, __: Date(),
    "timestamp": lambda type_, _: postgresql.TIMESTAMP(timezone=False, precision=type_.length),
    "timestamptz": lambda type_, _: postgresql.TIMESTAMP(timezone=True, precision=type_.length),
    "time": lambda type_, _: postgresql.TIME(timezone=False, precision=type_.length),
    "text": lambda _, collation: Text(collation=collation),
    "varchar": lambda type_, collation: postgresql.VARCHAR(type_.length, collation=collation),
    "char": lambda type_, collation: postgresql.CHAR(type_.length, collation=collation),
    "json": lambda _, __: postgresql.JSON(),
    "jsonb": lambda _, __: postgresql.JSONB(),
    "uuid": lambda _, __: Uuid(),
    "bytea": lambda _, __: LargeBinary(),
}
# rendered as they are spelled: SQLAlchemy has nothing to add to them
AS_SPELLED = TEXT_COPIED


class Spelled(UserDefinedType[Any]):
    """A type under its own name."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_: Any) -> str:
        return self.spelling


KINDS: dict[type[Constraint], str] = {
    PrimaryKeyConstraint: "primary key",
    UniqueConstraint: "unique constraint",
    CheckConstraint: "check",
    ForeignKeyConstraint: "foreign key",
}


def create_tables(plan: Plan, schema: str) -> tuple[Statement, ...]:
    """One CREATE TABLE a table: columns, NOT NULL, defaults, identity, collations; no keys, so that loading is fast."""
    return tuple(
        Statement("table", table.name, table.name, _render(CreateTable(_table(table, schema))))
        for table in sorted(plan.tables, key=_before_its_namesakes)
    )


def create_collations(plan: Plan, schema: str) -> tuple[Statement, ...]:
    """The collation that sees no case, where a column wants it and the target schema has not got it."""
    if not plan.makes_collation:
        return ()
    sql = (
        f"create collation {quote(schema)}.{quote(NOCASE_COLLATION)}"
        f" (provider = icu, locale = '{NOCASE_LOCALE}', deterministic = false)"
    )
    return (Statement("collation", NOCASE_COLLATION, "", sql),)


def create_keys(plan: Plan, schema: str) -> tuple[Statement, ...]:
    """Primary keys, UNIQUE constraints and CHECKs, for loaded tables."""
    return tuple(
        _add(table, constraint, built)
        for table in plan.tables
        for built in [_table(table, schema)]
        for constraint in _constraints(table)
    )


def create_indexes(plan: Plan, schema: str) -> tuple[Statement, ...]:
    """Every index that is no constraint."""
    return tuple(
        Statement("index", index.name, table.name, _index(index, built))
        for table in plan.tables
        for built in [_table(table, schema)]
        for index in table.indexes
        if not index.constraint
    )


def create_foreign_keys(plan: Plan, schema: str) -> tuple[Statement, ...]:
    """Foreign keys, all inside ``schema``; they need the keys of their parents."""
    return tuple(
        _as_valid_as_planned(
            _add(table, _foreign_key(key, _bare_table(key.parent, key.parent_columns, schema)), built), key
        )
        for table in plan.tables
        for built in [_table(table, schema)]
        for key in table.foreign_keys
    )


def create_views(plan: Plan, schema: str) -> tuple[Statement, ...]:
    """Every view, in the order of the plan; its columns have the names of the plan, whatever its query calls them."""
    return tuple(
        Statement(
            "view",
            view.name,
            view.name,
            f"create view {quote(schema)}.{quote(view.name)} ({', '.join(quote(c.name) for c in view.table.columns)})"
            f" as {view.sql.replace(SCHEMA, quote(schema))}",
        )
        for view in plan.views
    )


def _table(plan: TablePlan, schema: str) -> Table:
    """A table in a MetaData of its own: 2,000 tables that live at once cost seconds of garbage collection."""
    return Table(
        _name(plan.name), MetaData(), *(_column(column, schema) for column in plan.columns), schema=_name(schema)
    )


def _bare_table(name: str, columns: Iterable[str], schema: str) -> Table:
    """A table to point at."""
    return Table(_name(name), MetaData(), *(Column(_name(column)) for column in columns), schema=_name(schema))


def _name(name: str) -> quoted_name:
    """Every name is quoted: no list of reserved words has to be complete."""
    return quoted_name(name, quote=True)


def _column(plan: ColumnPlan, schema: str) -> Column[Any]:
    identity = (Identity(always=False),) if plan.identity else ()
    computed = () if plan.generated is None else (Computed(_sql(plan.generated), persisted=not plan.virtual),)
    default = None if plan.default is None else _sql(plan.default)
    return Column(
        _name(plan.name), _type(plan, schema), *identity, *computed, nullable=not plan.not_null, server_default=default
    )


def _sql(text: str) -> ColumnClause[Any]:
    """SQL as it is: `text()` would read :word in it as a parameter."""
    return literal_column(text)


def _type(plan: ColumnPlan, schema: str) -> TypeEngine[Any]:
    if plan.collation == NOCASE_COLLATION:
        return Spelled(f"{plan.type} collate {quote(plan.collation_schema or schema)}.{quote(plan.collation)}")
    if plan.type.name == "citext":
        return Spelled(f"{quote(plan.type_schema)}.citext" if plan.type_schema else "citext")
    if plan.type.name.removesuffix("[]") in AS_SPELLED or plan.type.name.endswith("[]"):
        return Spelled(str(plan.type))
    factory = TYPES.get(plan.type.name)
    if factory is None:
        raise PlanError(f"{plan.name}: there is no type {plan.type}", f"one of: {', '.join(sorted(TYPES))}")
    return factory(plan.type, plan.collation)


def _constraints(table: TablePlan) -> Iterator[Constraint]:
    if table.primary_key:
        yield PrimaryKeyConstraint(*table.primary_key, name=_name(table.primary_key_name or f"{table.name}_pkey"))
    for index in table.indexes:
        if index.constraint:
            yield UniqueConstraint(*map(_unquoted, index.terms), name=_name(index.name))
    for check in table.checks:
        yield CheckConstraint(_sql(check.condition), name=_name(check.name))


def _add(plan: TablePlan, constraint: Constraint, table: Table) -> Statement:
    table.append_constraint(constraint)
    return Statement(KINDS[type(constraint)], str(constraint.name), plan.name, _render(AddConstraint(constraint)))


def _index(plan: IndexPlan, table: Table) -> str:
    where: dict[str, Any] = {} if plan.predicate is None else {"postgresql_where": _sql(plan.predicate)}
    index = Index(_name(plan.name), *map(_sql, plan.terms), unique=plan.unique, **where)
    table.append_constraint(index)
    return _render(CreateIndex(index))


def _foreign_key(key: ForeignKeyPlan, parent: Table) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        key.columns,
        [parent.columns[name] for name in key.parent_columns],
        name=_name(key.name),
        onupdate=None if key.on_update == "NO ACTION" else key.on_update,
        ondelete=None if key.on_delete == "NO ACTION" else key.on_delete,
        deferrable=key.deferrable or None,
        initially="DEFERRED" if key.initially_deferred else None,
    )


def _as_valid_as_planned(statement: Statement, key: ForeignKeyPlan) -> Statement:
    return statement if key.validated else replace(statement, sql=f"{statement.sql} NOT VALID")


def _before_its_namesakes(table: TablePlan) -> tuple[bool, int]:
    """Tables called ``…_seq`` first, the longest first of all: an identity's sequence then evades their names."""
    return not table.name.endswith("_seq"), -len(table.name) if table.name.endswith("_seq") else 0


def _unquoted(term: str) -> str:
    """The column that a UNIQUE constraint's term names."""
    return term[1:-1].replace('""', '"')


def _render(element: ExecutableDDLElement) -> str:
    return str(element.compile(dialect=DIALECT)).strip()
