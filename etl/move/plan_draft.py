"""``etl move --init``: a commented plan for the folder it stands in, filled with what is found there.

What was found is written plainly, what is a guess stands behind a comment sign; nothing is run and nothing is read but
names, headers and the tables of the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from etl.errors import EtlError, UsageError
from etl.move.atomic_files import write_file
from etl.phases.enquiry import open_source, quoted

MAGIC = b"SQLite format 3\0"
CONFIG_NAMES = ("config.yml", "config.yaml", "settings.yml", "settings.yaml", "app.yml", "app.yaml")
DOCUMENT_NAMES = ("docs", "documents", "doc", "notes")
VERSION_TABLES = {"schema_migrations": "version", "alembic_version": "version_num", "schema_version": "version"}
OWNER_COLUMN = re.compile(r"owner|person|user_?(?:id|name)", re.IGNORECASE)
SECRET_NAME = re.compile(r"key|token|password|secret", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Surmise:
    """What the folder seems to hold."""

    name: str
    database: str | None
    config: str | None
    env: str | None
    documents: str | None
    version: tuple[str, str, str] | None  # table, column, last version
    owners: tuple[tuple[str, str], ...]  # table, column
    variables: tuple[str, ...]  # of .env, those that look like secrets
    sections: tuple[str, ...]  # top-level keys of the config


def write_draft(path: Path) -> Surmise:
    """Write the plan; raises UsageError when there is one already."""
    if path.exists():
        raise UsageError(f"{path}: is there already", "give --init another name, or take the old plan away")
    surmise = look_around(path.absolute().parent)
    write_file(path, draft(surmise).encode(), 0o644)
    return surmise


def look_around(folder: Path) -> Surmise:
    """What could be the parts of an application here; raises UsageError for no folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", "make it, or give another path")
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    database = max((path for path in files if _is_database(path)), key=lambda path: path.stat().st_size, default=None)
    config = next((folder / name for name in CONFIG_NAMES if (folder / name).is_file()), None)
    documents = next((name for name in DOCUMENT_NAMES if (folder / name).is_dir()), None)
    env = folder / ".env"
    version, owners = _tables(database)
    return Surmise(
        name=re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "app",
        database=None if database is None else f"./{database.name}",
        config=None if config is None else f"./{config.name}",
        env="./.env" if env.is_file() else None,
        documents=None if documents is None else f"./{documents}",
        version=version,
        owners=owners,
        variables=tuple(name for name in _names(env, r"(?:export\s+)?(\w+)=") if SECRET_NAME.search(name)),
        sections=tuple(_names(config, r"([A-Za-z_][\w-]*):")),
    )


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _tables(database: Path | None) -> tuple[tuple[str, str, str] | None, tuple[tuple[str, str], ...]]:
    """The table of versions with its last one, and the columns that seem to name an owner."""
    if database is None:
        return None, ()
    try:
        with open_source(database) as connection:
            names = [row[0] for row in connection.execute("select name from sqlite_schema where type = 'table'")]
            columns = [
                (table, row[1]) for table in names for row in connection.execute(f"pragma table_xinfo({quoted(table)})")
            ]
            for table, column in VERSION_TABLES.items():
                if (table, column) in columns:
                    (last,) = connection.execute(f"select max({column}) from {table}").fetchone()
                    return (table, column, str(last)), tuple(
                        place for place in columns if OWNER_COLUMN.search(place[1])
                    )
    except EtlError:
        return None, ()
    return None, tuple(place for place in columns if OWNER_COLUMN.search(place[1]))


def _names(path: Path | None, pattern: str) -> list[str]:
    if path is None or not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return list(dict.fromkeys(match[1] for line in lines if (match := re.match(pattern, line))))


def draft(surmise: Surmise) -> str:
    """The plan as text; it can be read as it is."""
    parts = (_head(), _source(surmise), _target(surmise), _owner(surmise), _split(surmise), _rest(surmise))
    return "\n".join(line for part in parts for line in [*part, ""])


