"""DuckDB with its sqlite and postgres extensions: INSERT INTO postgres SELECT FROM sqlite.

Invariant: its defaults are left alone; casts stand in the SELECT only where the target's type asks for one.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from benchmarks.rivals import Job, MissingRivalError, Rival, worker_command, worker_phases
from benchmarks.rivals.worker import main
from benchmarks.schema import TABLES, Column, Kind, Table, TypeSet

_EXTENSIONS = ("sqlite_scanner", "postgres_scanner")


def version() -> str:
    """DuckDB's version; raises MissingRivalError without the package or its extensions."""
    try:
        found = importlib.metadata.version("duckdb")
        for name in _EXTENSIONS:
            _extension_path(name)
    except (ImportError, importlib.metadata.PackageNotFoundError) as missing:
        raise MissingRivalError("duckdb, duckdb-ext-sqlite and duckdb-ext-postgres (extra `bench`)") from missing
    return f"DuckDB {found}"


def load(job: Job) -> None:
    """All tables, one statement each."""
    import duckdb

    database = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in _EXTENSIONS:
        database.execute(f"load '{_extension_path(name)}'")
    database.execute(f"attach '{job.source}' as source (type sqlite, read_only)")
    database.execute(f"attach '{job.dsn}' as target (type postgres)")
    for table in TABLES:
        database.execute(insert_sql(table, job.types))
    database.close()


def insert_sql(table: Table, types: TypeSet) -> str:
    """The statement that loads one table."""
    terms = ", ".join(_term(column, types) for column in table.columns)
    return f"insert into target.public.{table.name} select {terms} from source.{table.name}"


def _term(column: Column, types: TypeSet) -> str:
    if column.kind is Kind.BOOLEAN:
        return f"cast({column.name} as boolean)"
    if types is TypeSet.CONTRACT and column.kind is Kind.DECIMAL:
        return f"cast({column.name} as decimal(10, 2))"
    if types is TypeSet.CONTRACT and column.kind is Kind.UUID:
        return f"cast({column.name} as uuid)"
    return column.name


def _extension_path(name: str) -> Path:
    package = importlib.util.find_spec("duckdb_ext")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for path in Path(folder).rglob(f"{name}.duckdb_extension"):
            return path
    raise ImportError(f"no {name}.duckdb_extension")


def _duckdb(types: TypeSet, name: str) -> Rival:
    return Rival(
        name=name,
        title=f"DuckDB sqlite → postgres, {types} types",
        types=types,
        version=version,
        command=worker_command("duckdb_ext"),
        phases=worker_phases,
    )


RIVALS = (_duckdb(TypeSet.DOUBLE_TEXT, "duckdb"), _duckdb(TypeSet.CONTRACT, "duckdb-contract"))

if __name__ == "__main__":
    main(load)
