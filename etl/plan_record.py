"""The plan as a report keeps it, and a plan as a report says it was: ``etl verify --plan report.json``.

Invariant: what the values of a column were read as, and under which flags, is in the report; nobody has to remember.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from etl.errors import UsageError
from etl.model import ColumnPlan, Difference, PgType, Plan, Reading, TablePlan
from etl.object_record import objects_of
from etl.options import Options

OF_A_RUN = frozenset(  # flags that say how a run goes, not what becomes of the values
    {
        "source",
        "target",
        "jobs",
        "page_bytes",
        "force",
        "empty",
        "per_table",
        "rebuild_dependents",
        "dry_run",
        "verify",
        "plan",
        "sample",
        "resume",
        "no_keep",
    }
    | {"accept_untranslated", "on_error", "orphans", "rejects", "coercion_log", "backfills", "mode", "keep"}
    | {"against", "differences"}
)


def flags_of(options: Options) -> dict[str, Any]:
    """The flags that shape a plan, as far as they are not the defaults."""
    given = {field.name: (getattr(options, field.name), field.default) for field in fields(options)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (value, default) in given.items()
        if name not in OF_A_RUN and value != default
    }


def record_of(plan: Plan, flags: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The plan as plain values: names, types, readings, objects, flags and zone, and a hash of them all.

    ``definitions`` is what the tables that were filled were at the end of the run.
    """

    content = {
        "schema": plan.schema,
        "timezone": plan.timezone,
        "flags": dict(flags),
        "tables": {
            table.source.name: {column.source.name: str(column.type) for column in table.columns}
            for table in plan.tables
        },
        "columns": {
            table.source.name: {column.source.name: _column_record(column) for column in table.columns}
            for table in plan.tables
        },
        "objects": objects_of(plan),
        "definitions": dict(definitions),
        "filled": sorted(table.source.name for table in plan.filled.tables),
        "kept": sorted(plan.kept),
        "views": sorted(view.name for view in plan.views),
        "not_valid": {
            table.source.name: names
            for table in plan.tables
            if (names := [key.name for key in table.foreign_keys if not key.validated])
        },
        "left_out": {
            name: sorted(skipped.name for skipped in plan.untranslated if skipped.table == name)
            for name in sorted({skipped.table for skipped in plan.untranslated if skipped.table})
        },
    }
    return {**content, "hash": hash_of(content)}


def hash_of(content: Mapping[str, Any]) -> str:
    """The hash of a plan as plain values, whatever hash it says it has."""
    import orjson

    hashed = {name: value for name, value in content.items() if name != "hash"}
    return hashlib.sha256(orjson.dumps(hashed, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _column_record(column: ColumnPlan) -> dict[str, Any]:
    plain = Reading()
    reading = {name: value for name, value in asdict(column.reading).items() if value != getattr(plain, name)}
    return {"target": column.name, "type": _stored(column.type), "reading": reading}


def _stored(kind: PgType) -> str:
    """The type as a verification reads it back: of a domain the type under it, of an enum its labels as text."""
    if kind.base is None:
        return "text" if kind.labels else str(kind)
    return f"{_stored(kind.base)}[]" if kind.name.endswith("[]") else _stored(kind.base)


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """The plan of an earlier run."""

    path: Path
    content: Mapping[str, Any]

    @property
    def filled(self) -> frozenset[str]:
        """The source's names of the tables that the target had already."""
        return frozenset(self.content.get("filled", ()))

    @property
    def kept(self) -> tuple[str, ...]:
        """The tables that were left as they were."""
        return tuple(self.content.get("kept", ()))

    @property
    def views(self) -> tuple[str, ...] | None:
        """The target's names of the views that were created; None in a report that does not say."""
        views = self.content["views"]
        return None if views is None else tuple(views)

    def options(self, options: Options) -> Options:
        """The options with the flags of that run in place of those that shape a plan."""
        known = {field.name: field.default for field in fields(options) if field.name not in OF_A_RUN}
        flags = {name: tuple(value) if isinstance(value, list) else value for name, value in self._flags.items()}
        changes: dict[str, Any] = {name: flags.get(name, default) for name, default in known.items()}
        return replace(options, **changes)

    def apply(self, plan: Plan) -> Plan:
        """The plan with the readings of that run; its tables and columns must be those of the source."""
        recorded = self.content["columns"]
        planned = {table.source.name for table in plan.tables}
        if missing := sorted(set(recorded) ^ planned):
            raise UsageError(
                f"--plan {self.path}: the source has other tables than that run had ({', '.join(missing[:5])})",
                "take the report of this source's own migration",
            )
        return replace(plan, tables=tuple(self._table(table, recorded[table.source.name]) for table in plan.tables))

    def type_differences(self, plan: Plan) -> tuple[Difference, ...]:
        """The columns of the target, as ``plan`` has them, that are not of the type that they were given."""
        return tuple(
            Difference(
                table.source.name,
                "object",
                column.name,
                column=column.source.name,
                expected=recorded["type"],
                actual=str(column.type),
            )
            for table in plan.tables
            for column in table.columns
            if (recorded := self.content["columns"][table.source.name][column.source.name])["type"] != str(column.type)
        )

    @property
    def _flags(self) -> Mapping[str, Any]:
        known = {field.name for field in fields(Options)} - OF_A_RUN
        flags: Mapping[str, Any] = self.content["flags"]
        if unknown := sorted(set(flags) - known):
            raise UsageError(f"--plan {self.path}: unknown flags: {', '.join(unknown)}", "use the etl that wrote it")
        return flags

    def _table(self, table: TablePlan, recorded: Mapping[str, Mapping[str, Any]]) -> TablePlan:
        if {column.source.name for column in table.columns} != set(recorded):
            raise UsageError(
                f"--plan {self.path}: {table.source.name} has other columns than in that run",
                "take the report of this source's own migration",
            )
        not_valid = set(self.content["not_valid"].get(table.source.name, ()))
        left_out = set(self.content["left_out"].get(table.source.name, ()))
        return replace(
            table,
            columns=tuple(
                replace(column, reading=Reading(**recorded[column.source.name]["reading"])) for column in table.columns
            ),
            foreign_keys=tuple(replace(key, validated=key.name not in not_valid) for key in table.foreign_keys),
            checks=tuple(check for check in table.checks if check.name not in left_out),
        )


def read_record(path: Path) -> PlanRecord:
    """The plan in a JSON report; raises UsageError for a file that holds none."""
    import orjson

    try:
        report = orjson.loads(path.read_bytes())
        report = report["transfer"] if report.get("command") == "move" else report
        content = report["plan"]
        found = {name: content[name] for name in ("flags", "columns", "not_valid", "left_out", "hash")}
        found |= {name: content.get(name, ()) for name in ("filled", "kept")}  # later than the others
        found["views"] = content.get("views")
    except OSError as error:
        raise UsageError(f"--plan {path}: cannot be read: {error.strerror}", "name a report in JSON") from error
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(
            f"--plan {path}: is no report with a plan in it",
            "name what --report FILE.json of `etl migrate` or `etl move` has written",
        ) from error
    return PlanRecord(path, found)
