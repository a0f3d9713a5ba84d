"""The command line reads flags, environment and etl.toml, imports nothing that it does not need, and fails politely."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from etl.errors import EtlError, ExitStatus, RefusedValueError, SourceError, UsageError
from etl.model import Refusal, StorageClass
from etl.shell import cli, commands, console
from etl.shell.invocation import check_reports, find_source, find_target, make_options, read_page_bytes
from etl.shell.settings import read_settings


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The flags with which `migrate` would run; the working folder is empty and the environment has no ETL_*."""
    found: dict[str, Any] = {}

    def remember(ctx: click.Context, flags: Mapping[str, Any]) -> int:
        found.update(flags)
        return 0

    for name in [name for name in os.environ if name.startswith("ETL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "run_migrate", remember)
    return found


def run(*arguments: str) -> int:
    """The exit status of the command line."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return int(left.value.code or 0)


def test_help_imports_only_click() -> None:
    """Neither the stages nor a driver nor rich is loaded to print help."""
    code = "import sys; from etl.shell.cli import etl; etl(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.splitlines()[-1].split())
    heavy = {
        "asyncio",
        "asyncpg",
        "pyarrow",
        "numpy",
        "sqlalchemy",
        "sqlglot",
        "rich",
        "aiosqlite",
        "sqlite3",
        "orjson",
    }
    assert not heavy & modules
    assert {name for name in modules if name.startswith("etl.")} == {"etl.shell", "etl.shell.cli", "etl.shell.flags"}


def test_the_move_is_imported_by_nobody_but_the_move() -> None:
    """A migration does not pay for what stands around it: neither the package nor its YAML."""
    code = "import sys, etl.shell.commands, etl.pipeline; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert "etl.pipeline" in modules
    assert [name for name in modules if name.startswith(("etl.move", "ruamel"))] == []


def test_help_answers_at_once() -> None:
    """The best of five starts stays below 0.3 s; where others keep every core busy, waiting for one does not count."""
    times = []
    for _ in range(5):
        started, used_before = time.perf_counter(), cpu_of_children()
        subprocess.run([sys.executable, "-m", "etl", "--help"], capture_output=True, check=True)
        wall, used = time.perf_counter() - started, cpu_of_children() - used_before
        is_crowded = os.getloadavg()[0] > (os.cpu_count() or 1)
        times.append(used if is_crowded else wall)
    assert min(times) <= 0.3


def cpu_of_children() -> float:
    """User and system seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_flags_reach_the_run(seen: dict[str, Any]) -> None:
    """Sizes are bytes, globs come as a tuple, and what is not given has its default."""
    assert run("migrate", "a.db", "postgresql:///x", "--tables", "a*", "--tables", "b", "--page-bytes", "512kB") == 0
    assert seen["tables"] == ("a*", "b")
    assert seen["page_bytes"] == 512 << 10
    assert seen["verify"] == "full"
    assert seen["force"] is False


def test_every_flag_comes_from_the_environment_too(seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """ETL_<FLAG> is the default of --flag, and the command line wins."""
    for name, value in {"JOBS": "3", "FORCE": "1", "EXCLUDE": "a b*", "PAGE_BYTES": "1MB", "VERIFY": "none"}.items():
        monkeypatch.setenv(f"ETL_{name}", value)
    assert run("migrate", "a.db", "postgresql:///x", "--verify", "full") == 0
    assert (seen["jobs"], seen["force"], seen["exclude"], seen["page_bytes"]) == (3, True, ("a", "b*"), 1 << 20)
    assert seen["verify"] == "full"


def test_every_flag_has_its_variable() -> None:
    """No flag was added without one."""
    for command in cli.etl.commands.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                expected = "ETL_" + str(parameter.name).upper()
                assert parameter.envvar == expected, f"{command.name} {parameter.opts}"


def test_every_flag_has_help() -> None:
    """--help explains each of them."""
    for command in cli.etl.commands.values():
        assert command.help
        assert all(p.help for p in command.params if isinstance(p, click.Option))


def test_settings_come_from_etl_toml(seen: dict[str, Any]) -> None:
    """The command's section wins over the top, the environment over both, names may have dashes."""
    Path("etl.toml").write_text('jobs = 3\ntarget-schema = "a"\ntables = "one*"\n[migrate]\ntarget-schema = "b"\n')
    assert run("migrate", "a.db", "postgresql:///x") == 0
    assert (seen["jobs"], seen["target_schema"], seen["tables"]) == (3, "b", ("one*",))


def test_config_names_another_file(seen: dict[str, Any]) -> None:
    """--config FILE replaces etl.toml, and a file that is not there is an error."""
    Path("etl.toml").write_text("jobs = 3\n")
    Path("other.toml").write_text("jobs = 4\n")
    assert run("migrate", "a.db", "postgresql:///x", "--config", "other.toml") == 0
    assert seen["jobs"] == 4
    assert run("migrate", "a.db", "postgresql:///x", "--config", "none.toml") == 2


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("jobbs = 3", "jobbs: no such setting", "did you mean jobs?"),
        ("[migrat]\njobs = 3", "migrat: no such setting", "did you mean migrate?"),
        ("[verify]\nforce = true", "[verify] force: no such setting", "the names are those of the flags"),
        ("jobs = = 3", "is not TOML", "jobs = 4"),
    ],
)
def test_a_misspelt_setting_is_an_error(tmp_path: Path, content: str, message: str, hint: str) -> None:
    """It would silently not apply."""
    path = tmp_path / "etl.toml"
    path.write_text(content)
    known = {"migrate": frozenset({"jobs", "force"}), "verify": frozenset({"jobs"})}
    with pytest.raises(UsageError) as caught:
        read_settings(path, "migrate", known)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["migrate", "a.db", "x", "--forc"], "Did you mean one of: '--force', '--owner'?"),
        (["migrat"], "Did you mean 'migrate'?"),
        (["migrate", "a.db", "x", "--progress", "plian"], "Did you mean 'plain'?"),
        (["migrate", "a.db", "x", "--jobs", "none"], "'none' is not a valid integer"),
        (["migrate", "a.db", "x", "--page-bytes", "1"], "between 16kB and 64MB"),
        (["migrate", "a.db", "x", "--target-schema", ""], "the name is empty"),
        (["migrate", "a.db", "x", "--target-schema", "é" * 32], "at most 63 bytes"),
        (["migrate", "a.db", "x", "--target-schema", "\udcff"], "is not UTF-8"),
        (["migrate", "a.db", "x", "--target-schema", "pg_catalog"], "belongs to the server"),
        (["migrate"], "Missing argument 'SOURCE'"),
        (["migrate", "a.db", "x", "y"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_a_hint(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, and the word that was probably meant."""
    assert run(*arguments) == ExitStatus.USAGE
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")


def test_version_is_a_table_for_bug_reports(capsys: pytest.CaptureFixture[str]) -> None:
    """etl, Python, both SQLite libraries and the drivers."""
    assert run("--version") == 0
    told = capsys.readouterr().out
    for name in ("etl", "Python", "SQLite of Python", "SQLite of ADBC", "asyncpg", "pyarrow", "pgpq"):
        assert f"\n{name} " in f"\n{told}"


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer who types `etl` sees what there is."""
    assert run() == 0
    assert "migrate" in capsys.readouterr().out


# --- source and target -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["{}", "sqlite:///{}", "sqlite+aiosqlite:///{}"])
def test_a_source_is_a_path_or_a_url(sqlite_path: Path, spelling: str) -> None:
    """All spellings name the same file."""
    assert find_source(spelling.format(sqlite_path)) == sqlite_path


def test_a_missing_source_names_the_one_that_was_meant(sqlite_path: Path) -> None:
    """And is not created."""
    wrong = sqlite_path.with_name("sorce.db")
    with pytest.raises(SourceError, match="no such file") as caught:
        find_source(str(wrong))
    assert str(sqlite_path) in str(caught.value.hint)
    assert not wrong.exists()


def test_the_target_is_looked_for_in_order() -> None:
    """TARGET, then DATABASE_URL, then PG*."""
    environment = {"DATABASE_URL": "postgresql://h/url", "PGHOST": "h"}
    assert find_target("postgresql://h/given", True, environment).dsn == "postgresql://h/given"
    assert find_target(None, False, environment).dsn == "postgresql://h/url"
    assert find_target(None, False, {"PGHOST": "h"}).dsn == ""
    with pytest.raises(UsageError, match="no target") as caught:
        find_target(None, False, {})
    assert "--embedded" in str(caught.value.hint)


@pytest.mark.parametrize("dsn", ["postgres://h/d", "postgresql+asyncpg://h/d", "host=h dbname=d"])
def test_every_spelling_of_a_dsn_is_a_target(dsn: str) -> None:
    """The rest is the connection's business."""
    assert find_target(dsn, True, {}).dsn == dsn


@pytest.mark.parametrize("dsn", ["mysql://h/d", "sqlite:///x.db", "app.db", ""])
def test_what_is_no_dsn_is_refused(dsn: str) -> None:
    """A DATABASE_URL is often that of the SQLite database itself."""
    with pytest.raises(UsageError, match="not a PostgreSQL DSN"):
        find_target(dsn, True, {})


def test_a_target_of_the_environment_needs_a_yes(sqlite_path: Path) -> None:
    """Without a terminal nobody can be asked, so nothing happens; the password is not shown."""
    done = subprocess.run(
        [sys.executable, "-m", "etl", "migrate", str(sqlite_path)],
        env={**os.environ, "DATABASE_URL": "postgresql://ada:s3cret@127.0.0.1:1/app"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == ExitStatus.USAGE
    assert "comes from DATABASE_URL (postgresql://ada:***@127.0.0.1:1/app)" in done.stderr
    assert "--yes" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_options_are_named_as_the_flags_are(sqlite_path: Path) -> None:
    """Each flag that the pipeline knows arrives in its field."""
    flags = {"tables": ("a",), "exclude": (), "cast": ("t.c=text",), "jobs": None, "force": True, "report": ()}
    options = make_options(sqlite_path, "postgresql:///x", flags)
    assert (options.tables, options.casts, options.force, options.source) == (("a",), ("t.c=text",), True, sqlite_path)
    assert options.jobs >= 1


def test_a_report_that_could_not_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    """Not after hours of loading."""
    with pytest.raises(EtlError, match="does not exist"):
        check_reports((str(tmp_path / "none" / "r.json"),))
    with pytest.raises(UsageError, match=r"FILE\.json|not known"):
        check_reports((str(tmp_path / "r.html"),))
    assert check_reports((str(tmp_path / "r.json"),)) == (tmp_path / "r.json",)


def test_page_bytes_have_sensible_bounds() -> None:
    """A page of a byte or of a gigabyte is a mistake."""
    assert read_page_bytes("2MB") == 2 << 20
    with pytest.raises(ValueError, match="between"):
        read_page_bytes("1GB")


# --- failures --------------------------------------------------------------------------------------------------------


def tell(error: BaseException, capsys: pytest.CaptureFixture[str], *dsns: str, debug: bool = False) -> tuple[int, str]:
    status = console.tell_failure(error, dsns, debug)
    return status, capsys.readouterr().err


def test_an_error_is_one_line_a_hint_and_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever line breaks a driver put into its message."""
    status, told = tell(SourceError("app.db: broken\n  detail", "take a backup"), capsys)
    assert (status, told) == (1, "error: app.db: broken detail\nhint: take a backup\n")


def test_an_unexpected_error_asks_for_debug(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback without --debug."""
    status, told = tell(KeyError("x"), capsys)
    assert status == 1
    assert told.startswith("error: internal error: KeyError: 'x'\n")
    assert "--debug" in told
    assert "Traceback" not in told


def test_debug_shows_the_traceback_without_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback that is sent to us holds no secret."""
    try:
        raise RuntimeError("cannot use postgresql://ada:s3cret@h/app")
    except RuntimeError as error:
        _, told = tell(error, capsys, "postgresql://ada:s3cret@h/app", debug=True)
    assert "Traceback" in told
    assert "s3cret" not in told


def test_the_cause_inside_a_group_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Tables run in a task group; its own name interests nobody."""
    group = ExceptionGroup("g", [RuntimeError("cancelled"), ExceptionGroup("h", [SourceError("the cause", "do x")])])
    assert tell(group, capsys)[1] == "error: the cause\nhint: do x\n"


def test_further_refused_values_are_listed_up_to_twenty(capsys: pytest.CaptureFixture[str]) -> None:
    """One failed run shows more than one problem, and not ten thousand."""
    refusals = [
        Refusal(
            "events", f"rowid={n}", "amount", StorageClass.TEXT, "'12,50'", "'12,50' is not numeric(10,2)", "--cast"
        )
        for n in range(30)
    ]
    status, told = tell(RefusedValueError(refusals), capsys)
    lines = told.splitlines()
    assert status == 1
    assert lines[0] == "error: events.amount (rowid=0): '12,50' is not numeric(10,2)"
    assert lines[1] == "  events.amount (rowid=1): '12,50' is not numeric(10,2)"
    assert lines[-2:] == ["  … and 9 more", "hint: --cast"]
    assert len(lines) == 1 + 20 + 1 + 1


def test_json_progress_and_report_do_not_meet(sqlite_path: Path) -> None:
    """Stdout stays empty when a run fails, so that a reader of the report never reads half of one."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "etl",
            "migrate",
            str(sqlite_path),
            "postgresql://ada@127.0.0.1:1/x",
            "--progress",
            "json",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    for line in done.stderr.splitlines():
        assert line.startswith(("error: ", "hint: ")) or json.loads(line)
