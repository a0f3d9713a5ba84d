"""The coercions of a table, summed over its pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from etl.model import Coercion

SAMPLES = 5


class Tally:
    """Adds up counts per column and rule, and keeps the first samples."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Coercion] = {}

    def add(self, coercions: Iterable[Coercion]) -> None:
        for coercion in coercions:
            key = (coercion.column, coercion.rule)
            before = self._sums.get(key)
            self._sums[key] = merge(before or replace(coercion, count=0, samples=()), coercion)

    def coercions(self) -> tuple[Coercion, ...]:
        return tuple(self._sums[key] for key in sorted(self._sums))


def merge(left: Coercion, right: Coercion) -> Coercion:
    samples = (left.samples + right.samples)[:SAMPLES]
    return Coercion(left.column, left.rule, left.count + right.count, samples)
