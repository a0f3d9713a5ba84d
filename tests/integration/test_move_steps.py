"""A move from end to end: every step done, failed, gone on with, done again; the originals as they were."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.fix_move import Application
from tests.fix_server import execute, rows_of, run_apart

STEPS = ["transfer", "split-config", "backfill", "documents", "validate"]


def contents(folder: Path) -> dict[str, bytes]:
    """The originals, byte by byte."""
    names = ["source.db", "config.yml", ".env", "docs/a.md"]
    return {name: (folder / name).read_bytes() for name in names}


def states(report: Path) -> dict[str, str]:
    return {step["name"]: step["state"] for step in json.loads(report.read_text())["steps"]}


def check_moved(application: Application, dsn: str) -> None:
    """All that a whole move promises of this application."""
    assert rows_of(dsn, "select id, title, owner, uid from session order by id") == [
        (1, "a", "ada", 1000),
        (2, "b", "ada", 1000),
        (3, "c", "grace", 7),
    ]
    assert rows_of(dsn, "select owner from device order by id") == [("ada",), ("grace",)]
    assert rows_of(dsn, "select * from settings order by key") == [("language", "de"), ("theme", "dark")]
    assert rows_of(dsn, "select * from schema_migrations order by 1") == [("1",), ("2",)]
    assert (application.folder / "to" / "a.md").read_text() == "alpha"
    secrets = application.folder / "secrets.yml"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert "geheim-geheim" in secrets.read_text()
    assert "geheim" not in (application.folder / "system.yml").read_text()


def test_a_whole_move(application: Application, database_dsn: str) -> None:
    """Rows with their owner, files, documents, checks; the way back is told, the originals are as they were."""
    before = contents(application.folder)
    report, page = application.folder / "r.json", application.folder / "r.html"
    done = application.move("--report", report, "--report", page)
    assert done.status == 0, done.out + done.err
    check_moved(application, database_dsn)
    assert contents(application.folder) == before
    assert set(states(report).values()) == {"done"}
    told = json.loads(report.read_text())
    assert [original["unchanged"] for original in told["originals"]] == [True] * 4
    assert all(len(original["before"]) == 64 for original in told["originals"])
    assert told["transfer"]["verdict"] == "equal"
    sessions = next(table for table in told["transfer"]["tables"] if table["name"] == "session")
    assert sessions["coerced"] == {"owner-backfilled": 4}
    checks = next(step for step in told["steps"] if step["name"] == "validate")["data"]["checks"]
    assert [check["verdict"] for check in checks] == ["passed", "passed"]
    assert f"start the old one on {application.database}" in done.out
    assert "moved: 7 of 7 steps are done" in done.out
    assert "byte for byte as they were" in done.out
    html = page.read_text()
    assert "moved: 7 of 7" in html
    assert "geheim" not in html + report.read_text() + done.out + done.err
    assert not (application.folder / "move.state" / "upgraded.db").exists()
    assert (application.folder / "move.state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_is_gone_on_with(application: Application, database_dsn: str, step: str) -> None:
    """What was done and what was not is told with the way back; --resume does the rest, and only the rest."""
    before = contents(application.folder)
    report, fault = application.folder / "r.json", application.folder / f"fail-{step}"
    fault.touch()
    done = application.move("--report", report)
    assert done.status == 1, done.out
    assert len(done.errors) == len(done.hints) == 1
    place = STEPS.index(step)
    expected = {
        **dict.fromkeys(["detect", "preflight", *STEPS[:place]], "done"),
        step: "failed",
        **dict.fromkeys(STEPS[place + 1 :], "not reached"),
    }
    assert states(report) == expected
    assert f"failed: {step}; not reached: {', '.join(STEPS[place + 1 :]) or 'none'}" in done.out
    assert contents(application.folder) == before
    if place:
        assert "--resume" in done.out
        assert f"start the old one on {application.database}" in done.out
    else:
        assert "this is why transfer fails" in done.out
        assert "nothing has been changed: the application can go on as before" in done.out
    fault.unlink()
    if step == "split-config":
        (application.folder / "system.yml").rmdir()
    if step == "backfill":
        run_apart(execute(database_dsn, "drop function no cascade"))
    again = application.move("--resume", "--report", report)
    assert again.status == 0, again.out + again.err
    assert "detect: done" in again.out
    for earlier in STEPS[:place]:
        assert f"{earlier}: skipped\n    done by the move that this one goes on with" in again.out
    check_moved(application, database_dsn)
    assert "changed by this move: filled: 3 tables" in again.out
    assert contents(application.folder) == before


def test_a_transfer_that_fails_leaves_the_rows_of_the_target(application: Application, database_dsn: str) -> None:
    """A value that cannot be held stops the move with table, key and hint; the application's own rows are there."""
    with closing(sqlite3.connect(application.database)) as connection:
        connection.execute("update session set uid = 'seven' where id = 3")
        connection.commit()
    done = application.move()
    assert done.status == 1
    assert "session.uid (id=3): 'seven' is not integer" in done.errors[0]
    assert rows_of(database_dsn, "select * from settings") == [("language", "en")]
    assert rows_of(database_dsn, "select count(*) from session") == [(0,)]
    assert not (application.folder / "secrets.yml").exists()


