"""A plan file says what is wrong with it: file, key, what, hint; before anything has happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.errors import UsageError
from etl.move.plan_file import read_plan

MINIMAL = '[source]\ndatabase = "./app.db"\n'


def plan(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "move.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_whole_of_a_plan_is_read(tmp_path: Path) -> None:
    """Every section of the documentation's example arrives where the steps look for it."""
    read = read_plan(
        plan(
            tmp_path,
            """
            [source]
            database = ["./app.db", "$APP_DB"]
            config = "./config.yml"
            [target]
            database = "postgresql://app@/app"
            [preflight]
            stopped = { lock_file = "./app.pid", process = "app.daemon", socket = "/tmp/app.sock" }
            schema_version = { table = "schema_migrations", column = "version", expect = 24, upgrade = "app up" }
            target_schema = "app migrate --name 'two words' --db {target}"
            [tables]
            keep = ["schema_migrations"]
            [owner]
            person = "ada"
            uid = 1000
            [[backfill]]
            table = "sessions"
            where = "owner is null"
            set = { owner = "{person}" }
            [split_config]
            system = { path = "/etc/app/config.yml" }
            secrets = { path = "/etc/app/secrets.yml", env = ["TOKEN"] }
            user = { path = "~/.app.yml", keys = ["ui"] }
            secret_keys = ["*_key"]
            [documents]
            to = "/usr/share/app"
            [[validate]]
            name = "rows"
            sql = "select 1"
            at_least = 1
            [[validate]]
            name = "health"
            http = "http://127.0.0.1:1/"
            start = "app serve"
            [rollback]
            text = "start {database}"
            [migrate]
            jobs = 2
            """,
        )
    )
    assert read.source.database == ("./app.db", "$APP_DB")
    assert read.target_schema == ("app", "migrate", "--name", "two words", "--db", "{target}")
    assert read.schema_version is not None
    assert (read.schema_version.expect, read.owner.uid) == ("24", "1000")
    assert read.backfills[0].set == {"owner": "{person}"}
    assert read.split is not None
    assert (read.split.secrets.mode, read.split.system.mode, read.split.user_keys) == (0o600, 0o644, ("ui",))
    assert [check.name for check in read.checks] == ["rows", "health"]
    assert (read.checks[0].at_least, read.checks[1].timeout_s) == (1, 30.0)
    assert read.migrate == {"jobs": 2}


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("[source]\n", "[source] database: is missing", "database ="),
        ("[sauce]\n" + MINIMAL, "sauce: nobody knows this key", "did you mean source?"),
        (MINIMAL + "databse = 1\n", "[source] databse: nobody knows this key", "did you mean database?"),
        ("[source]\ndatabase = 5\n", "[source] database: 5 is no text", "database ="),
        ("source = 5\n", "source: 5 is no table", "[source]"),
        (MINIMAL + "[[validate]]\nname = 'a'\n", "[validate 1]: a check is one command", "split"),
        (MINIMAL + "[[validate]]\nname = 'a'\nsql = 'x'\ncommand = 'y'\n", "command and sql is given", "split"),
        (MINIMAL + "[[validate]]\nname = 'a'\ncommand = 'y'\nat_least = 1\n", "belongs to a check with sql", "command"),
        (
            MINIMAL + "[preflight]\ntarget_schema = 'app {targt}'\n",
            "{targt} is no placeholder",
            "did you mean {target}?",
        ),
        (MINIMAL + '[preflight]\ntarget_schema = "app \'x"\n', "cannot be split into arguments", "quotes"),
        (
            MINIMAL + "[split_config]\nsystem = {path = 'a'}\nsecrets = {path = 'b', mode = '0644'}\n",
            "0644 lets others read",
            "0600",
        ),
        (
            MINIMAL + "[split_config]\nsystem = {path = 'a', mode = 420}\nsecrets = {path = 'b'}\n",
            "420 is no mode of a file",
            '"0600"',
        ),
        (MINIMAL + "[[backfill]]\ntable = 't'\nwhere = 'x'\nset = {}\n", "[backfill 1.set]: is empty", "owner_person"),
        (MINIMAL + "x = \n", "is not TOML", "quotes"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, text: str, says: str, hint: str) -> None:
    """A typing mistake in a plan costs a minute, not a move."""
    path = plan(tmp_path, text)
    with pytest.raises(UsageError) as raised:
        read_plan(path)
    assert raised.value.message.startswith(f"{path}: ")
    assert says in raised.value.message
    assert hint in str(raised.value.hint)


def test_a_plan_that_is_not_there_leads_to_init(tmp_path: Path) -> None:
    """Who has no plan yet learns how to get one."""
    with pytest.raises(UsageError, match="cannot be read") as raised:
        read_plan(tmp_path / "none.toml")
    assert "--init" in str(raised.value.hint)
