"""ADBC from end to end: adbc-driver-sqlite's record batches into adbc-driver-postgresql's bulk ingestion.

Invariant: nothing is converted in between: dates arrive as text and booleans as bigint, as the drivers have it.
"""

from __future__ import annotations

import importlib.metadata

from benchmarks.rivals import Job, MissingRivalError, Rival, worker_command, worker_phases
from benchmarks.rivals.worker import main
from benchmarks.schema import TABLES, TypeSet

_BATCH_ROWS = 16_384  # the default of 1,024 is slower


def version() -> str:
    """The drivers' version; raises MissingRivalError without them."""
    try:
        return f"ADBC {importlib.metadata.version('adbc-driver-postgresql')}"
    except importlib.metadata.PackageNotFoundError as missing:
        raise MissingRivalError("adbc-driver-postgresql (extra `bench`)") from missing


def load(job: Job) -> None:
    """Appends each table to the one that stands ready, in one transaction."""
    import adbc_driver_postgresql.dbapi  # type: ignore[import-untyped]
    import adbc_driver_sqlite.dbapi

    with (
        adbc_driver_sqlite.dbapi.connect(f"file:{job.source}?mode=ro") as source,
        adbc_driver_postgresql.dbapi.connect(job.dsn) as target,
    ):
        for table in TABLES:
            with source.cursor() as reader, target.cursor() as writer:
                reader.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _BATCH_ROWS})
                reader.execute(f"select * from {table.name}")
                writer.adbc_ingest(table.name, reader.fetch_record_batch(), mode="append")
        target.commit()


RIVALS = (
    Rival(
        name="adbc",
        title="ADBC sqlite → ADBC postgresql, raw types",
        types=TypeSet.RAW,
        version=version,
        command=worker_command("adbc"),
        phases=worker_phases,
        remark="dates and times stay text, booleans bigint",
    ),
)

if __name__ == "__main__":
    main(load)
