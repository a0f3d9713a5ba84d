"""A small application to move: database, config, .env, documents, a program that makes its tables, and a plan."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fix_command import Done, EtlCommand

SCHEMA = """
create table if not exists session (id bigint primary key, title text, owner text not null, uid integer not null);
create table if not exists device (id bigint primary key, name text, owner text);
create table if not exists settings (key text primary key, value text);
create table if not exists schema_migrations (version text);
insert into settings values ('language', 'en');
insert into schema_migrations values ('1'), ('2');
"""
PROGRAM = """#!{python}
import asyncio, os, sys, asyncpg
from pathlib import Path
step = sys.argv[1]
if Path("fail-" + step).exists():
    print("this is why " + step + " fails", file=sys.stderr)
    sys.exit(7)
if step == "transfer":
    async def make():
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        if not await connection.fetchval("select to_regclass('session') is not null"):
            await connection.execute({schema!r})
            if Path("fail-backfill").exists():
                await connection.execute(
                    "create function no() returns trigger language plpgsql as 'begin raise exception ''not now''; end';"
                    " create trigger no before update on device for each row execute function no()"
                )
        await connection.close()
    asyncio.run(make())
    if Path("fail-split-config").exists():
        os.mkdir("system.yml")
"""
PLAN = """
[source]
database = "./source.db"
config = "./config.yml"
env = "./.env"
documents = "./docs"
[target]
database = "{dsn}"
[preflight]
target_schema = "./program transfer"
[tables]
keep = ["schema_migrations"]
replace = ["settings"]
[owner]
person = "ada"
uid = 1000
[[backfill]]
table = "session"
where = "owner is null"
set = {{ owner = "{{person}}", uid = "{{uid}}" }}
[[backfill]]
table = "device"
where = "owner is null"
set = {{ owner = "{{person}}" }}
[split_config]
system = {{ path = "./system.yml" }}
secrets = {{ path = "./secrets.yml" }}
secret_keys = ["token"]
[documents]
to = "./to"
index = "./program documents"
[[validate]]
name = "the program"
command = "./program validate"
[[validate]]
name = "rows"
sql = "select count(*) from session where owner = '{{person}}'"
at_least = 2
[rollback]
text = "start the old one on {{database}}"
"""
SOURCE = """
create table session (id integer primary key, title text, owner text, uid integer);
create table device (id integer primary key, name text, owner text);
create table settings (key text primary key, value text);
create table schema_migrations (version text);
insert into session values (1, 'a', null, null), (2, 'b', null, null), (3, 'c', 'grace', 7);
insert into device values (1, 'x', null), (2, 'y', 'grace');
insert into settings values ('language', 'de'), ('theme', 'dark');
insert into schema_migrations values ('1');
"""


@dataclass(frozen=True)
class Application:
    """``app.move(*flags) -> Done``; its parts stand in ``folder``."""

    folder: Path
    plan: Path
    etl: EtlCommand

    @property
    def database(self) -> Path:
        return self.folder / "source.db"

    def move(self, *flags: object) -> Done:
        return self.etl("move", self.plan, *flags)

    def change_plan(self, old: str, new: str) -> None:
        text = self.plan.read_text()
        assert old in text
        self.plan.write_text(text.replace(old, new))


@pytest.fixture
def application(etl: EtlCommand, tmp_path: Path, database_dsn: str) -> Application:
    """Everything that a move takes along, and an empty target."""
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection:
        connection.execute("pragma synchronous = off")
        connection.executescript(SOURCE)
    (tmp_path / "config.yml").write_text("# all of it\n\nname: x\ntoken: geheim-geheim\n")
    (tmp_path / ".env").write_text("TOKEN=abcdefgh1\nCOLOR=always\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("alpha")
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable, schema=SCHEMA))
    program.chmod(0o755)
    plan = tmp_path / "move.toml"
    plan.write_text(PLAN.format(dsn=database_dsn))
    return Application(tmp_path, plan, etl)
