"""Compares how many rows both sides have, and no value: `--verify count`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import asyncpg

from etl.model import Proof, TablePlan, Verdict, VerifiedTable
from etl.verify.batches import in_thread
from etl.verify.every_difference import OnDifferences
from etl.verify.source import Connection, SourceTableReader
from etl.verify.target import reading_transaction, select_rows


async def count_table(
    source: Connection,
    target: asyncpg.Connection,
    table: TablePlan,
    schema: str,
    on_rows: Callable[[int, int], None],
    *,
    rejected: Sequence[int] = (),
    on_differences: OnDifferences | None = None,
) -> VerifiedTable:
    """As `verify_table`, with COUNTED for its verdict where the counts agree: it says nothing about values.

    ``on_differences`` is never called: which rows are missing, no count tells.
    """
    started = time.perf_counter()
    async with reading_transaction(target):
        query = await select_rows(target, table, schema)
        theirs = int(await target.fetchval(f"select count(*) from ({query}) as asked"))
    ours = await in_thread(SourceTableReader(source, table).count) - len(set(rejected))
    on_rows(ours, 0)
    surplus = {"missing": max(ours - theirs, 0), "extra": max(theirs - ours, 0)}
    return VerifiedTable(
        name=table.source.name,
        target_name=table.name,
        source_rows=ours,
        target_rows=theirs,
        source_checksum=None,
        target_checksum=None,
        verdict=Verdict.COUNTED if ours == theirs else Verdict.DIFFERENT,
        seconds=time.perf_counter() - started,
        difference_counts={kind: count for kind, count in surplus.items() if count},
        proof=Proof.COUNT,
    )
