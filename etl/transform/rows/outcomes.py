"""The outcomes of converting one value: exact, coerced by a named rule, or refused; never a fourth.

Invariant: a refusal says in ``reason`` what is wrong with which value, and in ``hint`` what solves it today.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.rendering import SourceValue, render_source

TargetValue = int | float | Decimal | bool | str | bytes | None


@dataclass(frozen=True, slots=True)
class Converted:
    """A value that the Arrow array of the target type takes; ``rule`` None means that nothing was changed.

    Dates are days since 1970-01-01, times microseconds of the day, timestamps microseconds since 1970 (UTC).
    """

    value: TargetValue
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The target type cannot hold the value. ``{column}`` in the hint stands for ``table.column``."""

    reason: str
    hint: str


Outcome = Converted | Refused
Convert = Callable[[SourceValue, StorageClass, PgType, Reading], Outcome]
"""The rules of all types, for those that are made of others."""

_SHELL_MARKS = re.compile(r"[^\w.,:=%/+-]")

# The type that holds every value of a storage class.
_HOLDER = {
    StorageClass.NULL: "text",
    StorageClass.INTEGER: "bigint",
    StorageClass.REAL: "double precision",
    StorageClass.TEXT: "text",
    StorageClass.BLOB: "bytea",
}


def cast_hint(type_name: str) -> str:
    """The advice to give the column another type, to be pasted into a shell."""
    cast = f"{{column}}={type_name}"
    return f"--cast {cast!r}" if _SHELL_MARKS.search(type_name) else f"--cast {cast}"


def refuse(
    value: SourceValue,
    storage: StorageClass,
    target: PgType,
    problem: str | None = None,
    cast: str | None = None,
    flag: str | None = None,
) -> Refused:
    """Refuse a value: ``'12,50' is not numeric(10,2)``, or with ``problem`` in place of ``is not …``.

    The hint names the ``flag`` that solves it, then the type ``cast`` (or type and reading), by default the one that
    holds every value of the storage class.
    """
    rendered = render_source(value, storage)
    if value == b"" and storage is StorageClass.TEXT:
        flag = "--empty-as-null"
    holder = cast_hint(cast or _HOLDER[storage])
    if target.name == "bytea" and storage in {StorageClass.INTEGER, StorageClass.REAL}:
        holder += ", where it holds numbers alone"  # beside them blobs would be refused, and the hint be to go back
    advice = [*([flag] if flag else []), holder, "correct the row in SQLite"]
    return Refused(f"{rendered} {problem or f'is not {target}'}", ", or ".join(advice))
