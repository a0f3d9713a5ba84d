"""Translate SQLite's scalar functions into PostgreSQL's.

Invariant: each entry gives the same value on both sides for every operand of the kinds that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from etl.model import Affinity, PgType
from etl.transform.schema.aggregates import AGGREGATES, TEXT_AGGREGATES
from etl.transform.schema.json_paths import array_length, extract, json_type
from etl.transform.schema.literals import number_literal
from etl.transform.schema.operators import NUMBERS, TEXT, number_operand
from etl.transform.schema.printf import printf, rounded
from etl.transform.schema.scope import Operand, QueryScope, ScopeColumn, find_column
from etl.transform.schema.syntax import Untranslatable, unwrapped, written
from etl.transform.schema.times import time_template
from etl.transform.schema.types import INTEGER_TYPES
from etl.transform.schema.windows import Windows


@dataclass(frozen=True)
class Scalars(Windows):
    """Translates values within one scope."""

    def _call(self, node: exp.Expression) -> Operand:
        name, arguments = str(node.name).lower(), node.expressions
        if name in AGGREGATES and (len(arguments) < 2 or name in TEXT_AGGREGATES):
            return self._aggregate(name, arguments)
        translate = {
            **dict.fromkeys(("lower", "upper"), self._fold),
            **dict.fromkeys(("trim", "ltrim", "rtrim"), self._trim),
            "length": self._length,
            **dict.fromkeys(("substr", "substring"), self._substring),
            "replace": self._replace,
            "instr": self._instr,
            **dict.fromkeys(("coalesce", "ifnull"), self._coalesce),
            "nullif": self._nullif,
            "iif": self._iif,
            "abs": self._abs,
            **dict.fromkeys(("min", "max"), self._extreme),
            "hex": self._hex,
            "round": self._round,
            **dict.fromkeys(("printf", "format"), self._printf),
            **dict.fromkeys(("json_extract", "json_type", "json_array_length"), self._inside_document),
            **dict.fromkeys(("date", "time", "datetime", "strftime"), self._moment),
        }.get(name)
        if translate is None:
            raise Untranslatable(f"{name}() is not translated")
        return translate(name, arguments)

    def _fold(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (text,) = self.texts(of_length(name, arguments, 1))
        return Operand.of(f'{name}({text} collate "C")', TEXT)  # SQLite folds ASCII only, which is what "C" does

    def _trim(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        texts = self.texts(of_length(name, arguments, 1, 2))
        return Operand.of(f"{'btrim' if name == 'trim' else name}({', '.join(texts)})", TEXT)  # blanks only, as SQLite

    def _length(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (argument,) = of_length(name, arguments, 1)
        column = find_column(unwrapped(argument), self.scope)
        if column is not None and is_bytes(column):
            return Operand.of(f"octet_length({column.sql})", PgType("integer"))
        if column is not None and column.type.name in INTEGER_TYPES:  # as its digits
            return Operand.of(f"length({self._as_text(self.value(argument))})", PgType("integer"))
        (text,) = self.texts([argument])  # characters on both sides; a NUL, where SQLite stops, is not in the target
        return Operand.of(f"length({text})", PgType("integer"))

    def _substring(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (text,) = self.texts(of_length(name, arguments, 2, 3)[:1])
        places = [number_operand(number_literal(part)).sql for part in arguments[1:]]
        if not all(place.isdigit() for place in places) or places[0] == "0":  # SQLite counts those otherwise
            raise Untranslatable(f"{name}() is translated for places from 1 on only")
        return Operand.of(f"substr({', '.join((text, *places))})", TEXT)

    def _replace(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        text, *others = self.texts(of_length(name, arguments, 3))  # by bytes, whatever the column's collation
        return Operand.of(f'replace({text} collate "C", {", ".join(others)})', TEXT)

    def _instr(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        text, part = self.texts(of_length(name, arguments, 2))
        return Operand.of(f'strpos({text} collate "C", {part})', PgType("integer"))

    def _coalesce(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        of_length(name, arguments, *(range(2, 100) if name == "coalesce" else (2,)))
        results = self.unified([self.value(part) for part in arguments])
        return replace(results.shape, sql=f"coalesce({', '.join(results.sqls)})")

    def _nullif(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        equal = exp.EQ(this=arguments[0], expression=arguments[-1])
        (first, _) = of_length(name, arguments, 2)
        operand = self.value(first)
        return replace(operand, sql=f"(case when {self.condition(equal, self.scope)} then null else {operand.sql} end)")

    def _iif(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        when, then, other = of_length(name, arguments, 3)
        return self._case(exp.Case(ifs=[exp.If(this=when, true=then)], default=other))

    def _abs(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        operand = self._number(self.value(*of_length(name, arguments, 1)))
        return replace(operand, sql=f"abs({operand.sql})")

    def _extreme(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        """min() and max() of several values: NULL as soon as one of them is, where PostgreSQL leaves NULLs out."""
        results = self.unified([self.value(part) for part in of_length(name, arguments, *range(2, 100))])
        if results.shape.kind not in NUMBERS:
            raise Untranslatable(f"{name}() of several values is translated for numbers only")
        missing = " or ".join(f"{sql} is null" for sql in results.sqls)
        function = "least" if name == "min" else "greatest"
        sql = f"(case when {missing} then null else {function}({', '.join(results.sqls)}) end)"
        return replace(results.shape, sql=sql)

    def _moment(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        """A date or timestamp, or seconds since 1970, in words."""
        formats = {"date": "%Y-%m-%d", "time": "%H:%M:%S", "datetime": "%Y-%m-%d %H:%M:%S"}
        if name == "strftime":
            literal, *arguments = of_length(name, arguments, 2, 3)
            if not isinstance(literal, exp.Literal) or not literal.is_string:
                raise Untranslatable("strftime() is translated with a constant format only")
            formats = {name: str(literal.this)}
        subject, *modifiers = of_length(name, arguments, 1, 2)
        words = [str(word.this) if isinstance(word, exp.Literal) else "?" for word in modifiers]
        return Operand.of(f"to_char({self._instant(subject, words)}, {time_template(formats[name])})", TEXT)

    def _instant(self, subject: exp.Expression, modifiers: list[str]) -> str:
        column = find_column(unwrapped(subject), self.scope)
        if not isinstance(self.scope, QueryScope):
            raise Untranslatable("a date or time as text is translated within a view only")
        if isinstance(subject, exp.Literal) and str(subject.this).lower() == "now":
            raise Untranslatable("the current time is translated as the DEFAULT of a column only")
        if column is None:
            raise Untranslatable(f"a date or time as text is translated of a column only, not of {written(subject)}")
        if column.reading.how is not None:
            raise Untranslatable(f"a date or time as text of a column read as {column.reading.how} is not translated")
        if not modifiers and column.type.name in {"date", "timestamp", "timestamptz"}:
            return f"{column.sql} at time zone 'utc'" if column.type.name == "timestamptz" else column.sql
        if modifiers == ["unixepoch"] and column.type.name in INTEGER_TYPES:
            return f"to_timestamp({column.sql}) at time zone 'utc'"
        if "localtime" in modifiers:
            raise Untranslatable("localtime is the zone of the machine that SQLite runs on")
        raise Untranslatable(f"a time of {column.type} with {', '.join(modifiers) or 'no modifier'} is not translated")

    def _round(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        number, *rest = of_length(name, arguments, 1, 2)
        places = number_literal(rest[0]) if rest else "0"
        if not places.isdigit() or len(places) > 2:
            raise Untranslatable("round() is translated for a constant number of places only")
        return rounded(self.value(number), int(places), in_view=isinstance(self.scope, QueryScope))

    def _printf(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        format_, *values = of_length(name, arguments, *range(1, 100))
        if not isinstance(format_, exp.Literal) or not format_.is_string:
            raise Untranslatable(f"{name}() is translated with a constant format only")
        in_view = isinstance(self.scope, QueryScope)
        return printf(str(format_.this), [self._legible(self.value(value)) for value in values], in_view=in_view)

    def _inside_document(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        document, *paths = of_length(name, arguments, *((2,) if name == "json_extract" else (1, 2)))
        translate = {"json_extract": extract, "json_type": json_type, "json_array_length": array_length}[name]
        return translate(document, paths[0] if paths else None, self.scope)

    def _hex(self, name: str, arguments: Sequence[exp.Expression]) -> Operand:
        (argument,) = of_length(name, arguments, 1)
        column = find_column(unwrapped(argument), self.scope)
        if column is None or not is_bytes(column):
            raise Untranslatable("hex() is translated for a bytea column only")
        return Operand.of(f"coalesce(upper(encode({column.sql}, 'hex')), '')", TEXT)  # hex(null) is ''


def of_length(name: str, arguments: Sequence[exp.Expression], *lengths: int) -> Sequence[exp.Expression]:
    """The arguments, when there are as many as the function takes."""
    if len(arguments) not in lengths:
        raise Untranslatable(f"{name}() with {len(arguments)} arguments is not translated")
    if any(isinstance(argument, exp.Star | exp.Distinct) for argument in arguments):
        raise Untranslatable(f"{name}({', '.join(map(written, arguments))}) is not translated")
    return arguments


def is_bytes(column: ScopeColumn) -> bool:
    return column.type.name == "bytea" and column.affinity is Affinity.BLOB
