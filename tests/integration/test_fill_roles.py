"""Fill mode with roles that may do little: what they may not take away is honoured, what they may not do is told."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart, with_role
from tests.fix_source import MakeSource

SCRIPT = """
create table parent (id integer primary key, name text);
create table child (id integer primary key, parent_id integer references parent (id), note text);
"""
ROWS = {"parent": [(1, "Ada"), (2, "Grace")], "child": [(i, i % 2 + 1, "a longer note " * 9) for i in range(1, 200)]}
TARGET = (
    "create table parent (id bigint generated always as identity primary key, name text)",
    "create table child (id serial primary key, parent_id bigint not null references parent, note text)",
    "create index on child (parent_id)",
)
GRANTS = (
    "grant usage on schema public to {role}",
    "grant select, insert on parent, child to {role}",
    "grant select, update on sequence parent_id_seq, child_id_seq to {role}",
)


@pytest.fixture
def role(server_dsn: str, database_dsn: str) -> Iterator[str]:
    """A role that may connect, and nothing else."""
    name = "filler_" + urlsplit(database_dsn).path[-12:]
    run_apart(execute(server_dsn, f"create role {name} login password 'secret-word'"))
    yield name
    run_apart(execute(database_dsn, f"drop owned by {name}"))
    run_apart(execute(server_dsn, f"drop role {name}"))


def grant(dsn: str, role: str, *statements: str) -> str:
    run_apart(execute(dsn, *(statement.format(role=role) for statement in statements)))
    return with_role(dsn, role, "secret-word")


def test_a_role_that_owns_nothing_fills_under_the_constraints(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, role: str
) -> None:
    """Parents before children, although the child is larger; the sequences go on; no schema is made."""
    run_apart(execute(database_dsn, *TARGET))
    dsn = grant(database_dsn, role, *GRANTS)
    source = make_source(SCRIPT, ROWS)
    plan = etl("migrate", source, dsn, "--dry-run")
    assert "the role does not own it: constraints are checked row by row, and its triggers fire" in plan.out
    done = etl("migrate", source, dsn)
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select count(*) from child") == [(199,)]
    assert rows_of(database_dsn, "insert into child (parent_id) values (1) returning id") == [(200,)]
    assert rows_of(database_dsn, "insert into parent (name) values ('new') returning id") == [(3,)]


def test_an_orphan_is_refused_in_place(etl: EtlCommand, make_source: MakeSource, database_dsn: str, role: str) -> None:
    """Nothing was dropped, so the server itself refuses it."""
    run_apart(execute(database_dsn, *TARGET))
    dsn = grant(database_dsn, role, *GRANTS)
    done = etl("migrate", make_source(SCRIPT, {**ROWS, "child": [(1, 9, "x")]}), dsn)
    assert done.status == 1
    assert "child" in done.errors[0]
    assert rows_of(database_dsn, "select count(*) from parent") == [(0,)]


@pytest.mark.parametrize("late", ["", " deferrable initially deferred"])
@pytest.mark.parametrize("flags", [(), ("--orphans", "not-valid"), ("--per-table",)])
def test_orphans_of_a_key_that_the_target_alone_has_are_listed(
    late: str, flags: tuple[str, ...], etl: EtlCommand, make_source: MakeSource, database_dsn: str, role: str
) -> None:
    """The server names one row or none; whoever has to mend them needs every one, by the source's key."""
    run_apart(execute(database_dsn, TARGET[0], TARGET[1].replace("references parent", f"references parent{late}")))
    dsn = grant(database_dsn, role, *GRANTS)
    script = SCRIPT.replace(" references parent (id)", "")
    rows = {**ROWS, "child": [(1, 9, "x"), (2, 1, "y"), (3, 8, "z")]}
    done = etl("migrate", make_source(script, rows), dsn, *flags)
    assert done.status == 1
    assert "child.parent_id (id=1): 9 has no parent in parent" in done.errors[0]
    assert "child.parent_id (id=3): 8 has no parent in parent" in done.err
    assert "run as the owner" in done.err
    assert rows_of(database_dsn, "select count(*) from child") == [(0,)]


MISSING = {
    "insert": ("revoke insert on child from {role}", "grant select, insert on"),
    "sequence": ("revoke update on sequence child_id_seq from {role}", "grant select, update on sequence"),
    "usage": ("revoke usage on schema public from {role}, public", "usage on schema"),
}


