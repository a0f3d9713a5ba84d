"""The command line: every command and flag, and nothing of what they do.

Invariant: only click is imported here, everything else inside a command, so that ``etl --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LOG_LEVELS = ("debug", "info", "warning", "error")
PROGRESS_KINDS = ("auto", "bar", "plain", "json", "none")


class Word(click.Choice[str]):
    """A choice that names the word that was probably meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            import difflib

            near = difflib.get_close_matches(str(value), self.choices, n=1, cutoff=0.5)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise click.BadParameter(f"{error.message}{meant}", ctx, param) from None


class PageBytes(click.ParamType[int]):
    """A size such as 512kB or 2MB, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from etl.shell.invocation import read_page_bytes

        try:
            return read_page_bytes(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """A flag that ETL_<NAME> sets too."""
    long = next(name for name in names if name.startswith("--"))
    variable = "ETL_" + long.split("/")[0].removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=variable, **settings)


def together(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, shown by --help in this order."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def read_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Make the settings of etl.toml the defaults of this command's flags."""
    from pathlib import Path

    from etl.shell.settings import FILE_NAME, read_settings

    path = Path(value or FILE_NAME)
    if value is None and not path.exists():
        return
    known = {name: _parameter_names(command) for name, command in etl.commands.items()}
    found = read_settings(path, str(ctx.info_name), known)
    for parameter in ctx.command.params:
        setting = found.get(str(parameter.name))
        if parameter.multiple and setting is not None and not isinstance(setting, list):
            found[str(parameter.name)] = [setting]
    ctx.default_map = found


def _parameter_names(command: click.Command) -> frozenset[str]:
    return frozenset(str(parameter.name) for parameter in command.params) - {"config", "help"}


selection = together(
    option("--tables", multiple=True, metavar="GLOB", help="Only these tables; may be repeated."),
    option("--exclude", multiple=True, metavar="GLOB", help="All tables but these; may be repeated."),
    option("--target-schema", default="public", show_default=True, metavar="NAME", help="Schema of the target."),
    option(
        "--cast",
        multiple=True,
        metavar="TABLE.COLUMN=TYPE[:READING]",
        help="Another type for a column; globs; may be repeated.",
    ),
    option("--jobs", type=click.IntRange(1, 64), metavar="N", help="Tables at once.  [default: cores, at most 4]"),
)
values = together(
    option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Where times without an offset are."),
    option("--ambiguous", type=Word(("earliest", "latest")), help="Local times that exist twice or not at all."),
    option("--zero-dates", type=Word(("refuse", "null")), default="refuse", show_default=True, help="0 as a date."),
    option("--empty-as-null", is_flag=True, help="'' is NULL in columns that are not text."),
    option("--nul", type=Word(("refuse", "strip")), default="refuse", show_default=True, help="NUL inside text."),
    option("--encoding", type=Word(("latin1",)), help="How to read text that is not UTF-8.  [default: refuse it]"),
    option("--truncate", is_flag=True, help="Cut text to the n of varchar(n) and char(n)."),
    option("--integers", type=Word(("bigint", "fit")), default="bigint", show_default=True, help="Types of integers."),
)
telling = together(
    option("--report", multiple=True, metavar="FILE", help="Write the report here too, FILE.json; may be repeated."),
    option("--progress", type=Word(PROGRESS_KINDS), default="auto", show_default=True, help="How to show progress."),
    option("--log-level", type=Word(LOG_LEVELS), default="warning", show_default=True, help="What to log on stderr."),
    option("--debug", is_flag=True, help="Show the traceback of a failure."),
    click.option(
        "--config",
        is_eager=True,
        expose_value=False,
        callback=read_config,
        envvar="ETL_CONFIG",
        metavar="FILE.toml",
        help="Settings named as the flags.  [default: etl.toml]",
    ),
)
password = option("-p", "--ask-password", is_flag=True, help="Ask for the password of the target.")


