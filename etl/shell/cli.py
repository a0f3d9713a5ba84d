"""The command line: every command and flag, and nothing of what they do.

Invariant: only click is imported here, everything else inside a command, so that ``etl --help`` answers at once.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from etl.shell.flags import (
    Word,
    differences,
    embedding,
    leaving,
    loading,
    matching,
    option,
    password,
    selection,
    telling,
    values,
    verification,
)


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
@loading
@option("--resume", is_flag=True, help="Go on after a run that ended in the middle: its finished tables are kept.")
@option(
    "--from-rejects", metavar="DIR", help="Load the rows of an earlier run's reject files, mended, and nothing else."
)
@embedding
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
@matching
@option("--sample", type=click.IntRange(min=1), metavar="N", help="Read only the first N rows of each table.")
@embedding
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
@click.argument("source", required=False)
@click.argument("target", required=False)
@selection
@values
@option(
    "--mode",
    type=Word(("create", "fill")),
    default="create",
    show_default=True,
    help="Whose the tables are: made by a run, or the application's own, of which the rows alone are compared.",
)
@leaving
@verification
@differences
@option("--plan", metavar="FILE.json", help="Types, readings and flags of the run that wrote this report.")
@option("--against", metavar="FILE.json", help="No SOURCE: is TARGET still what this report says?")
@embedding
@password
@telling
@click.pass_context
def verify(ctx: click.Context, /, **flags: Any) -> None:
    """Compare every value of SOURCE with TARGET; nothing is written anywhere.

    With --against only TARGET is given, and compared with the checksums in the report of an earlier run.
    """
    from etl.shell.commands import run_verify

    ctx.exit(run_verify(ctx, flags))


@etl.command()
@click.argument("plan", required=False, metavar="PLAN.toml")
@option("--init", is_flag=True, help="Write a commented plan for this folder, filled with what is found, and stop.")
@option("--resume", is_flag=True, help="Go on after the step that failed.")
@option("--only", metavar="STEP", help="Run one step.")
@option("--from", metavar="STEP", help="Run this step and those after it.")
@loading
@selection
@values
@embedding
@option("--yes", is_flag=True, help="Do not ask before using a target from the environment.")
@password
@telling
@click.pass_context
def move(ctx: click.Context, /, **flags: Any) -> None:
    """Move a whole application, as PLAN.toml says: from one user's SQLite to PostgreSQL for many.

    detect, preflight, transfer, split-config, backfill, documents, validate; then how to go back. The originals are
    never changed. With --dry-run only the first two, and what the others would do.
    """
    from etl.shell.move_command import run_move

    ctx.exit(run_move(ctx, flags))


@etl.command()
@click.argument("target", required=False)
@option("--yes", is_flag=True, help="Do not ask before using a target from the environment.")
@password
@telling
@click.pass_context
def clean(ctx: click.Context, /, **flags: Any) -> None:
    """Drop from TARGET what runs that ended in the middle have left there; published tables are not touched."""
    from etl.shell.commands import run_clean

    ctx.exit(run_clean(ctx, flags))


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
    if arguments is None:  # the process is ours, and all is told: on its way out a signal would only hide the status
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    gc.freeze()  # or the interpreter, on its way out, would look for garbage among all that was imported
    sys.exit(status if isinstance(status, int) else 0)


def tell_usage(error: click.ClickException) -> int:
    """One line and a hint for what click found wrong; returns the exit status, 2."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "etl"
    message = " ".join(error.format_message().split())
    click.echo(f"error: {message}", err=True)
    click.echo(f"hint: {command} --help lists what it takes", err=True)
    return error.exit_code
