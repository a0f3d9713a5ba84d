"""Decide again, from a survey, what the declared type alone cannot tell (docs/coercion.md, "Declared types").

Invariant: a decision only ever widens: every value that the declared type holds exactly, the decided one holds too.
What the user cast is never decided again, of a column that the target has only the reading of its values; and a column
is decided once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from etl.counted_nouns import counted
from etl.model import (
    Coercion,
    ColumnCensus,
    ColumnPlan,
    ColumnSurvey,
    PgType,
    Reading,
    Refusal,
    SourcePage,
    StorageClass,
    TablePlan,
    TableSurvey,
)
from etl.transform.rows.epochs import WINDOWS
from etl.transform.schema.defaults import translate_default
from etl.transform.schema.syntax import Untranslatable
from etl.transform.schema.types import INTEGER_TYPES
from etl.transform.survey.magnitudes import loses_decimals

DATED = frozenset({"date", "timestamp", "timestamptz"})
# Numbers in these windows are told, never guessed: too few databases have them.
TOLD_ONLY = frozenset({"epoch-ticks", "epoch-webkit"})
# What a load under the declared type says when it may be the wrong one: type → rule.
DOUBTS = {"numeric": "rounded", "timestamp": "offset-applied"}
ANY_UNIT = "epoch-s"  # of a column of zeros: 0 is 1970 in every unit
_FITTING = (("smallint", 2**15), ("integer", 2**31))
_NUMBERS = frozenset({StorageClass.INTEGER, StorageClass.REAL})


class DoubtfulTypeError(Exception):
    """A value of the table could be converted to its declared type, but perhaps belongs into another one."""


def is_doubted(table: TablePlan, page: SourcePage, coercions: Iterable[Coercion]) -> bool:
    """Whether what was coerced in a page makes an undecided type doubtful, so that a survey must decide.

    A decimal that lost the noise of a double alone does not: it would stay as it is.
    """
    rules = {(coercion.column, coercion.rule) for coercion in coercions}
    return any(
        (column.source.name, DOUBTS.get(column.type.name)) in rules
        and (column.type.name != "numeric" or loses_decimals(values, column.type))
        for column, values in zip(table.columns, page.columns, strict=True)
        if not column.decided and not column.fixed
    )


def may_be_cured(table: TablePlan, refusals: Iterable[Refusal]) -> bool:
    """Whether other types or readings could take all of the refused values; else no survey need be asked."""
    columns = {column.source.name: column for column in table.columns}
    return all(_may_be_cured(columns[refusal.column], refusal.storage) for refusal in refusals)


def _may_be_cured(column: ColumnPlan, storage: StorageClass) -> bool:
    if column.decided or storage is StorageClass.NULL:
        return False
    if column.type.name in DATED:
        return storage in _NUMBERS and column.reading.how is None
    if column.fixed:
        return False
    return column.type.name in {"varchar", "smallint"} or column.type.precision is not None


def needs_survey(table: TablePlan, integers: str) -> bool:
    """Whether the types cannot be tried before the values are known: ``--integers fit``."""
    return integers == "fit" and any(_may_be_narrowed(table, column) for column in table.columns)


def decide(table: TablePlan, survey: TableSurvey, integers: str = "bigint") -> TablePlan:
    """The table under the types and readings that its values ask for; every column counts as decided."""
    surveys = {column.name: column for column in survey.columns}
    columns = tuple(_decide_column(table, column, surveys[column.source.name], integers) for column in table.columns)
    return replace(table, columns=columns)


def changed_columns(before: TablePlan, after: TablePlan) -> frozenset[str]:
    """The source names of the columns whose type or reading is another one."""
    return frozenset(
        new.source.name
        for old, new in zip(before.columns, after.columns, strict=True)
        if (old.type, old.reading) != (new.type, new.reading)
    )


def decision_notes(before: TablePlan, after: TablePlan) -> tuple[str, ...]:
    """What became of the columns that were decided otherwise, and why, for people."""
    changed = changed_columns(before, after)
    return tuple(
        f"{after.source.name}.{column.source.name} becomes {column.type}"
        f"{':' + column.reading.how if column.reading.how else ''}: {column.note}"
        for column in after.columns
        if column.source.name in changed
    )


def _decide_column(table: TablePlan, column: ColumnPlan, survey: ColumnSurvey, integers: str) -> ColumnPlan:
    if column.decided:
        return column
    if column.type.name in DATED:
        column = _decide_reading(column, survey.census)
    if column.fixed:
        return replace(column, decided=True)
    wider = _wider(column, survey)
    if wider is None and integers == "fit" and _may_be_narrowed(table, column):
        wider = _narrower(survey)
    if wider is not None and wider[0] != column.type:
        column = _retyped(column, *wider)
    return replace(column, decided=True)


# --- readings ------------------------------------------------------------------------------------------------------


def _decide_reading(column: ColumnPlan, census: ColumnCensus) -> ColumnPlan:
    """The unit of numbers that all lie in one window."""
    if column.reading.how is not None or not census.epochs:
        return column
    how = epoch_unit(census)
    if how is None:
        return column
    note = f"declared {column.source.declared}, holds numbers: {how}, from their size"
    return replace(column, reading=replace(column.reading, how=how), note=note)


def epoch_unit(census: ColumnCensus) -> str | None:
    """The reading of a date column's numbers, None where their size does not tell one."""
    found = [how for how in census.epochs if how != "zero"]
    if not found:
        return ANY_UNIT
    only = found[0]
    return only if len(found) == 1 and only not in TOLD_ONLY and only in {how for _, _, how in WINDOWS} else None


