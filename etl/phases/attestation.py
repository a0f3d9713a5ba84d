"""``etl verify TARGET --against report.json``: whether the target still is what a report says, without the source.

Invariant: what is compared is what the report says of each table's rows after they were verified: their number, their
checksum (docs/checksums.md), their columns and types. A report that does not say so proves nothing, and is refused.
Keys, constraints, indexes, defaults, sequences and views are compared with what the run promised of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from etl.errors import ExitStatus, UsageError
from etl.load.address import parse_address
from etl.load.connect import guarded, refusals_named
from etl.load.session import Session, open_session
from etl.model import (
    Affinity,
    ColumnPlan,
    Difference,
    PgType,
    Plan,
    Proof,
    SourceColumn,
    SourceTable,
    TablePlan,
    Verdict,
    VerifiedTable,
)
from etl.object_record import views_of, with_objects
from etl.options import Options
from etl.phases.clock import Clock
from etl.plan_record import hash_of
from etl.progress import Progress
from etl.report import FORMAT, Report
from etl.tasks import together
from etl.verify.schema.kept_definitions import Kept, compare_kept, with_validated
from etl.verify.schema.objects import compare_objects, read_columns
from etl.verify.target_checksum import checksum_table

_NO_OBJECTS = "the report was written by an etl that kept no objects: keys, constraints and indexes were not compared"
_NO_DEFINITIONS = (
    "the report was written by an etl that kept no definitions of tables that it filled: of these, rows and sequences"
    " alone were compared"
)
_HINT = "name what --report FILE.json of `etl migrate` or `etl verify` has written"
Types = Mapping[str, Mapping[str, PgType]]  # table → column → type, as the target has them


@dataclass(frozen=True, slots=True)
class _Attested:
    """What a report says of one table: its columns (target name → type) in their order, its rows, their checksum."""

    source_name: str
    name: str
    columns: Mapping[str, str]
    source_names: tuple[str, ...]  # of the columns
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Attestation:
    """A report, as far as it tells what the target held."""

    source: str
    schema: str
    tables: tuple[_Attested, ...]
    objects: Mapping[str, Any] | None  # as `objects_of` wrote them; None in the report of an older etl
    definitions: Kept | None  # of the filled tables; None in the report of an older etl


async def verify_against(options: Options, progress: Progress) -> Report:
    """Compare the target as it is now with the report ``options.against``; nothing is written anywhere."""
    if options.against is None:
        raise ValueError("no report to compare with")
    attestation = read_attestation(options.against)
    clock = Clock(progress)
    address = parse_address(options.target)
    async with open_session(address, options.jobs) as session:
        found = await read_columns(session.control, attestation.schema, [table.name for table in attestation.tables])
        plan = Plan(attestation.schema, tuple(_plan_of(table, found) for table in attestation.tables))
        report = Report("verify", attestation.source, str(address), plan, ExitStatus.DONE, against=str(options.against))
        absent = [one for table in attestation.tables for one in _absent(table, found)]
        if attestation.objects is None:
            report = replace(report, notes=(_NO_OBJECTS,))
        else:
            absent += await _object_differences(session, plan, attestation, attestation.objects, absent)
            if attestation.definitions is None:
                report = replace(report, notes=(_NO_DEFINITIONS,))
        unreadable = {one.table for one in absent if one.actual == "nothing"}
        pairs = zip(attestation.tables, plan.tables, strict=True)
        with clock.phase("verify", sum(table.rows for table in attestation.tables)):
            verified = await together(
                *(
                    _verify(session, table, table_plan, plan.schema, progress)
                    for table, table_plan in pairs
                    if table.source_name not in unreadable
                )
            )
    different = bool(absent) or any(table.verdict is Verdict.DIFFERENT for table in verified)
    return replace(
        report,
        verified=tuple(verified),
        differences=tuple(absent),
        status=ExitStatus.DIFFERENT if different else ExitStatus.DONE,
        phases=clock.seconds,
        server_version=session.server_version,
    )


def read_attestation(path: Path) -> Attestation:
    """What the JSON report at ``path`` attests; raises UsageError for a file that attests nothing."""
    content = _read(path)
    if content.get("command") == "move":
        content = content.get("transfer") or {}
    if content.get("format") != FORMAT:
        raise UsageError(f"--against {path}: is no report of etl, or of another format than {FORMAT}", _HINT)
    try:
        plan = content["plan"]
        if hash_of(plan) != plan["hash"]:
            raise UsageError(f"--against {path}: the plan in it is not the one that was written", "take the original")
        if content["verdict"] != Verdict.EQUAL.value:
            raise UsageError(
                f"--against {path}: the verdict of that run was {content['verdict']!r}, so it proves nothing",
                "take the report of a run with --verify full that found both sides equal",
            )
        if plan["columns"].keys() != {table["name"] for table in content["tables"]}:
            raise UsageError(f"--against {path}: its tables are not those of its plan", "take the original")
        tables = tuple(_attested(path, table, plan["columns"][table["name"]]) for table in content["tables"])
        return Attestation(content["source"], plan["schema"], tables, plan.get("objects"), _definitions(plan, tables))
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"--against {path}: the report was written by an older etl, or is not whole", _HINT) from error


def _definitions(plan: Mapping[str, Any], tables: Sequence[_Attested]) -> Kept | None:
    """What the report has of the tables that were filled; None where one is missing."""
    kept: Kept = plan.get("definitions", {})
    filled = (table.source_name for table in tables if table.source_name in plan.get("filled", ()))
    return kept if all(name in kept for name in filled) else None


def _read(path: Path) -> dict[str, Any]:
    import orjson

    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--against {path}: cannot be read: {error.strerror}", _HINT) from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"--against {path}: is no JSON", _HINT) from error
    return content if isinstance(content, dict) else {}


def _attested(path: Path, table: Mapping[str, Any], columns: Mapping[str, Mapping[str, str]]) -> _Attested:
    if table["target_checksum"] is None:
        raise UsageError(
            f"--against {path}: it has no checksum of {table['name']} (--verify {table['proof']} computes none)",
            "etl verify SOURCE TARGET --report FILE.json writes a report with checksums",
        )
    return _Attested(
        source_name=table["name"],
        name=table["target_name"],
        columns={column["target"]: column["type"] for column in columns.values()},
        source_names=tuple(columns),
        rows=table["loaded_rows"],
        checksum=table["target_checksum"],
    )


def _plan_of(table: _Attested, found: Types) -> TablePlan:
    sources = tuple(SourceColumn(name, "", Affinity.BLOB) for name in table.source_names)
    types = found.get(table.name, {})
    columns = tuple(
        ColumnPlan(source, name, types.get(name, PgType("text")))
        for source, name in zip(sources, table.columns, strict=True)
    )
    return TablePlan(SourceTable(table.source_name, sources, rows_estimate=table.rows), table.name, columns)


def _absent(table: _Attested, found: Types) -> list[Difference]:
    """The table, or what of its columns is not there or of another type."""

    def differs(name: str, expected: str, actual: str, column: str | None = None) -> Difference:
        return Difference(table.source_name, "object", name, column=column, expected=expected, actual=actual)

    if table.name not in found:
        return [differs(f"table {table.name}", "a table", "nothing")]
    types = found[table.name]
    pairs = zip(table.columns.items(), table.source_names, strict=True)
    return [
        differs(name, kind, str(types[name]) if name in types else "nothing", source)
        for (name, kind), source in pairs
        if name not in types or str(types[name]) != kind
    ]


async def _object_differences(
    session: Session, plan: Plan, attestation: Attestation, objects: Mapping[str, Any], known: Sequence[Difference]
) -> list[Difference]:
    """What is not as it was promised, but for what is ``known`` already."""
    told = {(one.table, one.key) for one in known}
    gone = {one.table for one in known if one.expected == "a table"}
    tables = (table for table in plan.tables if table.source.name not in gone)
    promised = replace(
        plan,
        tables=tuple(with_objects(table, objects["tables"][table.source.name]) for table in tables),
        views=views_of(objects),
    )
    async with session.connections.borrow() as connection:
        promised = await guarded(connection, with_validated(connection, promised))
        with refusals_named(f"the objects of {plan.schema}"):
            found = await guarded(connection, compare_objects(connection, promised, plan.schema))
        if attestation.definitions is not None:
            found += await guarded(connection, compare_kept(connection, promised, attestation.definitions))
    return [one for one in found if (one.table, one.key.removeprefix("column ")) not in told]


async def _verify(
    session: Session, table: _Attested, plan: TablePlan, schema: str, progress: Progress
) -> VerifiedTable:
    """The rows of one table against what is attested."""
    started = time.perf_counter()
    async with session.connections.borrow() as connection:
        progress.start_table(table.source_name, table.rows)
        work = checksum_table(
            connection, plan, schema, lambda rows, size: progress.advance(table.source_name, rows, size)
        )
        with refusals_named(f"{schema}.{table.name}"):
            rows, checksum = await guarded(connection, work)
        progress.finish_table(table.source_name)
    equal = (rows, checksum) == (table.rows, table.checksum)
    difference = Difference(
        table.source_name,
        "different",
        "all rows",
        expected=f"{table.rows} rows, checksum {table.checksum}",
        actual=f"{rows} rows, checksum {checksum}",
    )
    return VerifiedTable(
        name=table.source_name,
        target_name=table.name,
        source_rows=table.rows,
        target_rows=rows,
        source_checksum=table.checksum,
        target_checksum=checksum,
        verdict=Verdict.EQUAL if equal else Verdict.DIFFERENT,
        seconds=time.perf_counter() - started,
        differences=() if equal else (difference,),
        proof=Proof.CHECKSUM,
    )
