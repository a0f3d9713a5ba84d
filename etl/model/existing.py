"""The target as it is before the run: tables of the application's own, as ``pg_catalog`` tells them."""

from __future__ import annotations

from dataclasses import dataclass

from etl.model.design import ForeignKeyPlan


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One column of a table that is there already."""

    name: str
    type: str  # as format_type spells it: of a domain the type under it, of an extension's type its bare name
    own_name: str | None = None  # of a domain or an enum
    labels: tuple[str, ...] = ()  # of an enum
    is_array: bool = False  # of what the three say
    array_name: str | None = None  # of a domain over the array
    not_null: bool = False
    has_default: bool = False  # or is an identity
    identity: bool = False
    generated: bool = False
    last_number: int | None = None  # that its own sequence can give; None: it has none, or one that counts down


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A relation of the target schema that bears a name of the run's."""

    name: str
    kind: str  # table, partitioned table, foreign table, view, …
    columns: tuple[TargetColumn, ...] = ()
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[frozenset[str], ...] = ()  # the primary key among them
    foreign_keys: tuple[ForeignKeyPlan, ...] = ()  # between plain tables of this schema
    is_owned: bool = True  # by the run's role, which may then drop and make constraints
    is_empty: bool = True
    hides_rows: bool = False  # its row security applies to the run's role

    @property
    def is_fillable(self) -> bool:
        return self.kind in ("table", "partitioned table")