def _head() -> list[str]:
    return [
        "# The plan of a move from one user's SQLite to PostgreSQL for many: etl move PLAN.toml --dry-run looks and",
        "# changes nothing; docs/move.md explains every key. Lines behind a # are suggestions.",
    ]


def _source(surmise: Surmise) -> list[str]:
    def line(name: str, value: str | None, example: str) -> str:
        return f"{name} = {_text(value)}" if value else f"# {name} = {_text(example)}   # none was found here"

    return [
        "[source]   # each: a path, $VARIABLE, yaml:FILE#pointer, or a list of which the first that exists counts",
        f"database = {_text(surmise.database or './app.db')}"
        + ("" if surmise.database else "   # none was found here"),
        line("config", surmise.config, "./config.yml"),
        line("env", surmise.env, "./.env"),
        line("documents", surmise.documents, "~/.app/docs"),
    ]


def _target(surmise: Surmise) -> list[str]:
    lines = ["[target]", f"database = {_text(f'postgresql://{surmise.name}@/{surmise.name}')}", "", "[preflight]"]
    lines.append(f'# stopped = {{ lock_file = "./{surmise.name}.pid", process = "{surmise.name}*" }}')
    if surmise.version is not None:
        table, column, last = surmise.version
        lines.append(f"schema_version = {{ table = {_text(table)}, column = {_text(column)}, expect = {_text(last)} }}")
        lines.append(f'# … , upgrade = "{surmise.name} migrate --db {{database}}"   # run on a copy when it is older')
    lines.append(f'# target_schema = "{surmise.name} migrate --db {{target}}"   # the application makes its own tables')
    lines += ["", "[tables]"]
    lines.append(
        f"{'keep' if surmise.version else '# keep'} = [{_text((surmise.version or ('schema_migrations',))[0])}]"
    )
    return lines


def _owner(surmise: Surmise) -> list[str]:
    lines = [
        "[owner]",
        'person = "os"   # the account that owns the database; or a name, or yaml:FILE#pointer',
        'uid = "os"',
    ]
    for table, column in surmise.owners[:5]:
        lines += ["", "# [[backfill]]", f"# table = {_text(table)}", f'# where = "{column} is null"']
        lines.append(f'# set = {{ {column} = "{{person}}" }}')
    return lines


def _split(surmise: Surmise) -> list[str]:
    if surmise.config is None and surmise.env is None:
        return ["# [split_config]   # neither a config nor a .env was found here"]
    sections = ", ".join(_text(section) for section in surmise.sections)
    env = ", ".join(_text(name) for name in surmise.variables)
    return [
        "[split_config]",
        f'system = {{ path = "/etc/{surmise.name}/config.yml", mode = "0644" }}',
        f'secrets = {{ path = "/etc/{surmise.name}/secrets.yml", mode = "0600", env = [{env}] }}',
        f'user = {{ path = "~/.config/{surmise.name}/config.yml", keys = [] }}   # of: {sections or "no section"}',
        'secret_keys = ["*_key", "*_token", "*_password", "*_secret", "token", "password", "api_key"]',
        'secret_values = ["sk-*", "xoxb-*"]',
    ]


def _rest(surmise: Surmise) -> list[str]:
    sign = "" if surmise.documents else "# "
    return [
        f"{sign}[documents]",
        f'{sign}to = "/usr/local/share/{surmise.name}/docs"',
        f'# index = "{surmise.name} docs index {{to}}"',
        "",
        "# [[validate]]",
        '# name = "it starts"',
        f'# command = "{surmise.name} --check --config {{system_config}}"',
        "",
        "[rollback]",
        'text = """stop the new service; start the application as before, with {database}"""',
    ]


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def found_lines(surmise: Surmise) -> Iterable[str]:
    """What was found, for a person."""
    for name in ("database", "config", "env", "documents"):
        yield f"{name:<9}  {getattr(surmise, name) or 'none found'}"
