"""Translate window functions.

Invariant: rows are numbered only in an order that tells all of them apart. Where the order that is written leaves ties,
SQLite takes rows as it finds them, which is the order of their rowid: that is written behind it, where it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from etl.transform.schema.aggregates import AGGREGATES, TEXT_AGGREGATES, Aggregates
from etl.transform.schema.names import fold
from etl.transform.schema.operators import BIGINT, DOUBLE, NUMBERS
from etl.transform.schema.ordering import direction
from etl.transform.schema.scope import Operand, QueryScope, find_column, query_value
from etl.transform.schema.syntax import Untranslatable, unwrapped, written

RANKS = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})  # rows that are equal get the same
FRAMED = frozenset({"last_value", "nth_value"})  # what they find depends on where the frame ends: behind equal rows
ORDERED_KINDS = NUMBERS | {"text", "boolean", "date", "time", "timestamp", "timestamptz"}
BOUNDS = frozenset({"UNBOUNDED", "CURRENT ROW"})


@dataclass(frozen=True, slots=True)
class Window:
    """An OVER clause: what partitions and orders, and its frame, '' for the one that both sides take."""

    partition: Sequence[exp.Expression]
    order: Sequence[exp.Expression]
    frame: str
    counts_rows: bool  # the frame reaches so many rows, whatever they hold
    moves: bool  # rows leave the frame


@dataclass(frozen=True)
class Windows(Aggregates):
    """Translates values, aggregates and window functions within one scope."""

    def _window(self, node: exp.Expression) -> Operand:
        call, where = node.this, ""
        if not isinstance(self.scope, QueryScope):
            raise Untranslatable("window functions are translated within a view only")
        if isinstance(call, exp.Filter):
            call, where = call.this, f" filter (where {self.condition(call.expression.this, self.scope)})"
        if not isinstance(call, exp.Anonymous):
            raise Untranslatable(f"{written(node)} is not translated")
        name, arguments = call.name.lower(), call.expressions
        window = self._definition(node)
        numbering = name not in AGGREGATES | RANKS or window.counts_rows
        over = f"{where} over ({self._rendered(window, numbering, name)})"
        if name in AGGREGATES - TEXT_AGGREGATES:
            operand = self._aggregate(name, arguments, over)
            if window.moves and operand.kind in {"real", "number"} and name not in {"min", "max"}:
                raise Untranslatable(f"{name}() of reals in a moving frame adds up in another order")
            return operand
        return self._numbered(name, arguments, over)

    def _numbered(self, name: str, arguments: Sequence[exp.Expression], over: str) -> Operand:
        constants = [_constant(name, part) for part in arguments[1:2]]
        if name in {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist"} and not arguments:
            return Operand.of(f"{name}(){over}", DOUBLE if name in {"percent_rank", "cume_dist"} else BIGINT)
        if name == "ntile" and len(arguments) == 1:
            return Operand.of(f"(ntile({_constant(name, arguments[0])}){over})::bigint", BIGINT)
        wanted = {"lag": (1, 2, 3), "lead": (1, 2, 3), "first_value": (1,), "last_value": (1,), "nth_value": (2,)}
        if len(arguments) not in wanted.get(name, ()):
            raise Untranslatable(f"{name}() OVER is not translated")
        given = [self._legible(self.value(part)) for part in (arguments[0], *arguments[2:])]
        shape, type_ = given[0], given[0].type
        if len(given) > 1:
            results = self.unified(given)
            shape, type_ = results.shape, results.shape.type
            given = [replace(operand, sql=sql) for operand, sql in zip(given, results.sqls, strict=True)]
        first, *default = (f"({operand.sql})::{type_}" if len(given) > 1 else operand.sql for operand in given)
        return replace(shape, sql=f"{name}({', '.join((first, *constants, *default))}){over}", constant=False)

    # --- the window ------------------------------------------------------------------------------------------------

    def _definition(self, node: exp.Expression) -> Window:
        """What stands behind OVER, with what the window that it names adds."""
        named: Mapping[str, exp.Expression] = getattr(self.scope, "windows", {})
        base = node
        if node.args.get("alias") is not None:
            base = named.get(fold(node.alias), exp.Window())
            if base.args.get("alias") is not None or not base.args:
                raise Untranslatable(f"the window {node.alias} is not translated")
        order = node.args.get("order") or base.args.get("order")
        spec = node.args.get("spec") or base.args.get("spec")
        frame, moves = _frame(spec)
        return Window(
            node.args.get("partition_by") or base.args.get("partition_by") or (),
            order.expressions if order is not None else (),
            frame,
            frame.startswith("rows"),
            moves,
        )

    def _rendered(self, window: Window, numbering: bool, name: str) -> str:
        partition = [self._term(node).sql for node in window.partition]
        ordered = [self._term(term.this) for term in window.order]
        parts = [f"partition by {', '.join(partition)}"] if partition else []
        terms = [direction(operand, term) for operand, term in zip(ordered, window.order, strict=True)]
        if numbering and isinstance(self.scope, QueryScope):
            ties = self.scope.rows.ties([*partition, *(operand.sql for operand in ordered)])
            if ties and ((name in FRAMED and not window.counts_rows) or (name == "first_value" and window.moves)):
                raise Untranslatable(f"{name}() of rows that are equal in the order of its window is not translated")
            terms += ties
        parts += [f"order by {', '.join(terms)}"] if terms else []
        return " ".join((*parts, window.frame)).strip()

    def _term(self, node: exp.Expression) -> Operand:
        node = unwrapped(node)
        column = find_column(node, self.scope)
        if column is not None and column.collation != "BINARY":
            raise Untranslatable(f"a window by the collation {column.collation} is not translated")
        operand = query_value(column) if column is not None else self.value(node)
        if operand.kind not in ORDERED_KINDS or operand.constant:
            raise Untranslatable(f"a window by {operand.sql} is not translated")
        return operand


def _frame(spec: exp.Expression | None) -> tuple[str, bool]:
    """The frame as it is written, and whether rows leave it."""
    if spec is None:
        return "", False
    kind = str(spec.args["kind"]).lower()
    bound: Callable[[str], str] = lambda end: _bound(kind, spec.args.get(end), str(spec.args.get(f"{end}_side") or ""))  # noqa: E731
    if kind not in {"rows", "range", "groups"} or spec.args.get("exclude"):
        raise Untranslatable("this frame of a window is not translated")
    start = bound("start")
    frame = f"{kind} {start}" if spec.args.get("end") is None else f"{kind} between {start} and {bound('end')}"
    return frame, start != "unbounded preceding"


def _bound(kind: str, bound: exp.Expression | str | None, side: str) -> str:
    if isinstance(bound, str) and bound.upper() in BOUNDS:
        return f"{bound} {side}".strip().lower()
    if kind != "range" and isinstance(bound, exp.Literal) and not bound.is_string and str(bound.this).isdigit():
        return f"{bound.this} {side}".lower()
    raise Untranslatable("this frame of a window is not translated")


def _constant(name: str, node: exp.Expression) -> str:
    node = unwrapped(node)
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit() and len(str(node.this)) < 10:
        return str(node.this)
    raise Untranslatable(f"{name}() is translated with a constant number of rows only")
