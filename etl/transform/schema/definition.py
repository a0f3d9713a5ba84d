"""Read from the text of CREATE TABLE and CREATE INDEX what no pragma tells: checks, collations, deferral, conflicts.

Invariant: SQLite has accepted the text, so the scanner need not judge it; what it cannot follow raises
``UnreadableDefinition`` and is reported as a whole, never read by half.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from etl.transform.schema.names import fold
from etl.transform.schema.tokens import Token, UnreadableDefinition, matching, split_at_commas, text_of, tokens_of

COLUMN_CONSTRAINTS = frozenset(
    {"CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS"}
)
TABLE_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
WITHOUT_MEANING_HERE = frozenset(  # the pragmas tell it, or nothing follows from it
    {"NOT", "NULL", "GENERATED", "ALWAYS", "STORED", "VIRTUAL", "ASC", "DESC", "AUTOINCREMENT"}
)


@dataclass(frozen=True, slots=True)
class CheckDefinition:
    name: str | None
    sql: str  # the condition, without its parentheses
    column: str | None  # where it stands at a column


@dataclass(frozen=True, slots=True)
class UniqueDefinition:
    name: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deferral:
    """How a foreign key is named and deferred."""

    name: str | None = None
    deferrable: bool = False
    initially_deferred: bool = False


@dataclass
class TableDefinition:
    """What one CREATE TABLE says beyond the pragmas; names as written."""

    checks: list[CheckDefinition] = field(default_factory=list)
    collations: dict[str, str] = field(default_factory=dict)  # column → collation, upper case
    generated: dict[str, str] = field(default_factory=dict)  # column → expression
    conflicts: list[tuple[str | None, str]] = field(default_factory=list)  # (column, ON CONFLICT clause)
    uniques: list[UniqueDefinition] = field(default_factory=list)
    primary_key_name: str | None = None
    foreign_keys: list[Deferral] = field(default_factory=list)  # in the order of declaration


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """The terms of CREATE INDEX without their COLLATE and ASC or DESC, and its WHERE condition."""

    terms: tuple[str, ...]
    predicate: str | None


def read_table_definition(sql: str) -> TableDefinition:
    """Scan one CREATE TABLE as ``sqlite_schema`` keeps it. Raises UnreadableDefinition."""
    tokens = list(tokens_of(sql))
    opening = next((i for i, token in enumerate(tokens) if token.text == "("), None)
    if opening is None:
        raise UnreadableDefinition("there is no list of columns")
    definition = TableDefinition()
    for item in split_at_commas(tokens[opening + 1 : matching(tokens, opening)]):
        Item(sql, item, definition).read()
    return definition


def read_collations(sql: str) -> dict[str, str]:
    """The collations of a table's columns, by name in lower case; none where the text cannot be read."""
    try:
        collations = read_table_definition(sql).collations
    except UnreadableDefinition:
        return {}
    return {fold(name): collation for name, collation in collations.items()}


def read_index_definition(sql: str) -> IndexDefinition:
    """Scan one CREATE INDEX as ``sqlite_schema`` keeps it. Raises UnreadableDefinition."""
    tokens = list(tokens_of(sql))
    opening = next((i for i, token in enumerate(tokens) if token.text == "("), None)
    if opening is None:
        raise UnreadableDefinition("there is no list of terms")
    closing = matching(tokens, opening)
    terms = tuple(index_term(sql, item) for item in split_at_commas(tokens[opening + 1 : closing]))
    rest = tokens[closing + 1 :]
    if not rest:
        return IndexDefinition(terms, None)
    if rest[0].keyword != "WHERE" or len(rest) < 2:
        raise UnreadableDefinition(f"unexpected {rest[0].text!r} after the terms")
    return IndexDefinition(terms, text_of(sql, rest[1:]))


def index_term(sql: str, tokens: list[Token]) -> str:
    if len(tokens) > 1 and tokens[-1].keyword in {"ASC", "DESC"}:
        tokens = tokens[:-1]
    if len(tokens) > 2 and tokens[-2].keyword == "COLLATE":
        tokens = tokens[:-2]
    return text_of(sql, tokens)


