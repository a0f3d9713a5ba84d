"""Turns what stands on the command line into what a run is asked: paths, the target, sizes.

Invariant: nothing is created and no connection is made here; what is wrong with the command is said before anything
has happened.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from etl.errors import EtlError, SourceError, UsageError
from etl.options import Options, default_jobs
from etl.redaction import mask_dsn
from etl.shell.units import parse_bytes

_SCHEMES = ("postgresql://", "postgres://", "postgresql+")
_PG_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE", "PGPORT", "PGUSER")
_PAGE_BYTES = (16 << 10, 64 << 20)
_NAME_BYTES = 63  # of any name in PostgreSQL


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """The DSN ('' leaves it to libpq's PG* variables) and where it came from: TARGET, DATABASE_URL, PG*, etl.toml.

    Of ``--embedded`` also what stops its server when the process has to leave at once.
    """

    dsn: str
    origin: str
    leave: Callable[[], None] | None = None

    @property
    def shown(self) -> str:
        return mask_dsn(self.dsn) if self.dsn else "the server and database of the PG* variables"


def find_source(text: str) -> Path:
    """The SQLite file that SOURCE names; raises SourceError when there is no such file. Never creates one."""
    given = text
    for prefix in ("sqlite+aiosqlite:///", "sqlite:///"):
        if text.startswith(prefix):
            given = unquote(text.removeprefix(prefix).partition("?")[0])
    if not given:
        raise SourceError("SOURCE: the path is empty", "give the path of a SQLite file, or sqlite:///path")
    if "://" in given:
        scheme = given.partition("://")[0]
        raise UsageError(f"SOURCE: {scheme}:// is not SQLite", "give the path of a SQLite file, or sqlite:///path")
    path = Path(given).expanduser()
    try:
        if path.is_dir():
            raise SourceError(f"{path}: this is a folder", "give the path of the SQLite file in it")
        if not path.exists():
            raise SourceError(f"{path}: no such file", _similar(path))
        if not path.is_file():  # to open a pipe would wait for its writer, for ever
            raise SourceError(f"{path}: this is no regular file", "SQLite needs a file; write it to one first")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}", "check the path and its permissions") from error
    return path


def find_target(
    given: str | None, from_command_line: bool, environment: Mapping[str, str] = os.environ
) -> TargetChoice:
    """TARGET, else DATABASE_URL, else the PG* variables; raises UsageError when there is none, or it is no DSN."""
    if given is not None:
        return TargetChoice(_checked(given, "TARGET"), "TARGET" if from_command_line else "etl.toml")
    if url := environment.get("DATABASE_URL"):
        return TargetChoice(_checked(url, "DATABASE_URL"), "DATABASE_URL")
    if any(environment.get(name) for name in _PG_VARIABLES):
        return TargetChoice("", "PG*")
    raise UsageError(
        "no target: neither TARGET, DATABASE_URL nor PGHOST, PGDATABASE and the like are given",
        "etl migrate SOURCE postgresql://user@host/database, or --embedded DIR for a PostgreSQL in a folder",
    )


def make_options(source: Path, target: str, flags: Mapping[str, Any]) -> Options:
    """The frozen options of a run from click's values; flags that a command does not have keep their defaults."""
    known = {name: flags[name] for name in Options.__dataclass_fields__ if name in flags and flags[name] is not None}
    renamed = {"casts": tuple(flags.get("cast") or ()), "grants": tuple(flags.get("grant") or ())}
    for name in ("tables", "exclude", "empty", "keep", "ignore_columns"):
        known[name] = tuple(known.get(name, ()))
    for name in ("rejects", "coercion_log", "differences", "plan", "against"):
        if name in known:
            known[name] = Path(known[name]).expanduser()
    known.setdefault("jobs", default_jobs())
    return Options(**{**known, **renamed, "source": source, "target": target})


def read_page_bytes(text: str) -> int:
    """Bytes of ``--page-bytes``; raises ValueError when it is no size or out of the sensible range."""
    number = parse_bytes(text)
    if not _PAGE_BYTES[0] <= number <= _PAGE_BYTES[1]:
        raise ValueError(f"{text!r} is not between 16kB and 64MB")
    return number


def read_schema_name(text: str) -> str:
    """The name of ``--target-schema``; raises ValueError when no schema of a user can bear it."""
    if not text:
        raise ValueError("the name is empty")
    if not is_encodable(text) or len(text.encode()) > _NAME_BYTES:
        raise ValueError(f"{text!r} is not UTF-8 of at most {_NAME_BYTES} bytes")
    if text.startswith("pg_") or text == "information_schema":
        raise ValueError(f"{text!r} belongs to the server")
    return text


def is_encodable(text: str) -> bool:
    """Whether the text of an argument was UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_reports(paths: tuple[str, ...], formats: tuple[str, ...] = (".json",)) -> tuple[Path, ...]:
    """The report files; raises EtlError now for what would else be found out after hours."""
    found = tuple(Path(path).expanduser() for path in paths)
    for path in found:
        if path.suffix.lower() not in formats:
            names = " or ".join(f"FILE{suffix}" for suffix in formats)
            raise UsageError(f"--report {path}: the format of this name is not known", f"name it {names}")
        if not path.parent.is_dir():
            raise EtlError(f"report {path}: the folder {path.parent} does not exist", f"mkdir -p {path.parent}")
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            raise EtlError(f"report {path}: cannot be written", "give --report a path in a writable folder")
    return found


def _checked(dsn: str, origin: str) -> str:
    dsn = dsn.strip()
    if dsn.startswith(_SCHEMES) or ("=" in dsn and "://" not in dsn):
        return dsn
    what = f"{dsn.partition('://')[0]}://" if "://" in dsn else "this"
    raise UsageError(
        f"{origin}: {what} is not a PostgreSQL DSN",
        "postgresql://user@host:5432/database, or 'host=… dbname=… user=…'",
    )


def _similar(path: Path) -> str:
    """A hint that names the file that was probably meant."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return f"the folder {path.parent} cannot be read; check the path"
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"did you mean {path.parent / near[0]}?" if near else "check the path; SOURCE is never created"