def test_every_step_can_be_done_again(application: Application, database_dsn: str) -> None:
    """A second time nothing is written, copied or changed; the rows ask for --force."""
    assert application.move().status == 0
    again = {step: application.move("--only", step) for step in STEPS[1:]}
    assert all(done.status == 0 for done in again.values()), again
    assert "already split" in again["split-config"].out
    assert "device: no row is without an owner" in again["backfill"].out
    assert "0 files copied, 0 bytes; 1 were there already" in again["documents"].out
    assert "2 passed" in again["validate"].out
    assert all("changed by this move" not in done.out for done in again.values())
    refused = application.move()
    assert refused.status == 1
    assert "✗ target schema public: device, session hold rows" in refused.out
    alone = application.move("--only", "transfer")
    assert alone.status == 1
    assert "the target's own tables hold rows already" in alone.errors[0]
    assert application.move("--resume").status == 0  # the rows of the transfer before are there: it is done
    forced = application.move("--force")
    assert forced.status == 0, forced.out
    check_moved(application, database_dsn)
    ahead = application.move("--from", "documents")
    assert ahead.status == 0
    assert (
        "backfill" not in ahead.out.partition("originals:")[0].partition("documents: done")[0].partition("move.toml")[2]
    )


def test_resume_needs_the_same_plan_and_the_same_source(application: Application) -> None:
    """Going on with other rows, or by another plan, would end in something that nobody has asked for."""
    nothing = application.move("--resume")
    assert nothing.status == 2
    assert "no earlier move is written down" in nothing.errors[0]
    (application.folder / "fail-documents").touch()
    assert application.move().status == 1
    with closing(sqlite3.connect(application.database)) as connection:
        connection.execute("insert into session values (9, 'late', null, null)")
        connection.commit()
    changed = application.move("--resume")
    assert changed.status == 1
    assert f"{application.database} has changed since the move began" in changed.errors[0]
    application.change_plan('person = "ada"', 'person = "eve"')
    other = application.move("--resume")
    assert other.status == 2
    assert "is not the plan of the earlier move" in other.errors[0]


