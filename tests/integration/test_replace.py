"""--mode replace: a second run builds beside the published tables and takes their place, with all that is theirs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import execute, rows_of, run_apart, with_role
from tests.fix_source import MakeSource

SCRIPT = """
create table parent (id integer primary key, name text);
create table child (id integer primary key, parent_id integer references parent (id));
"""
FIRST = {"parent": [(1, "Ada")], "child": [(1, 1)]}
SECOND = {"parent": [(1, "Ada"), (2, "Grace")], "child": [(1, 1), (2, 2)]}
GRANTS = (
    "select c.relname::text, pg_get_userbyid(c.relowner)::text, a.privilege_type, pg_get_userbyid(a.grantee)::text"
    " from pg_class c cross join lateral aclexplode(c.relacl) a"
    " where relnamespace = 'public'::regnamespace and a.grantee <> c.relowner order by 1, 3, 4"
)
DEPENDENTS = (
    "create table theirs (parent_id bigint constraint of_theirs references parent on delete cascade)",
    "insert into theirs values (1)",
    "create view names with (security_barrier=true) as select id, upper(name) as name from parent",
    "create view fewer_names as select name from names where id < 10",
    "comment on view names is 'read by others'",
    "create function noted() returns trigger language plpgsql as 'begin return new; end'",
    "create trigger notes after insert on parent for each row execute function noted()",
    "alter table parent enable always trigger notes",
)
BUILT_UPON = (
    "select 'key', conname::text, pg_get_constraintdef(oid), convalidated::text from pg_constraint"
    " where conname = 'of_theirs'"
    " union all select 'view', relname, pg_get_viewdef(oid), array_to_string(reloptions, ',') from pg_class"
    " where relkind = 'v' and relnamespace = 'public'::regnamespace"
    " union all select 'comment', '', obj_description('names'::regclass, 'pg_class'), ''"
    " union all select 'trigger', tgname, pg_get_triggerdef(oid), tgenabled::text from pg_trigger"
    " where not tgisinternal"
    " order by 1, 2"
)


@pytest.fixture
def first(etl: EtlCommand, make_source: MakeSource, database_dsn: str) -> Path:
    """A first run is published; returns the source of the second."""
    done = etl("migrate", make_source(SCRIPT, FIRST, name="first.db"), database_dsn)
    assert done.status == 0, done.err
    return make_source(SCRIPT, SECOND)


@pytest.fixture
def roles(server_dsn: str, database_dsn: str) -> Iterator[tuple[str, str]]:
    """Two roles that may connect: one that migrates, one that reads."""
    suffix = database_of(database_dsn)[-12:]
    names = (f"mover_{suffix}", f"reader_{suffix}")
    run_apart(execute(server_dsn, *(f"create role {name} login password 'secret-word'" for name in names)))
    yield names
    run_apart(execute(database_dsn, *(f"drop owned by {name} cascade" for name in names)))
    run_apart(execute(server_dsn, *(f"drop role {name}" for name in names)))


def database_of(dsn: str) -> str:
    return urlsplit(dsn).path.lstrip("/")


def names_in(dsn: str) -> list[Any]:
    return rows_of(dsn, "select name from parent order by id")


def test_a_second_run_takes_the_place_of_the_first(etl: EtlCommand, first: Path, database_dsn: str) -> None:
    """No staging schema stays, and the next number is free."""
    done = etl("migrate", first, database_dsn, "--mode", "replace")
    assert (done.status, done.errors) == (0, [])
    assert names_in(database_dsn) == [("Ada",), ("Grace",)]
    assert rows_of(database_dsn, "insert into parent (name) values ('new') returning id") == [(3,)]
    assert rows_of(database_dsn, "select 1 from pg_namespace where nspname like 'etl_%'") == []


def test_what_others_have_built_is_named_and_stops_the_run(etl: EtlCommand, first: Path, database_dsn: str) -> None:
    """Before a row moves; nothing has changed."""
    run_apart(execute(database_dsn, *DEPENDENTS))
    before = rows_of(database_dsn, BUILT_UPON)
    done = etl("migrate", first, database_dsn, "--mode", "replace")
    assert done.status == 1
    for name in ("of_theirs", "names", "fewer_names", "notes"):
        assert name in done.errors[0]
    assert "--rebuild-dependents" in done.hints[0]
    assert "load:" not in done.err
    assert rows_of(database_dsn, BUILT_UPON) == before
    assert names_in(database_dsn) == [("Ada",)]


def test_what_others_have_built_is_made_again_when_the_user_says_so(
    etl: EtlCommand, first: Path, database_dsn: str, roles: tuple[str, str]
) -> None:
    """With options, comment, grants (no others, whatever new views get by default) and states, upon the new rows."""
    by_default = f"alter default privileges in schema public grant all on tables to public, {roles[1]}"
    run_apart(execute(database_dsn, *DEPENDENTS, f"grant select on names to {roles[1]}", by_default))
    of_views = GRANTS.replace("where", "where relkind = 'v' and")
    before, granted = rows_of(database_dsn, BUILT_UPON), rows_of(database_dsn, of_views)
    done = etl("migrate", first, database_dsn, "--mode", "replace", "--rebuild-dependents")
    assert (done.status, done.errors) == (0, [])
    assert rows_of(database_dsn, BUILT_UPON) == before
    assert rows_of(database_dsn, of_views) == granted
    assert rows_of(database_dsn, "select name from fewer_names order by 1") == [("ADA",), ("GRACE",)]
    reader = with_role(database_dsn, roles[1], "secret-word")
    assert rows_of(reader, "select count(*) from public.names") == [(2,)]


OTHERS = {
    "a materialized view": ("create materialized view kept as select * from parent", "materialized view public.kept"),
    "a policy": ("create policy mine on parent using (true)", "policy mine"),
    "a function": ("create function all_of_them() returns setof parent language sql as 'select * from parent'",
                   "function public.all_of_them()"),
    "a replica identity": ("alter table parent replica identity using index parent_pkey",
                           "the replica identity of table public.parent by an index"),
    "a column of the row type": ("create table holder (p parent)", "column p of table public.holder"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_what_cannot_be_made_again_is_named_in_any_case(
    kind: str, etl: EtlCommand, first: Path, database_dsn: str
) -> None:
    """Not even --rebuild-dependents drops it."""
    statement, name = OTHERS[kind]
    run_apart(execute(database_dsn, statement))
    done = etl("migrate", first, database_dsn, "--mode", "replace", "--rebuild-dependents")
    assert done.status == 1
    assert name in done.errors[0], done.errors
    assert names_in(database_dsn) == [("Ada",)]


def test_owner_grants_comments_and_publications_are_carried_over(
    etl: EtlCommand, first: Path, database_dsn: str, roles: tuple[str, str]
) -> None:
    """By a role with no more rights than it needs: it is a member of the owner, and may create."""
    mover, reader = roles
    also = ("create index by_name on parent (name)", "create view everybody as select id, name from parent")
    with closing(sqlite3.connect(first)) as connection:
        for statement in also:
            connection.execute(statement)
    run_apart(
        execute(
            database_dsn,
            *also,
            f"create role owner_{mover} nologin",
            f"grant owner_{mover} to {mover}",
            f"grant usage, create on schema public to owner_{mover}",
            f"grant create on database {database_of(database_dsn)} to {mover}",
            f"grant usage, create on schema public to {mover}",
            f"alter table parent owner to owner_{mover}",
            f"alter table child owner to owner_{mover}",
            f"alter view everybody owner to owner_{mover}",
            f"grant select, update on parent to {reader} with grant option",
            f"grant insert (parent_id) on child to {reader}",
            f"grant usage on sequence parent_id_seq to {reader}",
            "grant select on child to public",
            "comment on table parent is 'people'",
            "comment on column parent.name is 'in full'",
            "comment on index by_name is 'for the search'",
            "comment on view everybody is 'all of them'",
            "alter table child replica identity full",
            "create publication changes for table parent (id, name) where (id > 0), child",
            f"alter publication changes owner to owner_{mover}",
        )
    )
    published = "select tablename::text, attnames::text[], rowfilter from pg_publication_tables order by 1"
    said = (
        "select obj_description('parent'::regclass), col_description('parent'::regclass, 2),"
        " obj_description('by_name'::regclass), obj_description('everybody'::regclass),"
        " (select relreplident from pg_class where relname = 'child')"
    )
    before = [rows_of(database_dsn, query) for query in (GRANTS, published, said)]
    try:
        done = etl("migrate", first, with_role(database_dsn, mover, "secret-word"), "--mode", "replace")
        assert done.status == 0, done.out + done.err
        assert [rows_of(database_dsn, query) for query in (GRANTS, published, said)] == before
        assert names_in(database_dsn) == [("Ada",), ("Grace",)]
    finally:
        run_apart(execute(database_dsn, "drop publication changes", f"drop owned by owner_{mover} cascade",
                          f"drop role owner_{mover}"))  # fmt: skip


def test_tables_of_another_owner_are_left_alone(
    etl: EtlCommand, first: Path, database_dsn: str, roles: tuple[str, str]
) -> None:
    """Said before a row moves, with the grant that would help."""
    mover = roles[0]
    database = database_of(database_dsn)
    run_apart(
        execute(database_dsn, f"grant create on database {database} to {mover}",
                f"grant usage, create on schema public to {mover}")
    )  # fmt: skip
    done = etl("migrate", first, with_role(database_dsn, mover, "secret-word"), "--mode", "replace")
    assert done.status == 1
    assert "belongs to" in done.errors[0]
    assert "grant" in done.hints[0]
    assert names_in(database_dsn) == [("Ada",)]


@pytest.fixture
def mover(first: Path, database_dsn: str, roles: tuple[str, str]) -> str:
    """The DSN of a role that owns the tables of the first run, and may create in their schema and in the database."""
    name, database = roles[0], database_of(database_dsn)
    run_apart(
        execute(
            database_dsn,
            f"grant create on database {database} to {name}",
            f"grant usage, create on schema public to {name}",
            f"alter table parent owner to {name}",
            f"alter table child owner to {name}",
        )
    )
    return with_role(database_dsn, name, "secret-word")


def test_default_privileges_reach_the_new_tables_too(
    etl: EtlCommand, first: Path, database_dsn: str, roles: tuple[str, str], mover: str
) -> None:
    """Whoever was to read whatever the role makes in the schema reads the replaced tables, and the old grants stay."""
    name, reader = roles
    run_apart(
        execute(
            database_dsn,
            f"alter default privileges for role {name} in schema public grant select on tables to {reader}",
            f"alter default privileges for role {name} in schema public grant usage on sequences to {reader}",
            f"grant update on parent to {reader}",
        )
    )
    done = etl("migrate", first, mover, "--mode", "replace")
    assert (done.status, done.errors) == (0, [])
    granted = [(relation, privilege) for relation, _, privilege, grantee in rows_of(database_dsn, GRANTS)
               if grantee == reader]  # fmt: skip
    assert granted == [
        ("child", "SELECT"), ("child_id_seq", "USAGE"), ("parent", "SELECT"), ("parent", "UPDATE"),
        ("parent_id_seq", "USAGE"),
    ]  # fmt: skip
    reading = with_role(database_dsn, reader, "secret-word")
    assert rows_of(reading, "select count(*) from public.parent") == [(2,)]


def test_a_new_owner_is_asked_for_by_name(
    etl: EtlCommand, first: Path, database_dsn: str, roles: tuple[str, str], mover: str
) -> None:
    """--owner outweighs the owner that the old tables had; a role that is no member of it is told so beforehand."""
    name, reader = roles
    run_apart(execute(database_dsn, f"grant create on schema public to {reader}"))
    refused = etl("migrate", first, mover, "--mode", "replace", "--owner", reader)
    assert refused.status == 1
    assert f'grant "{reader}" to "{name}"' in refused.hints[0]
    assert names_in(database_dsn) == [("Ada",)]
    run_apart(execute(database_dsn, f"grant {reader} to {name}"))
    assert etl("migrate", first, mover, "--mode", "replace", "--owner", reader).status == 0
    owners = "select distinct tableowner::text from pg_tables where schemaname = 'public'"
    assert rows_of(database_dsn, owners) == [(reader,)]


def test_a_publication_of_another_owner_stops_the_run(
    etl: EtlCommand, first: Path, database_dsn: str, mover: str
) -> None:
    """The new table would silently be missing from it: only its owner can put it back in."""
    run_apart(execute(database_dsn, "create publication theirs for table parent"))
    done = etl("migrate", first, mover, "--mode", "replace")
    assert done.status == 1
    assert "the publication theirs, which belongs to another role" in done.errors[0]
    assert 'alter publication "theirs" drop table' in done.hints[0]
    assert names_in(database_dsn) == [("Ada",)]


@pytest.mark.parametrize("thing", ["foreign key", "view"])
def test_what_other_roles_have_built_is_not_touched(
    thing: str, etl: EtlCommand, first: Path, database_dsn: str, roles: tuple[str, str], mover: str
) -> None:
    """--rebuild-dependents makes again what the role may drop; what belongs to another stops the run, by name."""
    reader = roles[1]
    made = {
        "foreign key": ("create table theirs (parent_id bigint constraint of_theirs references parent)", "of_theirs"),
        "view": ("create view theirs as select id from parent", "public.theirs"),
    }
    statement, name = made[thing]
    kind = "table" if thing == "foreign key" else "view"
    run_apart(
        execute(
            database_dsn,
            f"grant select, references on parent to {reader}",
            statement,
            f"grant usage, create on schema public to {reader}",
            f"alter {kind} theirs owner to {reader}",
        )
    )
    for flags in ((), ("--rebuild-dependents",)):
        done = etl("migrate", first, mover, "--mode", "replace", *flags)
        assert done.status == 1
        assert name in done.errors[0]
        assert names_in(database_dsn) == [("Ada",)]
    run_apart(execute(database_dsn, f"grant {reader} to {roles[0]}"))  # now the role may
    done = etl("migrate", first, mover, "--mode", "replace", "--rebuild-dependents")
    assert (done.status, done.errors) == (0, [])
    owner = f"select pg_get_userbyid(relowner)::text from pg_class where relname = 'theirs' and relkind = '{kind[0]}'"
    assert rows_of(database_dsn, owner.replace("'t'", "'r'")) == [(reader,)]


def test_a_name_that_another_relation_bears_stops_the_run(
    etl: EtlCommand, make_source: MakeSource, first: Path, database_dsn: str, mover: str
) -> None:
    """The old tables give way with their indexes and sequences; an index of a table beside them does not."""
    run_apart(execute(database_dsn, "create table beside (x int)", "create index wanted on beside (x)"))
    source = make_source(SCRIPT + "create index wanted on parent (name);", SECOND, name="indexed.db")
    done = etl("migrate", source, mover, "--mode", "replace")
    assert done.status == 1
    assert "index public.wanted" in done.errors[0]
    assert "parent_pkey" not in done.errors[0]
    assert names_in(database_dsn) == [("Ada",)]
