"""What the user asked for, as one frozen value a command."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


def default_jobs() -> int:
    """Tables at once: as many as there are cores, at most four (beyond it the server is the limit)."""
    return max(1, min(4, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Backfill:
    """What the NULLs of one source column become on the way, as text of its type: the owner of rows that had none."""

    table: str
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Options:
    """``etl migrate`` and ``etl verify``; fields are named as the flags are."""

    source: Path
    target: str  # DSN; may be '' when the PG* variables are to decide
    target_schema: str = "public"
    tables: tuple[str, ...] = ()  # globs; empty means all
    exclude: tuple[str, ...] = ()
    casts: tuple[str, ...] = ()  # table.column=type, globs allowed
    jobs: int = 2
    page_bytes: int = 2 << 20
    mode: str = "auto"  # auto | create | fill | replace
    force: bool = False  # empty the target tables that hold rows
    empty: tuple[str, ...] = ()  # globs: of these alone, as force does of all
    keep: tuple[str, ...] = ()  # globs: target tables that are left as they are
    ignore_columns: tuple[str, ...] = ()  # table.column globs: source columns without a place in the target
    lowercase: bool = False  # names as PostgreSQL reads them without quotes
    text_collation: str = "C"  # C | db: of text in keys and indexes
    nocase: str = "lower"  # lower | citext | icu: what becomes of COLLATE NOCASE
    staging_schema: str | None = None  # prepared by a DBA; None makes one
    owner: str | None = None  # of what is published
    grants: tuple[str, ...] = ()  # ROLE[=PRIVILEGES]
    per_table: bool = False  # fill: a transaction a table
    rebuild_dependents: bool = False  # replace: foreign keys, views and triggers of others are made again
    dry_run: bool = False
    resume: bool = False  # go on after a run that ended in the middle
    no_keep: bool = False  # drop the staging schema even where a finished table is worth resuming
    schema_only: bool = False  # everything but the rows
    no_indexes: bool = False  # but those that keep values apart
    verify: str = "full"  # full | digest | count | none
    accept_untranslated: bool = False
    timezone: str = "UTC"
    ambiguous: str | None = None  # earliest | latest
    zero_dates: str = "refuse"  # refuse | null
    empty_as_null: bool = False
    nul: str = "refuse"  # refuse | strip
    encoding: str | None = None  # latin1
    truncate: bool = False
    integers: str = "bigint"  # bigint | fit
    sample: int | None = None  # inspect: so many rows of each table
    on_error: str = "stop"  # stop | reject
    orphans: str | None = None  # stop | not-valid | reject; None follows on_error
    rejects: Path = Path("rejects")  # the folder of the reject files
    coercion_log: Path | None = None  # every coerced value, one JSON object a line
    plan: Path | None = None  # verify: the report whose plan is repeated
    differences: Path | None = None  # every difference, one JSON object a line
    against: Path | None = None  # verify: the report that says what the target held
    backfills: tuple[Backfill, ...] = ()  # of `etl move`; no flag sets them

    def may_empty(self, table: str) -> bool:
        """Whether the rows of this table of the target may give way."""
        return self.force or any(fnmatchcase(table, glob) for glob in self.empty)

    @property
    def orphan_rule(self) -> str:
        """What becomes of rows whose foreign key has no parent: stop, not-valid or reject."""
        return self.orphans or self.on_error

    @property
    def rejects_rows(self) -> bool:
        """Whether rows may go to reject files."""
        return "reject" in (self.on_error, self.orphan_rule)
