"""The flags that several commands have in common, and where their values come from: ETL_*, etl.toml, the command line.

Invariant: only click is imported here, as in ``cli``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

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


class ReadBy(click.ParamType[Any]):
    """A value that a function of ``invocation`` reads; imported when there is one to read."""

    def __init__(self, name: str, reader: str) -> None:
        self.name = name
        self._reader = reader

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from etl.shell import invocation

        try:
            return getattr(invocation, self._reader)(str(value))
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
    group = ctx.find_root().command
    known = {name: _parameter_names(command) for name, command in getattr(group, "commands", {}).items()}
    found = read_settings(path, str(ctx.info_name), known)
    for parameter in ctx.command.params:
        setting = found.get(str(parameter.name))
        if parameter.multiple and setting is not None and not isinstance(setting, list):
            found[str(parameter.name)] = [setting]
    ctx.default_map = found


def _parameter_names(command: click.Command) -> frozenset[str]:
    return frozenset(str(parameter.name) for parameter in command.params) - {"config", "help"}


naming = together(
    option("--lowercase", is_flag=True, help="Fold names to lower case, as PostgreSQL reads them without quotes."),
    option(
        "--text-collation",
        type=Word(("C", "db")),
        default="C",
        show_default=True,
        help="Order of text in keys and indexes: by bytes, as in SQLite, or the database's own.",
    ),
    option(
        "--nocase",
        type=Word(("lower", "citext", "icu")),
        default="lower",
        show_default=True,
        help="COLLATE NOCASE becomes text with indexes on lower(), the type citext, or text of an ICU collation.",
    ),
)
selection = together(
    option("--tables", multiple=True, metavar="GLOB", help="Only these tables; may be repeated."),
    option("--exclude", multiple=True, metavar="GLOB", help="All tables but these; may be repeated."),
    option(
        "--target-schema",
        type=ReadBy("name", "read_schema_name"),
        default="public",
        show_default=True,
        metavar="NAME",
        help="Schema of the target.",
    ),
    option(
        "--cast",
        multiple=True,
        metavar="TABLE.COLUMN=TYPE[:READING]",
        help="Another type for a column; globs; may be repeated.",
    ),
    option("--jobs", type=click.IntRange(1, 64), metavar="N", help="Tables at once.  [default: cores, at most 4]"),
    naming,
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
leaving = together(
    option("--keep", multiple=True, metavar="GLOB", help="Leave these tables of the target as they are; repeatable."),
    option(
        "--ignore-columns",
        multiple=True,
        metavar="TABLE.COLUMN",
        help="Leave these columns behind, which the target's own tables have not; globs; repeatable.",
    ),
)
matching = together(
    option(
        "--mode",
        type=Word(("auto", "create", "fill", "replace")),
        default="auto",
        show_default=True,
        help="Fill the tables that the target has and create the others; only one of the two; or replace them.",
    ),
    option(
        "--rebuild-dependents",
        is_flag=True,
        help="With --mode replace: make foreign keys, views and triggers of others again upon the new tables.",
    ),
    option("--force", is_flag=True, help="Empty target tables that hold rows, in the transaction that fills them."),
    option("--empty", multiple=True, metavar="GLOB", help="Empty these alone, as --force does all; repeatable."),
    leaving,
    option(
        "--per-table",
        is_flag=True,
        help="Fill each table in a transaction of its own, several at once; a run that fails leaves some filled.",
    ),
)
ownership = together(
    option("--staging-schema", metavar="NAME", help="Build in this empty schema instead of a new one."),
    option("--owner", metavar="ROLE", help="Whose the created tables are.  [default: the role that connects]"),
    option("--grant", multiple=True, metavar="ROLE[=PRIVILEGES]", help="Privileges on the created tables; repeatable."),
)
verification = option(
    "--verify",
    type=Word(("full", "digest", "count", "none")),
    default="full",
    show_default=True,
    help="Compare every value, a digest of every row computed by the server, row counts, or nothing.",
)
differences = option("--differences", metavar="FILE", help="Write every difference here, one JSON object a line.")
loading = together(
    matching,
    ownership,
    option("--dry-run", is_flag=True, help="Print the plan and stop; nothing is written anywhere."),
    option("--no-keep", is_flag=True, help="After a failure, keep nothing that --resume could go on from."),
    option("--schema-only", is_flag=True, help="Create everything but the rows."),
    option("--no-indexes", is_flag=True, help="Leave out the indexes that keep no values apart."),
    verification,
    differences,
    option(
        "--accept-untranslated", is_flag=True, help="Exit 0 although views, triggers or checks were not translated."
    ),
    option(
        "--on-error",
        type=Word(("stop", "reject")),
        default="stop",
        show_default=True,
        help="What a value that cannot be held does: stop the run, or send its row to a file.",
    ),
    option(
        "--orphans",
        type=Word(("stop", "not-valid", "reject")),
        help="Rows without a parent: stop, leave the key NOT VALID, or send them to a file.  [default: as --on-error]",
    ),
    option("--rejects", default="rejects", show_default=True, metavar="DIR", help="Where rejected rows go."),
    option("--coercion-log", metavar="FILE", help="Write every coerced value here, one JSON object a line."),
    option(
        "--page-bytes",
        type=ReadBy("size", "read_page_bytes"),
        default="2MB",
        show_default=True,
        help="Size of a page of rows.",
    ),
)
embedding = together(
    option("--embedded", metavar="DIR", help="No TARGET: a PostgreSQL of its own in this folder, started for the run."),
    option("--keep-running", is_flag=True, help="Leave the embedded PostgreSQL running."),
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
