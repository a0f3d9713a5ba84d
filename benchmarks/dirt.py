"""Puts odd values into rows: right ones in the wrong dress, each of which has a named coercion.

Invariant: at most one value of a row is odd, and none of them is refused by the coercion rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.schema import Kind, Table

Row = tuple[Any, ...]


def soil_rows(table: Table, rows: Iterator[Row], share: float, rng: np.random.Generator) -> Iterator[Row]:
    """The same rows, ``share`` of them (0 to 1) with one value in an odd form, the columns taking turns."""
    odd = [(place, _ODD[column.kind]) for place, column in enumerate(table.columns) if column.kind in _ODD]
    turn = 0
    for row, chance in zip(rows, _chances(rng), strict=False):
        if not odd or chance >= share:
            yield row
            continue
        place, soil = odd[turn % len(odd)]
        turn += 1
        yield row if row[place] is None else (*row[:place], soil(row[place]), *row[place + 1 :])


def _chances(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(10_000).tolist()


def _float_noise(amount: float) -> float:
    """The neighbouring double: what sums of cents look like (rule ``rounded``)."""
    return float(np.nextafter(amount, np.inf)) if amount != int(amount) else amount


_ODD: dict[Kind, Callable[[Any], Any]] = {
    Kind.DECIMAL: _float_noise,
    Kind.BOOLEAN: lambda flag: "yes" if flag else "off",  # text-to-boolean
    Kind.TIMESTAMP: lambda text: text[:10],  # date-to-timestamp
    Kind.DATE: lambda text: f"{text} 00:00:00",  # timestamp-to-date
    Kind.TEXT: lambda text: text.encode(),  # blob-to-text
    Kind.JSON: lambda text: len(text),  # number-to-json
    Kind.UUID: lambda text: text.replace("-", "").upper(),  # uuid-spelling
    Kind.BLOB: lambda content: content.hex(),  # text-to-bytes
}