@pytest.mark.parametrize("right", MISSING)
def test_a_right_that_is_missing_is_named_with_its_grant(
    right: str, etl: EtlCommand, make_source: MakeSource, database_dsn: str, role: str
) -> None:
    """Before a row moves, and with the statement that gives it."""
    revoke, hint = MISSING[right]
    run_apart(execute(database_dsn, *TARGET))
    dsn = grant(database_dsn, role, *GRANTS, revoke)
    done = etl("migrate", make_source(SCRIPT, ROWS), dsn, "--mode", "fill")
    assert done.status == 1
    assert hint in done.hints[0], done.err
    assert len(done.errors) == 1


@pytest.mark.parametrize("flags", [(), ("--per-table",)])
def test_all_that_a_role_lacks_is_named_at_once(
    flags: tuple[str, ...], etl: EtlCommand, make_source: MakeSource, database_dsn: str, role: str
) -> None:
    """Before a table is created or filled: a table by itself would be committed before the next one is refused."""
    run_apart(execute(database_dsn, *TARGET))
    may_create = "grant create on schema public to {role}"
    dsn = grant(database_dsn, role, GRANTS[0], may_create, "grant usage, update on sequence parent_id_seq to {role}")
    run_apart(execute(database_dsn, f"grant create on database {urlsplit(database_dsn).path[1:]} to {role}"))
    source = make_source(SCRIPT + "create table beside (id integer primary key);", ROWS)
    refused = etl("migrate", source, dsn, *flags)
    assert refused.status == 1
    assert "may not read and fill public.child, public.parent" in refused.errors[0]
    assert "may not read and set the sequences" in refused.errors[0]
    assert "public.child_id_seq, public.parent_id_seq" in refused.errors[0]
    for statement in refused.hints[0].removeprefix("hint: ").split("; "):
        run_apart(execute(database_dsn, statement))
    done = etl("migrate", source, dsn, *flags)
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "insert into child (parent_id) values (1) returning id") == [(200,)]


def test_emptying_needs_the_right_to_truncate(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, role: str
) -> None:
    """Once it is given, --force works without owning anything."""
    run_apart(execute(database_dsn, *TARGET, "insert into parent (name) values ('old')"))
    source = make_source(SCRIPT, ROWS)
    dsn = grant(database_dsn, role, *GRANTS)
    refused = etl("migrate", source, dsn, "--force")
    assert refused.status == 1
    assert "grant truncate on" in refused.hints[0], refused.err
    grant(database_dsn, role, "grant truncate on parent, child to {role}")
    done = etl("migrate", source, dsn, "--force")
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select name from parent order by id") == [("Ada",), ("Grace",)]


def test_an_owner_needs_no_right_to_create(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str, role: str
) -> None:
    """The application's own role, without CREATE on the database: constraints are taken away and put back."""
    dsn = grant(
        database_dsn, role, "grant usage on schema public to {role}", *TARGET, "alter table parent owner to {role}",
        "alter table child owner to {role}",
    )  # fmt: skip
    done = etl("migrate", make_source(SCRIPT, ROWS), dsn)
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select count(*) from child") == [(199,)]


def test_a_table_beside_the_run_that_references_it_is_asked_too(
    etl: EtlCommand, make_source: MakeSource, database_dsn: str
) -> None:
    """Its foreign key is put back and validated: its rows find their parents among the new ones, or nothing changes."""
    beside = "create table beside (parent_id bigint references parent)"
    run_apart(
        execute(
            database_dsn, *TARGET, beside, "insert into parent (name) values ('old')", "insert into beside values (1)"
        )
    )
    source = make_source(SCRIPT, ROWS)
    done = etl("migrate", source, database_dsn, "--force")
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select name from beside join parent on parent.id = parent_id") == [("Ada",)]
    fewer = make_source(SCRIPT, {"parent": [(5, "Ida")]}, name="fewer.db")
    refused = etl("migrate", fewer, database_dsn, "--force")
    assert refused.status == 1
    assert "beside_parent_id_fkey" in refused.errors[0]
    assert rows_of(database_dsn, "select count(*) from child") == [(199,)]
