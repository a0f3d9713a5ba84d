"""How the rows of one table stand in the file: its root page, and which column of a record is which of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etl.extract.database_file import UnusualPageError
from etl.extract.reader import Reader
from etl.model import SourceColumn, SourceTable

MOST_COLUMNS = 32_767  # SQLite's own bound
VIRTUAL = 2  # `hidden` of a generated column that is not stored


@dataclass(frozen=True, slots=True)
class StoredTable:
    """``places`` has the record's column for each column of the table; None for the one that is the rowid."""

    columns: Sequence[SourceColumn]
    root: int
    column_count: int  # of a record
    places: tuple[int | None, ...]


def find_stored_table(reader: Reader, table: SourceTable) -> StoredTable:
    """Ask SQLite; raises UnusualPageError for a table that does not stand in the file with all its columns."""
    name = literal(table.name)
    roots = reader.query(f"select rootpage from main.sqlite_schema where type = 'table' and name = {name}", 2)
    found = reader.query(f"select name, hidden from pragma_table_xinfo({name}, 'main') order by cid", MOST_COLUMNS)
    stored = [row for row in zip(*(column.to_pylist() for column in found.columns), strict=True) if row[1] != VIRTUAL]
    places = {column: place for place, (column, _) in enumerate(stored)}
    if roots.num_rows != 1 or not (root := int(roots.column(0)[0].as_py() or 0)):
        raise UnusualPageError("it is a virtual table")
    if any(column.name not in places for column in table.columns):
        raise UnusualPageError("not all of its columns are stored")
    return StoredTable(
        columns=table.columns,
        root=root,
        column_count=len(stored),
        places=tuple(None if column.name == table.rowid_alias else places[column.name] for column in table.columns),
    )


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
