"""The catalog says what SQLite's own pragmas say, for every kind of key, column and object."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from etl.extract.catalog import affinity_of, read_storage_classes
from etl.extract.reader import Reader
from etl.extract.sizes import read_sizes
from etl.model import Affinity, IndexTerm, StorageClass
from tests.fix_source import MakeSource
from tests.planning import case_script, catalog_of, opened, source_table


@pytest.mark.parametrize(
    ("table", "alias"),
    [
        ("alias", "id"),
        ("counted", "id"),
        ("descending_apart", "id"),
        ("shadowed_alias", "id"),
        ("descending", None),
        ("not_alias", None),
        ("composite", None),
        ("strict_text", None),
        ("t_pkey", None),
    ],
)
async def test_only_a_true_integer_primary_key_is_the_rowid(
    make_source: MakeSource, table: str, alias: str | None
) -> None:
    """INT PRIMARY KEY and INTEGER PRIMARY KEY DESC look like the rowid and are not; PRIMARY KEY (id DESC) is."""
    path = make_source(case_script("keys"))
    found = source_table(await catalog_of(path), table)
    assert found.rowid_alias == alias
    with closing(sqlite3.connect(path)) as connection:  # SQLite's own word on it: only the alias moves with the rowid
        if found.primary_key and not found.without_rowid and not found.strict:
            key = found.primary_key[0]
            connection.execute(f'insert into "{table}" (rowid, "{key}") values (77, 77)' if alias is None else
                               f'insert into "{table}" ("{key}") values (77)')  # fmt: skip
            names = [row[0] for row in connection.execute(f"select {found.rowid_name} from {table} where {key} = 77")]
            assert names == [77]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("alias", "rowid"),
        ("half_shadowed", "_rowid_"),
        ("shadowed", None),
        ("shadowed_alias", "id"),
        ("composite", None),
    ],
)
async def test_the_rowid_has_a_name_that_no_column_takes(make_source: MakeSource, table: str, name: str | None) -> None:
    """A column may be called rowid, _rowid_ or oid; then that name means the column."""
    found = source_table(await catalog_of(make_source(case_script("keys"))), table)
    assert found.rowid_name == name


async def test_autoincrement_is_the_keyword_and_no_name_or_comment(make_source: MakeSource) -> None:
    """A column, a string and a comment that say autoincrement do not make one."""
    catalog = await catalog_of(make_source(case_script("keys")))
    assert source_table(catalog, "counted").autoincrement
    assert not source_table(catalog, "mentions").autoincrement


async def test_the_high_water_mark_outlives_deleted_rows(make_source: MakeSource) -> None:
    """sqlite_sequence keeps the largest id that ever was."""
    catalog = await catalog_of(make_source(case_script("keys")))
    assert source_table(catalog, "counted").sequence == 3
    assert source_table(catalog, "alias").sequence is None


async def test_a_composite_key_keeps_its_own_order(make_source: MakeSource) -> None:
    """PRIMARY KEY (c, a) is not (a, c)."""
    table = source_table(await catalog_of(make_source(case_script("keys"))), "composite")
    assert table.primary_key == ("c", "a")
    assert table.without_rowid


async def test_indexes_keep_direction_collation_and_origin(make_source: MakeSource) -> None:
    """What SQLAlchemy's reflection loses: DESC, COLLATE, partial and expression indexes, constraint or index."""
    table = source_table(await catalog_of(make_source(case_script("keys"))), "t")
    indexes = {index.name: index for index in table.indexes}
    assert indexes["plain_index"].terms == (IndexTerm("a"), IndexTerm("b", descending=True))
    assert indexes["folded_index"].terms == (IndexTerm("a", collation="NOCASE"),)
    assert indexes["expression_index"].terms == (IndexTerm(None), IndexTerm("b"))
    assert indexes["partial_index"].partial
    assert [index.origin for index in table.indexes] == ["u", "u", "c", "c", "c", "c", "c", "c"]
    assert [index.sql is None for index in table.indexes] == [True, True] + [False] * 6


async def test_foreign_keys_come_in_the_order_of_declaration(make_source: MakeSource) -> None:
    """The pragma lists the last first; a shorthand names no parent column."""
    table = source_table(await catalog_of(make_source(case_script("references"))), "child")
    assert [key.columns for key in table.foreign_keys][:3] == [("by_id",), ("by_code",), ("by_folded",)]
    assert table.foreign_keys[0].parent_columns == ()
    assert (table.foreign_keys[1].on_delete, table.foreign_keys[1].on_update) == ("CASCADE", "SET NULL")
    assert (table.foreign_keys[7].columns, table.foreign_keys[7].parent_columns) == (("a", "b"), ("a", "b"))


async def test_generated_columns_are_columns(make_source: MakeSource) -> None:
    """table_info hides them while `select *` returns them: nothing may shift."""
    table = source_table(await catalog_of(make_source(case_script("conditions"))), "generated")
    assert [(column.name, column.generated) for column in table.columns] == [("a", False), ("b", True), ("c", True)]


