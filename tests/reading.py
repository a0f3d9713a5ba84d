"""What a page of the source says of its cells, in SQLite's own words."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from etl.model import PlainColumn, SourceValues


def told(values: SourceValues, row: int) -> tuple[bytes, Any]:
    """What the page says of one cell, as (typeof, value); texts as bytes."""
    if isinstance(values, PlainColumn):
        array = values.array
        if not array[row].is_valid:
            return b"null", None
        if pa.types.is_string(array.type):
            return b"text", array.view(pa.binary())[row].as_py()
        value = array[row].as_py()
        if isinstance(value, float) and values.integral_is_integer and value.is_integer():
            return b"integer", int(value)
        return {int: b"integer", float: b"real", bytes: b"blob"}[type(value)], value
    found = [
        (name, part[row].as_py() if name != b"text" else part.view(pa.binary())[row].as_py())
        for name, part in (
            (b"integer", values.integers),
            (b"real", values.reals),
            (b"text", values.texts),
            (b"blob", values.blobs),
        )
        if part[row].is_valid
    ]
    assert len(found) <= 1
    return found[0] if found else (b"null", None)
