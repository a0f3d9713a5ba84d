"""How a difference in a schema object is told."""

from __future__ import annotations

from collections.abc import Sequence

from etl.model import Difference, TablePlan


def object_difference(table: TablePlan, name: str, expected: str, actual: str, column: str | None = None) -> Difference:
    """An object of ``table`` that is not as it was planned; ``column`` is the source's name."""
    return Difference(table.source.name, "object", name, column=column, expected=expected, actual=actual)


def listed(names: Sequence[str]) -> str:
    """``(id, name)``."""
    return f"({', '.join(names)})"