def test_an_interrupted_move_says_what_was_done_and_goes_on(application: Application, database_dsn: str) -> None:
    """Ctrl-C while a command of the plan runs: the command is ended, the status is 130, --resume does the rest."""
    program = application.folder / "slow"
    program.write_text("#!/bin/sh\necho $$ > running\nexec sleep 60\n")
    program.chmod(0o755)
    application.change_plan('index = "./program documents"', 'index = "./slow"')
    with subprocess.Popen(
        application.etl.command("move", application.plan),
        cwd=application.etl.folder,
        env=application.etl.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        running = application.folder / "running"
        deadline = time.monotonic() + 60
        while not (running.exists() and running.read_text().strip()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "documents: failed" in out
    assert "to go on, once mended" in out
    assert "interrupted; what was done and what was not stands above" in err
    with pytest.raises(ProcessLookupError):
        os.kill(int(running.read_text()), 0)
    program.write_text("#!/bin/sh\nexit 0\n")
    again = application.move("--resume")
    assert again.status == 0, again.out + again.err
    check_moved(application, database_dsn)


def test_a_plan_for_what_is_found_here(application: Application, database_dsn: str) -> None:
    """--init writes a plan that can be read as it is, and takes nothing away."""
    made = application.folder / "drafted.toml"
    done = application.etl("move", "--init", made)
    assert done.status == 0, done.err
    text = made.read_text()
    for part in ('"./source.db"', '"./config.yml"', '"./.env"', '"./docs"', '"TOKEN"', '"schema_migrations"'):
        assert part in text
    made.write_text(text.replace("/etc/", f"{application.folder}/etc/").replace("/usr/", f"{application.folder}/usr/"))
    dry = application.etl("move", made, "--dry-run", "--embedded", application.folder / "pg")
    assert dry.status == 0, dry.out + dry.err
    again = application.etl("move", "--init", made)
    assert again.status == 2
    assert "is there already" in again.errors[0]


def test_flags_of_the_plan_are_flags(application: Application, database_dsn: str) -> None:
    """[migrate] takes what the command line takes; what is typed goes before; what is unknown is named."""
    application.plan.write_text(application.plan.read_text() + '[migrate]\nexclude = ["device"]\nverify = "none"\n')
    done = application.move("--only", "transfer", "--exclude", "settings", "--exclude", "schema_migrations")
    assert done.status == 0, done.out + done.err
    assert "not verified" in done.out
    assert rows_of(database_dsn, "select count(*) from device") == [(2,)]
    application.change_plan("verify =", "verfy =")
    wrong = application.move()
    assert wrong.status == 2
    assert "[migrate] verfy: no flag of a plan has this name" in wrong.errors[0]


def test_verification_knows_the_owner_later_too(application: Application, database_dsn: str) -> None:
    """Years after, with the report of the move: filled in the transfer or by the update, it is no difference."""
    report = application.folder / "r.json"
    assert application.move("--report", report).status == 0
    later, statuses = application.folder / "later.json", list[int]()

    def verdicts() -> dict[str, str]:
        done = application.etl("verify", application.database, database_dsn, "--plan", report, "--report", later)
        statuses.append(done.status)
        return {table["name"]: table["verdict"] for table in json.loads(later.read_text())["tables"]}

    assert verdicts() == {"session": "equal", "device": "equal", "settings": "equal"}
    run_apart(execute(database_dsn, "update device set owner = 'eve' where id = 1"))
    assert verdicts() == {"session": "equal", "device": "different", "settings": "equal"}
    assert statuses == [0, 4]


def test_a_dry_run_compares_with_tables_that_are_there(application: Application, database_dsn: str) -> None:
    """A column that the application has not is found before anything was moved, not after."""
    tables = ["create table session (id bigint primary key, title text, owner text, uid integer)"]
    run_apart(execute(database_dsn, *tables, "create table device (id bigint primary key, owner text)"))
    application.change_plan('target_schema = "./program transfer"', "")
    done = application.move("--dry-run")
    assert done.status == 1
    assert "device.name: the target's table device has no such column" in done.errors[0]
    run_apart(execute(database_dsn, "alter table device add column name text"))
    dry = application.move("--dry-run")
    assert dry.status == 0, dry.out + dry.err
    assert "transfer: every row of" in dry.out
    assert rows_of(database_dsn, "select count(*) from session") == [(0,)]
    assert not (application.folder / "move.state").exists()


def test_originals_are_never_written_over(application: Application) -> None:
    """Not even with --force, and not by way of a link."""
    (application.folder / "link.yml").symlink_to(application.folder / "config.yml")
    before = contents(application.folder)
    for path in ("./config.yml", "./link.yml", "./.env"):
        application.plan.write_text(application.plan.read_text().replace("./system.yml", path))
        done = application.move("--only", "split-config", "--force")
        assert done.status == 1
        assert "is an original" in done.errors[0]
        application.plan.write_text(application.plan.read_text().replace(f'path = "{path}"', 'path = "./system.yml"'))
    assert contents(application.folder) == before


def test_a_config_file_in_the_way_is_kept(application: Application) -> None:
    """Without --force nothing is written, with it a copy stays; the secrets go to the account that the plan names."""
    (application.folder / "system.yml").write_text("mine: 1\n")
    refused = application.move("--only", "split-config")
    assert refused.status == 1
    assert "is there already and says something else" in refused.errors[0]
    assert not (application.folder / "secrets.yml").exists()
    done = application.move("--only", "split-config", "--force")
    assert done.status == 0, done.out
    assert (application.folder / "system.yml.before-move.1").read_text() == "mine: 1\n"
    assert "name: x" in (application.folder / "system.yml").read_text()


def test_tables_that_nobody_has_made_are_made(application: Application, database_dsn: str) -> None:
    """Without a schema of the application's own, the move makes the tables as they are in the source."""
    application.change_plan('target_schema = "./program transfer"', "")
    done = application.move()
    assert done.status == 0, done.out + done.err
    assert rows_of(database_dsn, "select owner, uid from session order by id") == [
        ("ada", 1000),
        ("ada", 1000),
        ("grace", 7),
    ]
    assert "session: 2 rows got their owner" in done.out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_transfer_that_is_cut_off_leaves_nothing_half(
    application: Application, database_dsn: str, number: signal.Signals, status: int
) -> None:
    """Rows of the target as before, the source byte for byte, and --resume begins the transfer anew."""
    with closing(sqlite3.connect(application.database)) as connection:
        connection.execute(
            "with recursive n(i) as (select 10 union all select i + 1 from n where i < 400000)"
            " insert into session select i, 'title ' || i, 'grace', 7 from n"
        )
        connection.commit()
    upgrade = application.folder / "upgrade"
    upgrade.write_text(
        f"#!{sys.executable}\nimport sqlite3, sys\nconnection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute(\"insert into schema_migrations values ('2')\")\nconnection.commit()\n"
    )
    upgrade.chmod(0o755)
    application.change_plan(
        "[preflight]\n",
        '[preflight]\nschema_version = { table = "schema_migrations", column = "version", expect = "2",'
        ' upgrade = "./upgrade {database}" }\n',
    )
    before = contents(application.folder)
    with subprocess.Popen(
        application.etl.command("move", application.plan, "--progress", "plain"),
        cwd=application.etl.folder,
        env=application.etl.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("load: about"):
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == status, out + err
    if number is not signal.SIGKILL:
        assert "transfer: failed" in out
        assert "upgraded.db" not in {path.name for path in (application.folder / "move.state").iterdir()}
    assert rows_of(database_dsn, "select count(*) from session") == [(0,)]
    assert rows_of(database_dsn, "select * from settings") == [("language", "en")]
    assert contents(application.folder) == before
    again = application.move("--resume")
    assert again.status == 0, again.out + again.err
    assert rows_of(database_dsn, "select count(*) from session where owner = 'grace'") == [(399_992,)]
    assert contents(application.folder) == before
    assert {path.name for path in (application.folder / "move.state").iterdir()} == {"journal.json"}
