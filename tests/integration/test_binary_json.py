"""SQLite's binary JSON: decoded by SQLite for the load, from its bytes for verification, and never trusted twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.extract.binary_json import decode
from etl.model import BINARY_JSON, Reading, Verdict
from etl.verify.documents.binary_documents import document_text
from etl.verify.documents.canonical import canonical_document
from tests.fix_command import EtlCommand
from tests.verifying import Specimen, connected, found, verify


def written(path: Path, *statements: str) -> Path:
    """A file by the driver's SQLite: Python's may not know jsonb()."""
    with closing(adbc.connect(f"file:{path}")) as connection:
        for statement in statements:
            with closing(connection.cursor()) as cursor:
                cursor.execute(statement)
        connection.commit()
    return path


def fetch(dsn: str, query: str) -> list[Any]:
    async def work() -> list[Any]:
        async with connected(dsn) as connection:
            return [row[0] for row in await connection.fetch(query)]

    return asyncio.run(work())


def binary(texts: Iterable[str]) -> list[bytes]:
    """What SQLite's jsonb() makes of JSON or JSON5."""
    with closing(adbc.connect(":memory:")) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select jsonb(?1)", parameters=pa.record_batch([pa.array(texts, pa.string())], ["text"]))
        blobs: list[bytes] = cursor.fetch_arrow_table().column(0).to_pylist()
        return blobs


DOCUMENTS = """
(1, jsonb('{"b":[1,2.50,"é\\u00e9"],"a":null}')), (2, '{"b":[1,2.50,"éé"],"a":null}'), (3, 5), (4, null),
(5, jsonb('[0x10,.5,5.,+3,''it\\x41\\''s "q"'',{k:true}]')), (6, jsonb('{"a":1,"a":2}')), (7, 2.5), (8, jsonb('null'))
"""
HELD = [
    '{"a": null, "b": [1, 2.50, "éé"]}',
    '{"a": null, "b": [1, 2.50, "éé"]}',
    "5",
    None,
    '[16, 0.5, 5.0, 3, "itA\'s \\"q\\"", {"k": true}]',
    '{"a": 2}',
    "2.5",
    "null",
]


@pytest.mark.parametrize(
    "table", ["t (id integer primary key, doc jsonb)", "t (id text primary key, doc jsonb) without rowid"]
)
def test_a_jsonb_column_holds_what_its_blobs_and_texts_say(
    etl: EtlCommand, database_dsn: str, tmp_path: Path, table: str
) -> None:
    """By key ranges and by one cursor; JSON5 in a blob is JSON in PostgreSQL."""
    path = written(tmp_path / "s.db", f"create table {table}", f"insert into t values {DOCUMENTS}")
    done = etl("migrate", path, database_dsn, "--report", tmp_path / "r.json")
    assert done.status == 0, done.err
    assert fetch(database_dsn, "select doc::text from t order by id") == HELD
    (report,) = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert report["coerced"] == {"json-duplicate-keys": 1, "number-to-json": 2}
    assert etl("verify", path, database_dsn).status == 0


def test_a_blob_column_is_read_so_when_the_user_says_so(etl: EtlCommand, database_dsn: str, tmp_path: Path) -> None:
    """jsonb() also fills columns that are declared BLOB, or not at all; json keeps the text that SQLite writes."""
    path = written(
        tmp_path / "s.db",
        "create table t (a blob, b)",
        """insert into t values (jsonb('{"x": [1, 2]}'), jsonb('{"x": [1, 2]}'))""",
    )
    done = etl("migrate", path, database_dsn, "--cast", "t.a=jsonb:sqlite", "--cast", "t.b=json:sqlite")
    assert done.status == 0, done.err
    assert fetch(database_dsn, "select a::text || b::text from t") == ['{"x": [1, 2]}{"x":[1,2]}']
    refused = etl("migrate", path, database_dsn, "--force", "--cast", "t.a=jsonb")
    assert refused.status == 1
    assert "--cast t.a=jsonb:sqlite where it is SQLite's binary JSON" in refused.err


