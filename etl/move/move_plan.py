"""What a plan file says, as frozen values; ``plan_file`` reads it.

Nothing about one application stands in the code: paths, commands, tables and checks all come from here. A command is a
tuple of arguments, split when the plan was read, its placeholders not yet filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """Candidates, the first that exists counts: a path, ``$VARIABLE`` or ``yaml:FILE#pointer``."""

    database: tuple[str, ...]
    config: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoppedPlan:
    """Where one sees that the application runs."""

    lock_file: str | None = None
    process: str | None = None  # a glob for an argument of its command line, or for all of it
    socket: str | None = None  # a path, or host:port


@dataclass(frozen=True, slots=True)
class SchemaVersionPlan:
    """Which version the source's schema must have, and the command that brings a copy of it there."""

    table: str
    column: str
    expect: str
    upgrade: Command | None = None


@dataclass(frozen=True, slots=True)
class OwnerPlan:
    """Whose data this is; either may be a candidate as for paths, ``uid`` also ``os``."""

    person: str | None = None
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    table: str
    where: str  # SQL that SQLite and PostgreSQL both understand
    set: Mapping[str, str]  # column → value, with placeholders


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One of the files that a config is split into."""

    path: str
    mode: int
    owner: str | None = None  # account that the file is given to; needs the rights to do so


@dataclass(frozen=True, slots=True)
class SplitPlan:
    system: LayerPlan
    secrets: LayerPlan
    user: LayerPlan | None
    user_keys: tuple[str, ...] = ()  # dotted; each with all that is under it
    secret_env: tuple[str, ...] = ()
    secret_keys: tuple[str, ...] = ()  # globs, for keys and for names of variables; any case
    secret_values: tuple[str, ...] = ()  # globs
    env_section: str = "env"  # the key under which the variables of .env stand


@dataclass(frozen=True, slots=True)
class DocumentsPlan:
    to: str
    index: Command | None = None


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """One check of the validation; exactly one of ``command``, ``sql`` and ``http`` is given."""

    name: str
    command: Command | None = None
    sql: str | None = None
    http: str | None = None
    start: Command | None = None  # http: the service that has to answer
    status: int = 200
    at_least: float | None = None
    at_most: float | None = None
    equals: str | None = None
    timeout_s: float = 30.0
    skip_if_source_empty: str | None = None  # a table of the source


@dataclass(frozen=True, slots=True)
class MovePlan:
    """The whole plan. Relative paths are relative to ``folder``, where the plan file stands."""

    path: Path
    source: SourcePlan
    target_database: str | None = None
    service_user: str | None = None
    stopped: StoppedPlan = field(default_factory=StoppedPlan)
    schema_version: SchemaVersionPlan | None = None
    target_schema: Command | None = None
    keep: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    owner: OwnerPlan = field(default_factory=OwnerPlan)
    backfills: tuple[BackfillPlan, ...] = ()
    split: SplitPlan | None = None
    documents: DocumentsPlan | None = None
    checks: tuple[CheckPlan, ...] = ()
    rollback: str | None = None
    migrate: Mapping[str, Any] = field(default_factory=dict)  # flags of `etl migrate`, as etl.toml has them
    state: str | None = None  # the state folder

    @property
    def folder(self) -> Path:
        return self.path.parent
