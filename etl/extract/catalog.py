"""Read what the source holds (tables, columns, keys, indexes, everything else) from SQLite's own pragmas.

Invariant: only pragmas and ``sqlite_schema`` are asked, a fixed number of statements whatever the number of tables;
every object of the source is either among the tables or among the skipped, with its reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import aiosqlite

from etl.errors import SourceError
from etl.extract.quoting import QUOTED
from etl.extract.view_columns import read_views
from etl.extract.virtual_tables import read_virtual_table
from etl.model import (
    Affinity,
    IndexTerm,
    SkippedObject,
    SourceCatalog,
    SourceColumn,
    SourceForeignKey,
    SourceIndex,
    SourceTable,
    StorageClass,
)
from etl.model.folding import fold

# Written with `cross join`: with a plain join SQLite 3.40 calls index_xinfo before index_list has given it a name,
# and finds no index at all.
OBJECTS_SQL = "select type, name, tbl_name, sql from main.sqlite_schema order by rowid"
TABLES_SQL = "select name, type, wr, strict from pragma_table_list where schema = 'main'"
COLUMNS_SQL = """
select t.name, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden
from pragma_table_list as t cross join pragma_table_xinfo(t.name, 'main') as x
where t.schema = 'main' and t.type = 'table' order by t.name, x.cid"""
INDEXES_SQL = """
select t.name, i.name, i."unique", i.origin, i.partial, x.name, x."desc", x.coll
from pragma_table_list as t cross join pragma_index_list(t.name, 'main') as i
cross join pragma_index_xinfo(i.name, 'main') as x
where t.schema = 'main' and t.type = 'table' and x.key order by t.name, i.seq desc, x.seqno"""
FOREIGN_KEYS_SQL = """
select t.name, f.id, f."table", f."from", f."to", f.on_update, f.on_delete
from pragma_table_list as t cross join pragma_foreign_key_list(t.name, 'main') as f
where t.schema = 'main' and t.type = 'table' order by t.name, f.id desc, f.seq"""

# Rows and payload of every table, for a connection whose SQLite has dbstat (ADBC's has; Python's may not). The rows
# of a rowid table are the cells of its leaves; a WITHOUT ROWID table is an index b-tree: its inner cells are rows too.
SIZES_SQL = """
select s.name, sum(iif(s.pagetype = 'leaf' or (t.wr and s.pagetype = 'internal'), s.ncell, 0)) as row_count,
       sum(s.payload) as payload, max(s.mx_payload) as largest_payload
from dbstat as s join pragma_table_list as t on t.name = s.name and t.schema = 'main'
where t.type in ('table', 'shadow') group by s.name"""

ROWID_NAMES = ("rowid", "_rowid_", "oid")
CENSUS_COLUMNS = 500  # columns per statement; SQLite allows 2,000 by default


@dataclass(frozen=True, slots=True)
class TableSize:
    """What dbstat says of one table's b-tree; ``rows`` is exact, ``bytes`` and the largest row are payload."""

    rows: int
    bytes: int
    largest_row_bytes: int


NO_SIZES: Mapping[str, TableSize] = MappingProxyType({})


