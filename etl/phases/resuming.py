"""Go on after a run that ended in the middle: ``etl migrate … --resume``.

A finished table leaves a note in the journal of its staging schema: which source it was read from, under which plan,
what its values have decided, and what its load has to say. A later run with the same source and the same plan for this
table takes its rows over, and loads the others. All of them are verified before anything is published, kept or not.

Invariant: a table is kept only where the file has not changed by a byte that counts (its fingerprint) and the columns
were planned in the same way; what is not surely the same is loaded again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from etl.counted_nouns import counted
from etl.errors import EtlError
from etl.load.journal import Staging
from etl.load.leftovers import Leftover, drop_leftover, find_leftovers, let_go, take_over
from etl.model import Coercion, ColumnPlan, LoadedTable, Plan, Reading, Span, TablePlan
from etl.phases.run import Run
from etl.transform.schema.types import parse_type

WORTH_A_NOTE_BYTES = 1 << 20
Kept = Mapping[str, tuple[TablePlan, LoadedTable]]  # by target name


def note_of(run: Run, planned: TablePlan, decided: TablePlan, loaded: LoadedTable) -> str | None:
    """What the journal is to know of a finished table; None where it would not be kept anyhow."""
    if run.rejects is not None or run.coercion_log is not None or loaded.source_bytes < WORTH_A_NOTE_BYTES:
        return None  # files beside the target say something of its rows: they go with the run
    columns = [_column_note(column) for column in decided.columns]
    if _with_columns(planned, columns) != decided:
        return None
    return json.dumps(
        {
            "source": fingerprint(run),
            "plan": plan_hash(planned),
            "columns": columns,
            "account": {**asdict(loaded), "spans": {name: [s.low, s.high] for name, s in loaded.spans.items()}},
        }
    )


async def resumed_or_swept(run: Run, plan: Plan) -> tuple[Staging | None, Kept]:
    """The staging schema of an earlier run to go on in, with what is kept of it; other remains of it are dropped.

    What runs of other sources have left behind stays, as long as it is worth resuming.
    """
    control, source = run.session.control, str(run.options.source.resolve())
    leftovers = sorted(await find_leftovers(control), key=lambda leftover: leftover.bytes, reverse=True)
    ours = [leftover for leftover in leftovers if leftover.is_of(source, plan.schema)]
    staging, kept = None, {}
    if run.options.resume and ours:
        kept = kept_tables(run, plan, ours[0])
        if kept:
            staging = await take_over(control, ours[0], kept.keys())
            rows = sum(loaded.row_count for _, loaded in kept.values())
            run.progress.note(
                f"going on in {staging.schema}: {counted(len(kept), 'finished table')} with {counted(rows, 'row')} kept"
            )
    if run.options.resume and staging is None:
        run.progress.note("nothing to resume: no table of an earlier run is of this source and this plan")
    for leftover in leftovers:
        if staging is not None and leftover.schema == staging.schema:
            continue
        if leftover.is_worth_keeping and leftover not in ours:
            await let_go(control, leftover)
            run.progress.advise(f"{leftover.schema} of {leftover.source} stays: --resume there, or etl clean")
            continue
        await drop_leftover(control, leftover)
        run.progress.note(f"dropped {leftover.schema}, which a run that was killed had left behind")
    return staging, kept


def kept_tables(run: Run, plan: Plan, leftover: Leftover) -> dict[str, tuple[TablePlan, LoadedTable]]:
    """The finished tables whose source and plan are the same now."""
    now = fingerprint(run)
    kept = {}
    for table in plan.tables:
        note = leftover.finished.get(table.name)
        if note is not None and (note["source"], note["plan"]) == (now, plan_hash(table)):
            kept[table.name] = (_with_columns(table, note["columns"]), _account(note["account"]))
    return kept


def fingerprint(run: Run) -> str:
    """What changes when anybody writes to the source."""
    return json.dumps(run.snapshot.fingerprint, sort_keys=True)


def plan_hash(table: TablePlan) -> str:
    """Of everything that shapes the rows of a table; its size is only an estimate."""
    shaping = (table.source.name, table.name, table.columns)
    return hashlib.sha256(repr(shaping).encode()).hexdigest()


def _column_note(column: ColumnPlan) -> dict[str, Any]:
    return {
        "type": str(column.type),
        "reading": asdict(column.reading),
        "note": column.note,
        "default": column.default,
        "decided": column.decided,
    }


def _with_columns(planned: TablePlan, notes: list[dict[str, Any]]) -> TablePlan:
    """The table as its values had decided it."""
    if len(notes) != len(planned.columns):
        return planned
    return replace(
        planned,
        columns=tuple(
            column
            if _column_note(column) == note
            else replace(
                column,
                type=_type(column, note["type"]),
                reading=Reading(**note["reading"]),
                note=note["note"],
                default=note["default"],
                decided=note["decided"],
            )
            for column, note in zip(planned.columns, notes, strict=True)
        ),
    )


def _type(column: ColumnPlan, spelled: str) -> Any:
    if str(column.type) == spelled:
        return column.type
    try:
        return parse_type(spelled)
    except EtlError:
        return column.type  # then the table is not what was decided, and is not kept


def _account(note: dict[str, Any]) -> LoadedTable:
    coercions = tuple(
        Coercion(**{**coercion, "samples": tuple(map(tuple, coercion["samples"]))}) for coercion in note["coercions"]
    )
    spans = {name: Span(*span) for name, span in note["spans"].items()}
    return LoadedTable(**{**note, "coercions": coercions, "spans": spans, "warnings": tuple(note["warnings"])})
