"""What stands at the end of a query: ORDER BY, LIMIT and OFFSET.

Invariant: text is ordered by its bytes and NULLs stand where SQLite has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from etl.transform.schema.json_paths import JSON_TYPE, JSON_VALUE
from etl.transform.schema.names import fold
from etl.transform.schema.scope import Operand
from etl.transform.schema.syntax import Untranslatable, unwrapped


def rows_at_the_end(node: exp.Expression, meant: Callable[[exp.Expression], Operand]) -> list[str]:
    """ORDER BY, LIMIT and OFFSET; ``meant`` says what a term of the order stands for."""
    parts, clause = [], node.args.get("order")
    if clause is not None:
        terms = [direction(meant(unwrapped(term.this)), term) for term in clause.expressions]
        parts.append(f"order by {', '.join(terms)}")
    for word in ("limit", "offset"):
        bound = node.args.get(word)
        if bound is not None:
            if not isinstance(bound.expression, exp.Literal) or not str(bound.expression.this).isdigit():
                raise Untranslatable(f"{word.upper()} is translated with a constant only")
            parts.append(f"{word} {bound.expression.this}")
    return parts


def place_of(node: exp.Expression, names: Sequence[str]) -> int | None:
    """Which of the selected columns a place or an alias stands for."""
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
        place = int(str(node.this)) - 1
        return place if 0 <= place < len(names) else None
    if isinstance(node, exp.Column) and not node.table:
        found = [place for place, name in enumerate(names) if fold(name) == fold(node.name)]
        return found[0] if len(found) == 1 else None
    return None


def direction(operand: Operand, term: exp.Expression) -> str:
    """A term of an ORDER BY: text by bytes, NULLs where SQLite has them."""
    if operand.kind in {JSON_VALUE, JSON_TYPE}:
        raise Untranslatable("values inside documents have another order")
    collated = f'{operand.sql} collate "C"' if operand.kind == "text" else operand.sql
    nulls = "first" if term.args.get("nulls_first") else "last"
    return f"{collated}{' desc' if term.args.get('desc') else ''} nulls {nulls}"