@dataclass
class Item:
    """One column or table constraint being read from left to right."""

    sql: str
    tokens: list[Token]
    definition: TableDefinition
    place: int = 0
    column: str | None = None
    constraint_name: str | None = None

    def read(self) -> None:
        if self.tokens[0].keyword not in TABLE_CONSTRAINTS:
            self.column = self.take().name
            while self.place < len(self.tokens) and self.peek() not in COLUMN_CONSTRAINTS:
                self.skip()  # the type
        while self.place < len(self.tokens):
            self.read_constraint()

    def read_constraint(self) -> None:
        keyword = self.take().keyword
        reader = {
            "CONSTRAINT": self.read_name,
            "PRIMARY": self.read_primary_key,
            "UNIQUE": self.read_unique,
            "CHECK": self.read_check,
            "COLLATE": self.read_collation,
            "REFERENCES": self.read_reference,
            "AS": self.read_generated,
            "DEFAULT": self.read_default,
            "ON": self.read_conflict,
            "DEFERRABLE": self.read_deferral,
            "INITIALLY": self.read_initially,
        }.get(keyword)
        if reader is not None:
            reader()
        elif keyword == "FOREIGN":
            self.skip()  # KEY
            self.skip()  # its columns
        elif keyword not in WITHOUT_MEANING_HERE:
            raise UnreadableDefinition(f"unexpected {self.tokens[self.place - 1].text!r}")

    def read_name(self) -> None:
        self.constraint_name = self.take().name

    def read_primary_key(self) -> None:
        self.skip()  # KEY
        if self.peek() == "(":
            self.skip()
        self.definition.primary_key_name = self.taken_name()

    def read_unique(self) -> None:
        columns: tuple[str, ...] = (self.column,) if self.column is not None else ()
        if self.peek() == "(":
            columns = tuple(part[0].name for part in split_at_commas(self.group()))
        self.definition.uniques.append(UniqueDefinition(self.taken_name(), columns))

    def read_check(self) -> None:
        condition = text_of(self.sql, self.group())
        self.definition.checks.append(CheckDefinition(self.taken_name(), condition, self.column))

    def read_collation(self) -> None:
        name = self.take().name.upper()
        if self.column is not None:
            self.definition.collations[self.column] = name

    def read_generated(self) -> None:
        if self.column is not None:
            self.definition.generated[self.column] = text_of(self.sql, self.group())

    def read_default(self) -> None:
        while self.peek() in {"+", "-"}:
            self.skip()
        self.skip()  # one literal, one name or one group: the pragma has its text

    def read_conflict(self) -> None:
        self.skip()  # CONFLICT
        self.definition.conflicts.append((self.column, f"ON CONFLICT {self.take().keyword}"))

    def read_reference(self) -> None:
        self.skip()  # the parent
        if self.peek() == "(":
            self.skip()
        while self.peek() in {"ON", "MATCH"}:
            self.skip()
            if self.peek() in {"DELETE", "UPDATE"}:
                self.skip()
                self.skip_words(2 if self.peek() in {"SET", "NO"} else 1)
            else:
                self.skip()  # MATCH name, INSERT action of old texts
        self.definition.foreign_keys.append(Deferral(self.taken_name()))

    def read_deferral(self) -> None:
        negated = self.place >= 2 and self.tokens[self.place - 2].keyword == "NOT"
        if self.definition.foreign_keys and not negated:
            last = self.definition.foreign_keys[-1]
            self.definition.foreign_keys[-1] = Deferral(last.name, True, last.initially_deferred)

    def read_initially(self) -> None:
        deferred = self.take().keyword == "DEFERRED"
        if self.definition.foreign_keys:
            last = self.definition.foreign_keys[-1]
            self.definition.foreign_keys[-1] = Deferral(last.name, last.deferrable, deferred and last.deferrable)

    def taken_name(self) -> str | None:
        name, self.constraint_name = self.constraint_name, None
        return name

    def peek(self) -> str:
        """The keyword or sign that comes next; '' for anything else and at the end."""
        if self.place >= len(self.tokens):
            return ""
        token = self.tokens[self.place]
        return token.keyword or (token.text if token.kind == "sign" else "")

    def take(self) -> Token:
        if self.place >= len(self.tokens):
            raise UnreadableDefinition("the text ends too early")
        self.place += 1
        return self.tokens[self.place - 1]

    def skip(self) -> None:
        """One token, or everything between parentheses."""
        if self.peek() == "(":
            self.group()
        else:
            self.take()

    def skip_words(self, count: int) -> None:
        for _ in range(count):
            self.skip()

    def group(self) -> list[Token]:
        """The tokens between the parentheses that come next."""
        if self.peek() != "(":
            raise UnreadableDefinition("a parenthesis is missing")
        closing = matching(self.tokens, self.place)
        inside = self.tokens[self.place + 1 : closing]
        self.place = closing + 1
        return inside
