"""Pages follow one another through one encoder: each slice has the rows of its own page, whatever their sizes."""

import numpy as np
import pyarrow as pa

from etl.load.encode import TableEncoder
from etl.model import Affinity, ColumnPlan, PgType, SourceColumn, SourceTable, TablePlan, TargetPage

MEGABYTE = 1 << 20
COLUMNS = tuple(
    ColumnPlan(SourceColumn(name, "", Affinity.BLOB), name, PgType(kind))
    for name, kind in (("id", "bigint"), ("name", "text"))
)
TABLE = TablePlan(SourceTable("t", tuple(column.source for column in COLUMNS)), "t", COLUMNS)
OVERHEAD = 2 + 4 + 8 + 4  # the count of columns, a length and the id, a length


def page_of(number: int, stream_bytes: int) -> TargetPage:
    """A page whose rows take so many bytes in the stream, and one row more or less."""
    text = "x" * 982
    rows = stream_bytes // (OVERHEAD + len(text))
    ids = pa.array(np.arange(rows) + 1000 * number)
    batch = pa.RecordBatch.from_arrays([ids, pa.array([text] * rows)], names=["id", "name"])
    return TargetPage(number, rows, batch, (), "1", str(rows), 0)


def test_a_slice_has_the_rows_of_its_page_alone() -> None:
    """What is less than a megabyte the encoder keeps back, and it must not come out with the next page."""
    sizes = [MEGABYTE + 5000, 3 * MEGABYTE, 1000, MEGABYTE - 1000, MEGABYTE, MEGABYTE + 1000, 2 * MEGABYTE, 500_000]
    encoder = TableEncoder(TABLE)
    for number, size in enumerate((*sizes, *reversed(sizes))):
        page = page_of(number, size)
        stream = b"".join(encoder.encode_page(page).chunks)
        assert stream == b"".join(TableEncoder(TABLE).encode_page(page).chunks)
        assert len(stream) == page.row_count * 1000
        ids = np.ndarray((page.row_count,), ">i8", stream, offset=6, strides=(1000,))
        assert (ids == page.batch.column(0).to_numpy()).all()