async def read_catalog(connection: aiosqlite.Connection, sizes: Mapping[str, TableSize] = NO_SIZES) -> SourceCatalog:
    """Everything about the source but its rows, as the connection's snapshot shows it; tables in order of creation."""
    listed = {name: (kind, wr, strict) for name, kind, wr, strict in await _rows(connection, TABLES_SQL)}
    objects = await _rows(connection, OBJECTS_SQL)
    columns = _grouped(await _rows(connection, COLUMNS_SQL))
    _require_text([*(name for _, name, *_ in objects), *(row[0] for rows in columns.values() for row in rows)])
    indexes = _grouped(await _rows(connection, INDEXES_SQL))
    foreign_keys = _grouped(await _rows(connection, FOREIGN_KEYS_SQL))
    index_sql = {name: sql for kind, name, _, sql in objects if kind == "index"}
    sequences = await _sequences(connection, listed)
    views = await read_views(connection, ((name, sql) for kind, name, _, sql in objects if kind == "view"))
    # a trigger's statement may spell its table otherwise than the table does
    spelled = {fold(name): name for kind, name, _, _ in objects if kind in {"table", "view"}}
    tables, skipped = [], []
    for kind, name, parent, sql in objects:
        if kind in {"index", "view"}:
            continue
        if kind == "table" and listed.get(name, ("table",))[0] == "virtual":
            table, said = await read_virtual_table(connection, name, sql or "", sizes)
            tables += [table] if table is not None else []
            skipped.append(said)
            continue
        reason = _skipped_object(kind, name, spelled.get(fold(parent), parent), sql or "", listed)
        if reason:
            skipped.append(reason)
            continue
        _, without_rowid, strict = listed[name]
        table_indexes = _indexes(indexes[name], index_sql)
        size = sizes.get(name, TableSize(0, 0, 0))
        table = SourceTable(
            name=name,
            columns=_columns(columns[name], bool(strict)),
            indexes=table_indexes,
            foreign_keys=_foreign_keys(foreign_keys[name]),
            autoincrement=_says_autoincrement(sql or ""),
            without_rowid=bool(without_rowid),
            strict=bool(strict),
            sequence=sequences.get(name),
            rows_estimate=size.rows,
            bytes=size.bytes,
            largest_row_bytes=size.largest_row_bytes,
            sql=sql or "",
        )
        tables.append(_with_keys(table))
    ((path,),) = await _rows(connection, "select file from pragma_database_list where name = 'main'")
    ((encoding,),) = await _rows(connection, "pragma encoding")
    ((file_bytes,),) = await _rows(
        connection, "select c.page_count * s.page_size from pragma_page_count as c, pragma_page_size as s"
    )
    return SourceCatalog(path, encoding, tuple(tables), tuple(skipped), file_bytes, views)