async def test_every_object_is_a_table_or_has_a_reason(make_source: MakeSource) -> None:
    """Triggers and virtual tables ask for attention; their storage and SQLite's own tables do not."""
    catalog = await catalog_of(make_source(case_script("left_behind")))
    assert [table.name for table in catalog.tables] == ["kept", "other", "searched"]
    assert [column.name for column in catalog.tables[2].columns] == ["rowid", "body"]
    skipped = {thing.name: (thing.kind, thing.needs_attention) for thing in catalog.skipped}
    assert [view.name for view in catalog.views] == ["seen", "broken"]
    assert "no such table" in str(catalog.views[1].problem)
    assert skipped["fired"] == ("trigger", True)
    assert skipped["searched"] == ("virtual table", True)
    assert skipped["searched_data"] == ("shadow table", False)
    assert skipped["sqlite_stat1"] == ("internal", False)
    (trigger,) = (thing for thing in catalog.skipped if thing.kind == "trigger")
    assert trigger.table == "other"
    assert "delete from kept" in trigger.sql


async def test_a_virtual_table_without_its_module_is_named(make_source: MakeSource) -> None:
    """The module may be the application's own: the catalog names it, and the plan stops unless it is excluded."""
    path = make_source("create table kept (id integer primary key);")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma writable_schema = on")
        connection.execute(
            "insert into sqlite_schema values ('table', 'odd', 'odd', 0, 'CREATE VIRTUAL TABLE odd USING nomodule(x)')"
        )
        connection.commit()
    catalog = await catalog_of(path)
    assert [table.name for table in catalog.tables] == ["kept"]
    assert [(thing.kind, thing.name) for thing in catalog.skipped] == [("missing module", "odd")]


@pytest.mark.parametrize(
    ("declared", "affinity"),
    [
        ("INTEGER", Affinity.INTEGER),
        ("CHARINT", Affinity.INTEGER),
        ("POINT", Affinity.INTEGER),
        ("FLOATING POINT", Affinity.INTEGER),
        ("VARCHAR(20)", Affinity.TEXT),
        ("clob", Affinity.TEXT),
        ("", Affinity.BLOB),
        ("BLOB", Affinity.BLOB),
        ("DOUBLE PRECISION", Affinity.REAL),
        ("STRING", Affinity.NUMERIC),
        ("DATETIME", Affinity.NUMERIC),
        ("ANY", Affinity.NUMERIC),
    ],
)
def test_affinity_is_what_sqlite_applies(declared: str, affinity: Affinity) -> None:
    """The rule is checked against what SQLite does to a value that each affinity stores differently."""
    assert affinity_of(declared) is affinity
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"create table t (c {declared})")
        connection.execute("insert into t values ('1'), (2), (2.0), ('1.5')")
        classes = tuple(row[0] for row in connection.execute("select typeof(c) from t order by rowid"))
    expected = {
        Affinity.INTEGER: ("integer", "integer", "integer", "real"),
        Affinity.NUMERIC: ("integer", "integer", "integer", "real"),
        Affinity.REAL: ("real", "real", "real", "real"),
        Affinity.TEXT: ("text", "text", "text", "text"),
        Affinity.BLOB: ("text", "integer", "real", "text"),
    }
    assert classes == expected[affinity]


def test_any_in_a_strict_table_changes_nothing() -> None:
    """STRICT gives ANY no affinity, other tables give it NUMERIC."""
    assert affinity_of("ANY", strict=True) is Affinity.BLOB


async def test_the_census_lists_the_classes_of_every_column(make_source: MakeSource) -> None:
    """One scan a table, NULL included; a table without rows has no class."""
    path = make_source('create table t (a, "b c"); create table e (x);', {"t": [(1, None), (1.5, b"x"), ("a", None)]})
    async with opened(path) as connection:
        census = await read_storage_classes(connection, [("t", "a"), ("t", "b c"), ("e", "x")])
    assert census == {
        ("t", "a"): {StorageClass.INTEGER, StorageClass.REAL, StorageClass.TEXT},
        ("t", "b c"): {StorageClass.NULL, StorageClass.BLOB},
        ("e", "x"): set(),
    }


def test_sizes_count_rows_and_the_largest_row(make_source: MakeSource) -> None:
    """Rowid tables have their rows on the leaves, WITHOUT ROWID tables on inner pages too; overflow counts once."""
    path = make_source(
        "create table r (id integer primary key, b blob); create table w (k text primary key) without rowid;"
        "create table e (x); create index i on r (b);",
        {
            "r": [(n, b"x" * 100) for n in range(5000)] + [(9999, b"y" * 300_000)],
            "w": [(f"{n:040}",) for n in range(3000)],
        },
    )
    reader = Reader(path)
    reader.pin()
    try:
        sizes = read_sizes(reader)
    finally:
        reader.close()
    assert (sizes["r"].rows, sizes["w"].rows, sizes["e"].rows) == (5001, 3000, 0)
    assert 300_000 <= sizes["r"].largest_row_bytes < 300_100
    assert 5000 * 100 + 300_000 < sizes["r"].bytes < 5001 * 120 + 300_000
    assert "i" not in sizes


async def test_text_of_another_encoding_is_named(make_source: MakeSource) -> None:
    """UTF-16 databases are read like others, and the catalog says so."""
    path = make_source('pragma encoding = \'UTF-16le\'; create table "т" ("я" text);')
    catalog = await catalog_of(path)
    assert catalog.encoding == "UTF-16le"
    assert catalog.tables[0].columns[0].name == "я"
    assert catalog.file_bytes == path.stat().st_size
