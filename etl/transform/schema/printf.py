"""Translate ``printf()``, also called ``format()``, and ``round()``.

Invariant: a conversion is translated only for the operands of which it writes the same digits. Reals are the exception
that SQLite makes necessary: it rounds a decimal half (2.675) up until 3.42, and by its binary64 from 3.43 on. They are
rounded half up, and in views only, whose rows are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from etl.model import PgType
from etl.transform.schema.names import quote_text
from etl.transform.schema.scope import Operand
from etl.transform.schema.syntax import Untranslatable

DOUBLE, TEXT = PgType("double precision"), PgType("text")
CONVERSION = re.compile(
    r"%(?P<flag>[-0]?)(?P<width>[1-9]\d?)?(?:\.(?P<places>\d{1,2}))?(?P<letter>[disf%])|(?P<text>[^%]+)"
)
LARGEST_WITH_PLACES = 2**52  # no binary64 beyond has a fraction
EXACT_PRECISION = 15  # a decimal of so many digits is the shortest spelling of its binary64


def printf(format_: str, operands: Sequence[Operand], *, in_view: bool) -> Operand:
    """The text as an expression. Raises Untranslatable."""
    parts = list(_parts(format_, list(operands), in_view))
    return Operand.of(f"({' || '.join(parts)})" if len(parts) > 1 else "".join(parts) or "''::text", TEXT)


def _parts(format_: str, waiting: list[Operand], in_view: bool) -> Iterator[str]:
    place = 0
    while place < len(format_):
        match = CONVERSION.match(format_, place)
        if match is None:
            raise Untranslatable(f"the format {format_!r} is not translated")
        place = match.end()
        if match["text"] is not None:
            yield f"{quote_text(match['text'])}::text"
        elif match["letter"] == "%":
            yield "'%'::text"
        elif not waiting:
            raise Untranslatable(f"the format {format_!r} has more conversions than there are values")
        else:
            yield _conversion(match, waiting.pop(0), in_view)
    if waiting:
        raise Untranslatable(f"the format {format_!r} has fewer conversions than there are values")


def _conversion(match: re.Match[str], operand: Operand, in_view: bool) -> str:
    flag, width, letter = match["flag"], match["width"], match["letter"]
    places = None if match["places"] is None else int(match["places"])
    if letter == "f":
        text = _with_places(operand, 6 if places is None else places, in_view)
    elif places is not None or (letter == "s" and flag == "0"):
        raise Untranslatable(f"{match[0]} is not translated")
    else:
        text = _string(operand) if letter == "s" else _digits(operand)
    if width is None:
        return text
    if flag == "0":  # the sign stands before the zeros
        sign = f"case when {text} like '-%' then '-' else '' end"
        return f"({sign} || repeat('0', {width} - length({text})) || ltrim({text}, '-'))"
    blanks = f"repeat(' ', {width} - octet_length({text}))"  # SQLite counts bytes
    return f"({text} || {blanks})" if flag == "-" else f"({blanks} || {text})"


def _digits(operand: Operand) -> str:
    """An integer, 0 for NULL."""
    if operand.kind == "boolean":
        return f"coalesce({operand.sql}::integer, 0)::text"
    if operand.kind == "integer" and operand.type.name != "numeric":
        return f"coalesce({operand.sql}, 0)::text"
    raise Untranslatable(f"%d of {operand.sql}, which may be no integer, is not translated")


def _string(operand: Operand) -> str:
    """A text or an integer, '' for NULL."""
    if operand.kind in {"text", "null"}:
        return f"coalesce({operand.sql}, '')"
    if operand.kind == "integer" and operand.type.name != "numeric":
        return f"coalesce({operand.sql}::text, '')"
    raise Untranslatable(f"%s of {operand.sql} looks otherwise in SQLite")


def _with_places(operand: Operand, places: int, in_view: bool) -> str:
    """A number with so many places, 0 for NULL."""
    decimal = _as_decimal(operand, places, in_view)
    return f"round(coalesce({decimal}, 0), {places})::text"


def _as_decimal(operand: Operand, places: int, in_view: bool) -> str:
    """The number as a numeric that rounds as SQLite rounds. Raises Untranslatable."""
    type_ = operand.type
    if operand.kind == "integer" and (in_view or type_.name in {"smallint", "integer"}):  # a binary64, all of them
        return f"{operand.sql}::numeric"
    fits = (type_.precision or EXACT_PRECISION + 1) <= EXACT_PRECISION
    if type_.name == "numeric" and fits and (type_.scale or 0) <= places:
        return operand.sql
    if not in_view or operand.kind not in {"real", "number"}:
        raise Untranslatable(f"SQLite rounds {operand.sql} by its binary64, and not the same in all versions")
    return f"{operand.sql}::numeric"


def rounded(operand: Operand, places: int, *, in_view: bool) -> Operand:
    """``round(x, places)``, always a real. Raises Untranslatable."""
    if operand.kind == "boolean":
        return Operand.of(f"{operand.sql}::integer::double precision", DOUBLE)
    if operand.kind == "integer":
        return Operand.of(f"{operand.sql}::double precision", DOUBLE)
    if operand.kind not in {"real", "number"}:
        raise Untranslatable(f"{operand.sql} is no number to round")
    if places == 0:
        number = operand.sql if operand.type.name == "double precision" else f"{operand.sql}::double precision"
        half = f"trunc({number} + case when {number} < 0 then -0.5 else 0.5 end) + 0.0"  # + 0.0: no -0
        sql = f"(case when abs({number}) > {LARGEST_WITH_PLACES} then {number} else {half} end)"
        return Operand.of(sql, DOUBLE)
    decimal = _as_decimal(operand, places, in_view)
    return Operand.of(f"round({decimal}, {places})::double precision", DOUBLE)
