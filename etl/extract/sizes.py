"""How large the tables are, from SQLite's own accounting: one pass over the pages' headers, no row is read."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from etl.extract.catalog import SIZES_SQL, TableSize, parse_sizes
from etl.extract.reader import Reader

MOST_TABLES = 1_000_000


def read_sizes(reader: Reader) -> Mapping[str, TableSize]:
    """Rows, payload and largest row of every table (0.3 s for 368 MB)."""
    found = reader.query(SIZES_SQL, MOST_TABLES)
    if not found.num_rows:  # then nothing has a type
        return {}
    names, *numbers = found.columns
    texts = (name.decode(errors="surrogateescape") for name in names.cast(pa.binary()).to_pylist())
    return parse_sizes(zip(texts, *(column.to_pylist() for column in numbers), strict=True))
