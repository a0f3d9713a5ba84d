"""Reads a plan file: TOML in, ``MovePlan`` out.

Invariant: whatever is wrong is said with file, key, what is wrong and a hint, before anything has happened; a key that
nobody knows is never ignored.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from etl.errors import UsageError
from etl.move.move_plan import (
    BackfillPlan,
    CheckPlan,
    DocumentsPlan,
    LayerPlan,
    MovePlan,
    OwnerPlan,
    SchemaVersionPlan,
    SourcePlan,
    SplitPlan,
    StoppedPlan,
)
from etl.move.plan_section import Section

SECTIONS = (
    "source target preflight tables owner backfill split_config documents validate rollback migrate state".split()  # noqa: SIM905
)


def read_plan(path: Path) -> MovePlan:
    """The plan; raises UsageError for a file that cannot be read, is not TOML, or says what makes no sense."""
    path = path.expanduser().absolute()
    top = Section(path, "", _parse(path))
    source = top.table("source", required=True)
    target, preflight, tables = top.table("target"), top.table("preflight"), top.table("tables")
    rollback, state = top.table("rollback"), top.table("state")
    plan = MovePlan(
        path=path,
        source=_source(source),
        target_database=target.text("database"),
        service_user=target.text("service_user"),
        stopped=_stopped(preflight.table("stopped")),
        schema_version=_schema_version(preflight.table("schema_version")),
        target_schema=preflight.command("target_schema"),
        keep=tables.texts("keep"),
        replace=tables.texts("replace"),
        owner=_owner(top.table("owner")),
        backfills=tuple(_backfill(section) for section in top.tables("backfill")),
        split=_split(top.table("split_config")),
        documents=_documents(top.table("documents")),
        checks=tuple(_check(section) for section in top.tables("validate")),
        rollback=rollback.template("text"),
        migrate=top.table("migrate").everything(),
        state=state.text("folder"),
    )
    for section in (target, preflight, tables, rollback, state):
        section.finish()
    top.finish(SECTIONS)
    return plan


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}", "`etl move --init` writes a plan for the folder it stands in"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: is not TOML: {error}", "text stands in quotes, a section begins with [name]"
        ) from error


def _source(section: Section) -> SourcePlan:
    found = SourcePlan(
        database=section.texts("database", required=True),
        config=section.texts("config"),
        env=section.texts("env"),
        documents=section.texts("documents"),
    )
    section.finish()
    return found


def _stopped(section: Section) -> StoppedPlan:
    found = StoppedPlan(section.text("lock_file"), section.text("process"), section.text("socket"))
    section.finish()
    return found


def _schema_version(section: Section) -> SchemaVersionPlan | None:
    if section.is_absent:
        return None
    found = SchemaVersionPlan(
        table=section.required_text("table"),
        column=section.required_text("column"),
        expect=section.scalar("expect", required=True) or "",
        upgrade=section.command("upgrade"),
    )
    section.finish()
    return found


def _owner(section: Section) -> OwnerPlan:
    found = OwnerPlan(section.text("person"), section.scalar("uid"))
    section.finish()
    return found


def _backfill(section: Section) -> BackfillPlan:
    values = section.table("set", required=True)
    found = BackfillPlan(
        table=section.required_text("table"),
        where=section.required_text("where"),
        set={key: values.template(key) or "" for key in values.keys()},  # noqa: SIM118 - a section is no mapping
    )
    if not found.set:
        raise values.error("", "is empty", 'name the columns: set = { owner_person = "{person}" }')
    section.finish()
    return found


def _split(section: Section) -> SplitPlan | None:
    if section.is_absent:
        return None
    secrets = section.table("secrets", required=True)
    user = section.table("user")
    found = SplitPlan(
        system=_layer(section.table("system", required=True), 0o644),
        secrets=_layer(secrets, 0o600, "env"),
        user=None if user.is_absent else _layer(user, 0o644, "keys"),
        user_keys=user.texts("keys"),
        secret_env=secrets.texts("env"),
        secret_keys=section.texts("secret_keys"),
        secret_values=section.texts("secret_values"),
        env_section=section.text("env_section") or "env",
    )
    if found.secrets.mode & 0o077:
        raise secrets.error("mode", f"{found.secrets.mode:04o} lets others read the secrets", 'use "0600"')
    section.finish()
    return found


def _layer(section: Section, mode: int, *further: str) -> LayerPlan:
    found = LayerPlan(section.required_text("path"), section.mode("mode", mode), section.text("owner"))
    section.finish(further)
    return found


def _documents(section: Section) -> DocumentsPlan | None:
    if section.is_absent:
        return None
    found = DocumentsPlan(section.required_text("to"), section.command("index"))
    section.finish()
    return found


def _check(section: Section) -> CheckPlan:
    found = CheckPlan(
        name=section.required_text("name"),
        command=section.command("command"),
        sql=section.template("sql"),
        http=section.template("http"),
        start=section.command("start"),
        status=int(section.number("status", 200) or 200),
        at_least=section.number("at_least"),
        at_most=section.number("at_most"),
        equals=section.scalar("equals"),
        timeout_s=section.number("timeout_s", 30.0) or 30.0,
        skip_if_source_empty=section.text("skip_if_source_empty"),
    )
    ways = [way for way in ("command", "sql", "http") if getattr(found, way) is not None]
    if len(ways) != 1:
        said = " and ".join(ways) or "none of command, sql and http"
        raise section.error(
            "", f"a check is one command, one sql or one http; {said} is given", "split it into several"
        )
    misplaced = {"start": "http", "status": "http", "at_least": "sql", "at_most": "sql", "equals": "sql"}
    for key, way in misplaced.items():
        if key in section.keys() and way != ways[0]:  # noqa: SIM118 - a section is no mapping
            raise section.error(key, f"belongs to a check with {way}", f"this one has {ways[0]}")
    section.finish()
    return found
