"""Parse one SQLite expression with sqlglot, and nothing more: no rendering, no reading of functions.

Invariant: the tree says what is written. Every function call stays a plain call with its name and arguments, so that
no rewriting of sqlglot (``date('now')`` folds to today, ``strftime`` changes its format) can reach the target.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from sqlglot import exp, parse_one
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError


class Untranslatable(Exception):  # noqa: N818 - nothing has failed: the object is reported instead of created
    """The expression has no translation that surely means the same; the message is the reason."""


class PlainFunctions(SQLite):
    """SQLite's grammar with every function call left as it is written: sqlglot's readings of them change meanings."""

    class Parser(SQLite.Parser):  # type: ignore[misc,valid-type]  # an attribute to mypy, a class to sqlglot
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CAST": SQLite.Parser.FUNCTION_PARSERS["CAST"]}
        NO_PAREN_FUNCTIONS: ClassVar[dict[str, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": SQLite.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
        LAMBDAS: ClassVar[dict[Any, Any]] = {}  # `f(doc -> 'key')` holds no lambda

    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        """What stands behind an arrow, as it is written."""
        return path


@lru_cache(maxsize=1024)
def parse(sql: str) -> exp.Expression:
    """The syntax tree of one SQLite expression. Raises Untranslatable."""
    query = parse_query(f"select {sql}")  # alone, `replace(…)` would be read as a statement
    if not isinstance(query, exp.Select) or len(query.expressions) != 1 or query.args.get("from_"):
        raise Untranslatable("the expression cannot be read")
    (node,) = query.expressions
    if not isinstance(node, exp.Expression) or isinstance(node, exp.Alias):
        raise Untranslatable("the expression cannot be read")
    return node


def parse_query(sql: str) -> exp.Expression:
    """The syntax tree of one SELECT. Raises Untranslatable."""
    try:
        node = parse_one(sql, dialect=PlainFunctions)
    except (SqlglotError, RecursionError) as error:
        raise Untranslatable("SQLite's text cannot be read") from error
    if not isinstance(node, exp.Expression):
        raise Untranslatable("SQLite's text cannot be read")
    return node


def unwrapped(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def written(node: exp.Expression) -> str:
    """The node as SQLite's SQL, for messages only."""
    return str(node.sql(dialect=SQLite))