async def read_storage_classes(
    connection: aiosqlite.Connection, pairs: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], frozenset[StorageClass]]:
    """The storage classes that the values of these (table, column) pairs have; one scan a table, empty for no rows."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for table, column in pairs:
        wanted[table].append(column)
    census: dict[tuple[str, str], frozenset[StorageClass]] = {}
    for table, names in wanted.items():
        for start in range(0, len(names), CENSUS_COLUMNS):
            part = names[start : start + CENSUS_COLUMNS]
            terms = ", ".join(f"group_concat(distinct typeof({_quote(name)}))" for name in part)
            (row,) = await _rows(connection, f"select {terms} from main.{_quote(table)}")
            for name, classes in zip(part, row, strict=True):
                census[table, name] = (
                    frozenset(map(StorageClass, (classes or "").split(","))) if classes else frozenset()
                )
    return census


def parse_sizes(rows: Iterable[Sequence[Any]]) -> Mapping[str, TableSize]:
    """The rows of ``SIZES_SQL`` by table name."""
    return {
        name: TableSize(int(row_count or 0), int(payload or 0), int(largest or 0))
        for name, row_count, payload, largest in rows
    }


def affinity_of(declared: str, strict: bool = False) -> Affinity:
    """The affinity that SQLite gives a declared type (sqlite.org/datatype3.html §3.1: first match)."""
    name = declared.upper()
    if strict and name == "ANY":
        return Affinity.BLOB  # in STRICT tables ANY stores what it is given; elsewhere it is NUMERIC
    if "INT" in name:
        return Affinity.INTEGER
    if any(word in name for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if "BLOB" in name or not name:
        return Affinity.BLOB
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


def _skipped_object(
    kind: str, name: str, parent: str, sql: str, listed: Mapping[str, tuple[str, int, int]]
) -> SkippedObject | None:
    """Why this object is not moved as a table; None for an ordinary table."""
    listed_as = listed.get(name, ("table", 0, 0))[0] if kind == "table" else kind
    if name.lower().startswith("sqlite_"):
        return SkippedObject("internal", name, sql, "SQLite keeps this for itself", needs_attention=False)
    if listed_as == "shadow":
        return SkippedObject("shadow table", name, sql, "the storage of a virtual table", needs_attention=False)
    if kind == "trigger":
        return SkippedObject(kind, name, sql, "triggers are not translated", table=parent)
    return None


def _columns(rows: Sequence[Sequence[Any]], strict: bool) -> tuple[SourceColumn, ...]:
    return tuple(
        SourceColumn(
            name=name,
            declared=declared or "",
            affinity=affinity_of(declared or "", strict),
            not_null=bool(not_null),
            default=default,
            key_position=key_position,
            generated=hidden in {2, 3},  # 2 virtual, 3 stored
            virtual=hidden == 2,
        )
        for name, declared, not_null, default, key_position, hidden in rows
        if hidden != 1  # hidden columns belong to virtual tables only
    )


def _indexes(rows: Sequence[Sequence[Any]], sql: Mapping[str, str]) -> tuple[SourceIndex, ...]:
    """In the order of creation (index_list has the newest first)."""
    terms: dict[tuple[str, bool, str, bool], list[IndexTerm]] = defaultdict(list)
    for name, unique, origin, partial, column, descending, collation in rows:
        term = IndexTerm(column, bool(descending), (collation or "BINARY").upper())
        terms[name, bool(unique), origin, bool(partial)].append(term)
    return tuple(
        SourceIndex(name, unique, origin, partial, tuple(parts), sql.get(name) if origin == "c" else None)
        for (name, unique, origin, partial), parts in terms.items()
    )


def _foreign_keys(rows: Sequence[Sequence[Any]]) -> tuple[SourceForeignKey, ...]:
    """In the order of declaration (foreign_key_list has the last first)."""
    parts: dict[int, list[Sequence[Any]]] = defaultdict(list)
    for identifier, *row in rows:
        parts[identifier].append(row)
    return tuple(
        SourceForeignKey(
            columns=tuple(row[1] for row in group),
            parent=group[0][0],
            parent_columns=() if group[0][2] is None else tuple(row[2] for row in group),
            on_update=group[0][3],
            on_delete=group[0][4],
        )
        for group in parts.values()
    )


def _with_keys(table: SourceTable) -> SourceTable:
    """The table with its primary key, its rowid alias and a name for its rowid."""
    keys = sorted((column for column in table.columns if column.key_position), key=lambda c: c.key_position)
    has_key_index = any(index.origin == "pk" for index in table.indexes)
    # The alias has no index of its own; `INTEGER PRIMARY KEY DESC` and `INT PRIMARY KEY` have one.
    is_alias = (
        not table.without_rowid and not has_key_index and len(keys) == 1 and keys[0].declared.upper() == "INTEGER"
    )
    alias = keys[0].name if is_alias else None
    taken = {column.name.lower() for column in table.columns}
    free = next((name for name in ROWID_NAMES if name not in taken), alias)
    return replace(
        table,
        primary_key=tuple(column.name for column in keys),
        rowid_alias=alias,
        rowid_name=None if table.without_rowid else free,
    )


def _says_autoincrement(sql: str) -> bool:
    """No pragma tells it; AUTOINCREMENT is a reserved word, so that an unquoted one can be nothing else."""
    return re.search(r"\bautoincrement\b", QUOTED.sub(" ", sql), re.IGNORECASE) is not None


async def _sequences(connection: aiosqlite.Connection, listed: Mapping[str, Any]) -> Mapping[str, int]:
    if "sqlite_sequence" not in listed:
        return {}
    # an application may have written anything there; what is no integer says nothing
    rows = await _rows(connection, "select name, seq from main.sqlite_sequence where typeof(seq) = 'integer'")
    return {name: int(seq) for name, seq in rows}


async def _rows(connection: aiosqlite.Connection, sql: str) -> list[Sequence[Any]]:
    async with connection.execute(sql) as cursor:
        return [tuple(row) for row in await cursor.fetchall()]


def _grouped(rows: Iterable[Sequence[Any]]) -> Mapping[str, list[Sequence[Any]]]:
    groups: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for name, *row in rows:
        groups[name].append(row)
    return groups


def _require_text(names: Iterable[str]) -> None:
    """Raise SourceError for a name whose bytes are no UTF-8 (they come as surrogates): no name there can hold them."""
    for name in names:
        if not name.isascii() and any("\udc80" <= char <= "\udcff" for char in name):
            spelled = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise SourceError(
                f"the name {spelled} in the source's schema is not UTF-8", "rename it in a copy of the file"
            )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
