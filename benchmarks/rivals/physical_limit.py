"""The physical limit: the server alone, reading ready binary files into the same tables, one after the other.

Invariant: the files were written by COPY TO from a database whose contents had been compared with the source.
"""

from __future__ import annotations

import asyncio

import asyncpg

from benchmarks.rivals import Job, Rival, worker_command, worker_phases
from benchmarks.rivals.worker import main
from benchmarks.schema import TABLES, TypeSet


def load(job: Job) -> None:
    """One server-side COPY per table; the server must be allowed to read the files."""
    assert job.ready_files is not None
    folder = job.ready_files

    async def copy() -> None:
        connection = await asyncpg.connect(job.dsn)
        for table in TABLES:
            file = folder / f"{table.name}.bin"
            await connection.execute(f"copy {table.name} from '{file}' (format binary)")
        await connection.close()

    asyncio.run(copy())


def _limit(types: TypeSet, name: str) -> Rival:
    return Rival(
        name=name,
        title=f"server-side COPY of ready binary files, {types} types",
        types=types,
        version=lambda: "the server itself",
        command=worker_command("physical_limit"),
        phases=worker_phases,
        needs_ready_files=True,
    )


RIVALS = (_limit(TypeSet.CONTRACT, "limit"), _limit(TypeSet.DOUBLE_TEXT, "limit-double-text"))

if __name__ == "__main__":
    main(load)