# --- types ---------------------------------------------------------------------------------------------------------


def _wider(column: ColumnPlan, survey: ColumnSurvey) -> tuple[PgType, str] | None:
    match column.type.name:
        case "varchar":
            return _wider_text(column, survey)
        case "numeric" if column.type.precision is not None:
            return _wider_numeric(column, survey.census)
        case "timestamp":
            return _with_zone(column, survey)
        case "smallint":
            return _wider_integer(column, survey.census)
    return None


def _wider_text(column: ColumnPlan, survey: ColumnSurvey) -> tuple[PgType, str] | None:
    length = column.type.length or 0
    if column.reading.truncate:
        return None
    longest = survey.census.longest_characters
    long_numbers = any(values.first.storage in _NUMBERS for values in survey.refused)
    if longest <= length and not long_numbers:
        return None
    held = f"holds {counted(longest, 'character')}" if longest > length else "holds longer numbers"
    return PgType("text"), f"declared {column.source.declared}, {held}"


def _wider_numeric(column: ColumnPlan, census: ColumnCensus) -> tuple[PgType, str] | None:
    whole = (column.type.precision or 0) - (column.type.scale or 0)
    declared = column.source.declared or str(column.type)
    if census.digits_before > whole:
        return PgType("numeric"), f"declared {declared}, holds {census.digits_before} digits before the point"
    if census.rounding_losses:
        return PgType("numeric"), f"declared {declared}, {counted(census.rounding_losses, 'value')} with more decimals"
    return None


def _with_zone(column: ColumnPlan, survey: ColumnSurvey) -> tuple[PgType, str] | None:
    zoned = max(survey.census.with_offset, survey.rule_count("offset-applied"))
    if not zoned:
        return None
    naive = survey.census.classes[StorageClass.TEXT] - zoned
    held = f"declared {column.source.declared}, {counted(zoned, 'value')} with an offset"
    if naive <= 0:
        return PgType("timestamptz"), held
    return PgType("timestamptz"), f"{held}, {naive:,} without one, read in {column.reading.timezone}"


def _wider_integer(column: ColumnPlan, census: ColumnCensus) -> tuple[PgType, str] | None:
    if census.numbers is None:
        return None
    low, high = float(census.numbers.low), float(census.numbers.high)
    if low >= -(2**15) and high < 2**15:
        return None
    return PgType("bigint"), f"declared {column.source.declared}, holds {census.numbers.low} to {census.numbers.high}"


def _may_be_narrowed(table: TablePlan, column: ColumnPlan) -> bool:
    """A key grows after the move, and both ends of a foreign key stay alike."""
    keyed = {name for key in table.source.foreign_keys for name in key.columns}
    free = not column.identity and not column.source.key_position and column.source.name not in keyed
    return free and not column.decided and not column.fixed and column.type.name in INTEGER_TYPES


def _narrower(survey: ColumnSurvey) -> tuple[PgType, str] | None:
    if survey.converted_integers is None or survey.refused:
        return None
    low, high = survey.converted_integers
    name = next((name for name, bound in _FITTING if -bound <= low and high < bound), "bigint")
    return PgType(name), f"holds {low:,} to {high:,} (--integers fit)"


def _retyped(column: ColumnPlan, wider: PgType, note: str) -> ColumnPlan:
    note = f"{note}; {column.note}" if column.reading != Reading() and column.note else note
    default = column.default
    if default is not None and column.source.default is not None:
        try:
            default = translate_default(column.source.default, wider, Reading(timezone=column.reading.timezone))
        except Untranslatable:
            default, note = None, f"{note}; its default {column.source.default} is not translated"
    return replace(column, type=wider, note=note, default=default)
