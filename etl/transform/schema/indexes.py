"""Plan primary keys, UNIQUE constraints and indexes.

Invariant: a key of the target lets in nothing that the source's key kept out; where SQLite compares by NOCASE, the
same is done by an expression index that folds ASCII only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etl.model import NOCASE_COLLATION, ColumnPlan, IndexPlan, IndexTerm, SkippedObject, SourceIndex, SourceTable
from etl.transform.schema.definition import IndexDefinition, TableDefinition, read_index_definition
from etl.transform.schema.expressions import Scope, translate_condition, translate_index_term
from etl.transform.schema.names import Namespace, fold, quote
from etl.transform.schema.syntax import Untranslatable
from etl.transform.schema.tokens import UnreadableDefinition
from etl.transform.schema.types import TEXT_TYPES

MAX_INDEX_COLUMNS = 32  # INDEX_MAX_KEYS
TYPES_WITHOUT_ORDER = frozenset({"json"})  # no B-tree can hold them


@dataclass
class KeyPlans:
    """The keys and indexes of one table, as far as they are planned."""

    primary_key: tuple[str, ...] = ()
    primary_key_name: str | None = None
    indexes: list[IndexPlan] = field(default_factory=list)
    untranslated: list[SkippedObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class IndexPlanner:
    """Plans one table's keys. ``columns`` are by source name; ``relations`` are the names taken in the schema."""

    table: SourceTable
    target_name: str
    columns: Mapping[str, ColumnPlan]
    scope: Scope
    definition: TableDefinition
    relations: Namespace
    index_names: Mapping[str, str]  # SQLite's name → the target's
    null_keys: frozenset[str]  # key columns that hold NULLs

    def plan(self) -> KeyPlans:
        self.plans = KeyPlans()
        self._primary_key()
        for index in self.table.indexes:
            if index.origin == "u":
                self._unique_constraint(index)
        created = (self._created_index(index) for index in self.table.indexes if index.origin == "c")
        self.plans.indexes += [index for index in created if index is not None]
        return self.plans

    def _primary_key(self) -> None:
        key = self.table.primary_key
        if not key:
            return
        index = next((index for index in self.table.indexes if index.origin == "pk"), None)
        terms = index.terms if index else tuple(IndexTerm(name) for name in key)
        problem = self._problem(terms)
        if problem:
            self._skip("primary key", f"PRIMARY KEY ({', '.join(key)})", problem)
            return
        names = tuple(self.columns[name].name for name in key)
        derived = self.definition.primary_key_name or f"{self.target_name}_pkey"
        if self.null_keys & set(key):
            self.plans.notes.append(
                f"{self.table.name}: the primary key ({', '.join(key)}) holds NULLs, so it becomes UNIQUE"
            )
            name = self.relations.take(self.definition.primary_key_name or self._derived_name(names, "key"))
            self.plans.indexes.append(IndexPlan(name, tuple(map(quote, names)), unique=True, constraint=True))
        else:
            self.plans.primary_key, self.plans.primary_key_name = names, self.relations.take(derived)
        if any(self._folds_case(term) for term in terms):
            self._folding_index(terms, self._derived_name(names, "key"))

    def _unique_constraint(self, index: SourceIndex) -> None:
        columns = tuple(term.column for term in index.terms if term.column is not None)
        problem = self._problem(index.terms)
        if problem:
            self._skip("unique constraint", f"UNIQUE ({', '.join(columns)})", problem)
            return
        names = tuple(self.columns[name].name for name in columns)
        lowered = tuple(fold(name) for name in columns)
        given = next(
            (u.name for u in self.definition.uniques if tuple(fold(c) for c in u.columns) == lowered and u.name), None
        )
        wanted = given or self._derived_name(names, "key")
        if any(self._folds_case(term) for term in index.terms):
            self._folding_index(index.terms, wanted)
            return
        name = self.relations.take(wanted)
        self.plans.indexes.append(IndexPlan(name, tuple(map(quote, names)), unique=True, constraint=True))

    def _folding_index(self, terms: tuple[IndexTerm, ...], wanted: str) -> None:
        """A unique index that sees ASCII letters of both cases as one, as NOCASE does."""
        name = self.relations.take(wanted)
        rendered = tuple(self._column_term(term) for term in terms)
        self.plans.indexes.append(IndexPlan(name, rendered, unique=True))
        self.plans.notes.append(f"{self.table.name}: the NOCASE key became the unique index {name} on lower()")

    def _created_index(self, index: SourceIndex) -> IndexPlan | None:
        """A CREATE INDEX; None and an entry in ``untranslated`` where it has no counterpart."""
        try:
            definition = self._read(index)
            problem = self._problem(index.terms)
            if problem:
                raise Untranslatable(problem)
            terms = tuple(
                self._column_term(term) if term.column is not None else self._expression_term(term, text)
                for term, text in zip(index.terms, definition.terms, strict=True)
            )
            predicate = translate_condition(definition.predicate, self.scope) if definition.predicate else None
        except (Untranslatable, UnreadableDefinition) as reason:
            self._skip("index", index.sql or "", str(reason), index.name)
            return None
        if any(self._folds_case(term) for term in index.terms):
            self.plans.notes.append(f"{self.table.name}: the NOCASE index {index.name} became an index on lower()")
        name = self.index_names[index.name]
        if name != (fold(index.name) if self.relations.lowercase else index.name):
            self.plans.notes.append(f"{self.table.name}: the index {index.name} is called {name}")
        return IndexPlan(name, terms, unique=index.unique, predicate=predicate)

    def _read(self, index: SourceIndex) -> IndexDefinition:
        """The text is needed only where the pragmas do not say all."""
        if index.partial or any(term.column is None for term in index.terms):
            definition = read_index_definition(index.sql or "")
            if len(definition.terms) != len(index.terms):
                raise UnreadableDefinition("the terms cannot be told apart")
            return definition
        return IndexDefinition(tuple(term.column or "" for term in index.terms), None)

    def _column_term(self, term: IndexTerm) -> str:
        column = self.columns[term.column or ""]
        folded = self._folds_case(term)
        rendered = f'lower({quote(column.name)} collate "C")' if folded else quote(column.name)
        return f"{rendered} desc" if term.descending else rendered

    def _expression_term(self, term: IndexTerm, text: str) -> str:
        if term.collation != "BINARY":
            raise Untranslatable(f"an expression under the collation {term.collation} is not translated")
        rendered = translate_index_term(text, self.scope)
        return f"{rendered} desc" if term.descending else rendered

    def _folds_case(self, term: IndexTerm) -> bool:
        """Whether an index has to; a column of a collation without case does it by itself."""
        return (
            term.collation == "NOCASE"
            and self._is_text(term)
            and self.columns[term.column or ""].collation != NOCASE_COLLATION
        )

    def _is_text(self, term: IndexTerm) -> bool:
        return term.column is not None and self.columns[term.column].type.name in TEXT_TYPES

    def _problem(self, terms: tuple[IndexTerm, ...]) -> str | None:
        """Why no B-tree of PostgreSQL can stand for these terms."""
        if len(terms) > MAX_INDEX_COLUMNS:
            return f"{len(terms)} columns are more than the {MAX_INDEX_COLUMNS} of a PostgreSQL index"
        for term in terms:
            if self._is_text(term) and term.collation not in {"BINARY", "NOCASE"}:
                return f"the collation {term.collation} has no counterpart"
            if term.column is not None and self.columns[term.column].type.name in TYPES_WITHOUT_ORDER:
                return f"{term.column} is of a type that has no order"
        return None

    def _derived_name(self, names: tuple[str, ...], suffix: str) -> str:
        """As PostgreSQL itself names them: table_column_suffix."""
        return "_".join((self.target_name, *names, suffix))

    def _skip(self, kind: str, sql: str, reason: str, name: str | None = None) -> None:
        self.plans.untranslated.append(SkippedObject(kind, name or self.table.name, sql, reason, table=self.table.name))
