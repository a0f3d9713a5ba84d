"""SQLite's binary JSON, turned back into text by SQLite itself.

Invariant: a blob becomes the text that ``json()`` makes of it, and leaves the blobs of its column; what is no binary
JSON stays a blob.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_sqlite import StatementOptions
from adbc_driver_sqlite import dbapi as adbc_sqlite

from etl.model import PlainColumn, SourcePage, SourceValues, SplitColumn
from etl.threads import in_thread

# The driver's own SQLite, whatever Python's can: json_valid(…, 8) checks the binary form to its last byte.
DECODE_SQL = "select iif(json_valid(?1, 8), json(?1), '')"


async def with_documents(
    pages: AsyncGenerator[SourcePage, None], places: Sequence[int]
) -> AsyncGenerator[SourcePage, None]:
    """The pages with the blobs of the columns at ``places`` as texts."""
    with contextlib.closing(adbc_sqlite.connect(":memory:")) as connection:
        async with aclosing(pages):
            async for page in pages:
                yield await in_thread(_decode_page, connection, page, places)


def _decode_page(connection: Any, page: SourcePage, places: Sequence[int]) -> SourcePage:
    columns = list(page.columns)
    for place in places:
        columns[place] = _decode_column(connection, columns[place])
    return replace(page, columns=tuple(columns))


def _decode_column(connection: Any, values: SourceValues) -> SourceValues:
    blobs = values.array if isinstance(values, PlainColumn) else values.blobs
    if not pa.types.is_binary(blobs.type) or blobs.null_count == len(blobs):
        return values
    documents = decode(connection, blobs)
    rest = pc.if_else(documents.is_valid(), pa.scalar(None, pa.binary()), blobs)
    if isinstance(values, PlainColumn):
        count = len(blobs)
        return SplitColumn(pa.nulls(count, pa.int64()), pa.nulls(count, pa.float64()), documents, rest)
    return replace(values, texts=pc.coalesce(values.texts, documents), blobs=rest)


def decode(connection: Any, blobs: pa.Array) -> pa.Array:
    """The document of each blob as text; null where it is none."""
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_ROWS.value: str(len(blobs))})
        cursor.execute(DECODE_SQL, parameters=pa.record_batch([blobs], ["blob"]))
        texts = cursor.fetch_arrow_table().column(0).combine_chunks()
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
