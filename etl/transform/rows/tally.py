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


def without(coercions: Iterable[Coercion], gone: Iterable[Coercion]) -> tuple[Coercion, ...]:
    """The coercions less those of rows that did not arrive, of which every value is a sample."""
    lost = {(coercion.column, coercion.rule): coercion for coercion in gone}
    left = (less(coercion, lost.get((coercion.column, coercion.rule))) for coercion in coercions)
    return tuple(coercion for coercion in left if coercion.count)


def less(coercion: Coercion, lost: Coercion | None) -> Coercion:
    if lost is None:
        return coercion
    gone = set(lost.samples)
    samples = tuple(sample for sample in coercion.samples if sample not in gone)
    return replace(coercion, count=coercion.count - lost.count, samples=samples)


def merge(left: Coercion, right: Coercion) -> Coercion:
    samples = (left.samples + right.samples)[:SAMPLES]
    return Coercion(left.column, left.rule, left.count + right.count, samples)