def test_a_blob_that_is_no_binary_json_is_refused_with_its_row(
    etl: EtlCommand, database_dsn: str, tmp_path: Path
) -> None:
    """JSON text in a blob is none either: SQLite itself took it for binary in some versions, and for text in others."""
    path = written(
        tmp_path / "s.db",
        "create table t (id integer primary key, doc jsonb)",
        "insert into t values (1, jsonb('[1]')), (2, x'7b7d'), (3, x'ff00'), (4, x'')",
    )
    done = etl("migrate", path, database_dsn)
    assert done.status == 1
    assert "error: t.doc (id=2): x'7b7d' is a blob, but not SQLite's binary JSON" in done.err
    assert "t.doc: 3 times, first (id=2)" in done.err
    assert "--cast t.doc=bytea" in done.err


async def test_verification_objects_to_another_document(database_dsn: str, tmp_path: Path) -> None:
    """It reads the blobs itself: neither json() nor the load's text has a part in it."""
    specimen = Specimen(
        "t",
        (("n", "integer", "bigint"), ("v", "jsonb", "jsonb")),
        ("n",),
        readings={"v": Reading(how=BINARY_JSON)},
    )
    texts = ['{"a": [1, "x"]}', "[1.0]", '"é"']
    path = specimen.create_source(tmp_path / "s.db", list(enumerate([*binary(texts[:2]), texts[2], b"\x0f\x00"])))
    async with connected(database_dsn) as target:
        await specimen.create_target(target, [*((str(n), text) for n, text in enumerate(texts)), ("3", "null")])
        verified = await verify(path, target, specimen.plan)
        (malformed,) = verified.differences
        assert (malformed.key, malformed.expected) == ("n=3", "no equivalent")
        for damage in ("""'{"a": [1, "y"]}'""", """'{"a": [1, "x"], "b": 1}'""", "null"):
            await target.execute(f"update t set v = {damage} where n = 0")
            assert found(await verify(path, target, specimen.plan)) == {
                ("different", "n=0", "v"),
                ("different", "n=3", "v"),
            }
        await target.execute('delete from t where n = 3; update t set v = $${"a":[1.00,"x"]}$$ where n = 0')
        path = specimen.create_source(tmp_path / "o.db", list(enumerate([*binary(texts[:2]), texts[2]])))
        assert (await verify(path, target, specimen.plan)).verdict is Verdict.EQUAL


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(JSON, min_size=1, max_size=10))
@settings(max_examples=200, deadline=None)
def test_both_decoders_say_the_same_document(documents: list[Any]) -> None:
    """SQLite's json() and verification's own reading of the bytes."""
    texts = [json.dumps(document) for document in documents]
    blobs = binary(texts)
    with closing(adbc.connect(":memory:")) as connection:
        decoded = decode(connection, pa.array(blobs, pa.binary())).to_pylist()
    for text, blob, by_sqlite in zip(texts, blobs, decoded, strict=True):
        own = document_text(blob)
        assert own is not None
        assert canonical_document(own) == canonical_document(by_sqlite.encode()) == canonical_document(text.encode())


def test_what_sqlite_refuses_has_no_equivalent() -> None:
    """Blobs with a byte changed, cut or added: where json_valid() says no, verification does not say yes."""
    chance = random.Random(5)
    whole = binary(['{"a":[1,2.5,"xyz",true,null],"bc":{"d":-1e5}}', '["' + "x" * 300 + '", 0x1f, .5]'])
    blobs = []
    for _ in range(3000):
        blob = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 2)):
            blob[chance.randrange(len(blob))] = chance.randrange(256)
        blobs.append(bytes(blob[: chance.choice([len(blob), chance.randrange(len(blob))])]))
    with closing(adbc.connect(":memory:")) as connection:
        decoded = decode(connection, pa.array(blobs, pa.binary())).view(pa.binary()).to_pylist()
    agreed = 0
    for blob, by_sqlite in zip(blobs, decoded, strict=True):
        own = document_text(blob)
        said = None if own is None else canonical_document(own)
        if by_sqlite is None:
            continue  # SQLite is the stricter one: the load refuses what it refuses
        assert said == canonical_document(by_sqlite), (blob, by_sqlite, own)
        agreed += 1
    assert agreed > 100
