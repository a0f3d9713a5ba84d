"""The binary COPY files that the physical limit reads.

Invariant: they come from a database that was compared with the source before, and are complete or absent.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import asyncpg

from benchmarks.correctness import find_differences
from benchmarks.generate import Dataset
from benchmarks.rivals import EXACT_TOLERANCE, Job, plain_python
from benchmarks.schema import TABLES, TypeSet
from benchmarks.server import Server, drop_database, execute, recreate_database

_DATABASE = "etl_benchmark_ready"


def make_ready_files(server: Server, dataset: Dataset, types: TypeSet) -> Path:
    """The folder with one ``<table>.bin`` per table, made unless it is there already.

    The server must be able to read the folder: it runs on this machine, as whichever user.
    """
    folder = dataset.path.with_suffix(f".{types.value}.ready")
    if folder.exists():
        return folder
    dsn = recreate_database(server, _DATABASE)
    execute(dsn, *(table.postgres_ddl(types) for table in TABLES))
    plain_python.load(Job(dataset.path, dsn, Path(), types))
    if differences := find_differences(dataset, dsn, EXACT_TOLERANCE):
        raise RuntimeError(f"the reference load went wrong: {differences[0]}")
    unfinished = folder.with_suffix(f".{os.getpid()}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    asyncio.run(_write_files(dsn, unfinished))
    unfinished.rename(folder)
    drop_database(server, _DATABASE)
    return folder


async def _write_files(dsn: str, folder: Path) -> None:
    connection = await asyncpg.connect(dsn)
    for table in TABLES:
        await connection.copy_from_table(table.name, output=folder / f"{table.name}.bin", format="binary")
    await connection.close()