def show_versions(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Print the table of versions and leave."""
    if value:
        from etl.shell.versions import describe_versions

        click.echo(describe_versions())
        ctx.exit()


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every flag may also be set as ETL_<FLAG> or in etl.toml. Exit status: 0 done and equal, 1 failed, 2 usage, "
    "3 rows rejected, 4 different, 5 schema objects need you, 130/143 interrupted.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_versions, help="Show all versions."
)
@click.pass_context
def etl(ctx: click.Context) -> None:
    """Move SQLite databases into PostgreSQL: fast, flat in memory, and proven equal at the end."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@etl.command()
@click.argument("source")
@click.argument("target", required=False)
@selection
@values
@option("--force", is_flag=True, help="Replace the target tables that are in the way (never CASCADE).")
@option("--dry-run", is_flag=True, help="Print the plan and stop; nothing is written anywhere.")
@option("--verify", type=Word(("full", "none")), default="full", show_default=True, help="Compare every value.")
@option("--accept-untranslated", is_flag=True, help="Exit 0 although views, triggers or checks were not translated.")
@option(
    "--on-error",
    type=Word(("stop", "reject")),
    default="stop",
    show_default=True,
    help="What a value that cannot be held does: stop the run, or send its row to a file.",
)
@option("--rejects", default="rejects", show_default=True, metavar="DIR", help="Where rejected rows go.")
@option(
    "--from-rejects", metavar="DIR", help="Load the rows of an earlier run's reject files, mended, and nothing else."
)
@option("--coercion-log", metavar="FILE", help="Write every coerced value here, one JSON object a line.")
@option("--embedded", metavar="DIR", help="Migrate into a PostgreSQL of its own in this folder.")
@option("--keep-running", is_flag=True, help="Leave the embedded PostgreSQL running.")
@option("--page-bytes", type=PageBytes(), default="2MB", show_default=True, help="Size of a page of rows.")
@option("--yes", is_flag=True, help="Do not ask before using a target from the environment.")
@password
@telling
@click.pass_context
def migrate(ctx: click.Context, /, **flags: Any) -> None:
    """Move SOURCE, a SQLite file, into TARGET, a PostgreSQL DSN.

    TARGET defaults to DATABASE_URL, then to the PG* variables. Nothing is visible in the target before all of it is
    there and verified.
    """
    from etl.shell.commands import run_migrate

    ctx.exit(run_migrate(ctx, flags))


@etl.command()
@click.argument("source")
@click.argument("target", required=False)
@selection
@values
@option("--sample", type=click.IntRange(min=1), metavar="N", help="Read only the first N rows of each table.")
@password
@telling
@click.pass_context
def inspect(ctx: click.Context, /, **flags: Any) -> None:
    """Read all of SOURCE and say what a migration would do with it; nothing is written anywhere.

    For every column: what it holds, what it becomes, what is coerced by which rule, what is refused, and the flag that
    solves it. With TARGET also which names are taken there. Exit status: that of the migration, as far as SOURCE tells.
    """
    from etl.shell.commands import run_inspect

    ctx.exit(run_inspect(ctx, flags))


@etl.command()
@click.argument("source")
@click.argument("target", required=False)
@selection
@values
@password
@telling
@click.pass_context
def verify(ctx: click.Context, /, **flags: Any) -> None:
    """Compare every value of SOURCE with TARGET; nothing is written anywhere."""
    from etl.shell.commands import run_verify

    ctx.exit(run_verify(ctx, flags))


@etl.command()
@option("--dir", default="demo", show_default=True, metavar="DIR", help="Where the demo lives.")
@option("--rows", type=click.IntRange(100, 50_000_000), default=200_000, show_default=True, help="Size of the sample.")
@option("--stop", is_flag=True, help="Stop the demo's PostgreSQL.")
@telling
@click.pass_context
def demo(ctx: click.Context, /, **flags: Any) -> None:
    """Migrate a sample database into a PostgreSQL of its own and verify it."""
    from etl.shell.commands import run_demo

    ctx.exit(run_demo(ctx, flags))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The program: runs the command and exits with its status."""
    try:
        status = etl.main(arguments, prog_name="etl", standalone_mode=False)
    except click.Abort:
        click.echo("interrupted", err=True)
        status = 130
    except click.ClickException as error:
        status = tell_usage(error)
    except (Exception, KeyboardInterrupt) as error:
        from etl.shell.console import tell_failure

        status = tell_failure(error, [], debug="--debug" in (sys.argv if arguments is None else arguments))
    sys.exit(status if isinstance(status, int) else 0)


def tell_usage(error: click.ClickException) -> int:
    """One line and a hint for what click found wrong; returns the exit status, 2."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "etl"
    message = " ".join(error.format_message().split())
    click.echo(f"error: {message}", err=True)
    click.echo(f"hint: {command} --help lists what it takes", err=True)
    return error.exit_code
