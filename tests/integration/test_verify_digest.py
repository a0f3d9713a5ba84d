"""Verification by digests that the server computes: as exact as by values, and quiet on the network."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings

from etl.model import Proof, Verdict
from etl.verify.digest import digest_table
from etl.verify.documents.document_tokens import jsonb_document_by_token
from etl.verify.row_counts import count_table
from tests.fix_command import EtlCommand
from tests.integration.test_verify_sabotage import SABOTAGE, SPECIMEN, source_row, target_row
from tests.property.test_verify_databases import tables
from tests.verifying import Specimen, connected, found, verify

ROWS = 50


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Fifty rows with a column of every type."""
    return SPECIMEN.create_source(tmp_path / "source.db", map(source_row, range(1, ROWS + 1)))


@pytest.fixture
async def target(database_dsn: str) -> Any:
    """A target that holds what the source holds."""
    async with connected(database_dsn) as connection:
        await SPECIMEN.create_target(connection, map(target_row, range(1, ROWS + 1)))
        yield connection


async def test_equal_tables_are_equal_by_their_digests(
    source: Path, target: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every type's bytes are foretold as the server's record_send gives them: no row has to be read."""
    asked: list[str] = []
    monkeypatch.setattr("etl.verify.digest._target_rows", lambda *args: asked.append("rows"))
    monkeypatch.setattr("etl.verify.digest.verify_table", lambda *args, **more: asked.append("table"))
    verified = await verify(source, target, SPECIMEN.plan, way=digest_table)
    assert asked == []
    assert (verified.verdict, verified.source_rows, verified.target_rows) == (Verdict.EQUAL, ROWS, ROWS)
    assert verified.proof is Proof.DIGEST
    assert verified.source_checksum is verified.target_checksum is None, "nobody computed one"


@pytest.mark.parametrize("damage", SABOTAGE)
async def test_digests_find_damage_where_it_is(damage: str, source: Path, target: asyncpg.Connection) -> None:
    """The digest tells in which part, and the rows of that part are compared as values: row and column are named."""
    statement, expected = SABOTAGE[damage]
    await target.execute(statement)
    verified = await verify(source, target, SPECIMEN.plan, way=digest_table)
    assert found(verified) == expected
    assert verified.verdict is Verdict.DIFFERENT
    assert sum(verified.difference_counts.values()) == len(expected)


@pytest.mark.parametrize(
    "change",
    [
        'update specimen set doc = \'{"é": null, "a": 1, "b": [1.0, {"deep": 7}]}\' where id = 7',
        "update specimen set raw = replace(raw::text, ':', ' : ')::json",
        "create table other as select * from specimen order by name desc; truncate specimen;"
        " insert into specimen select * from other",
    ],
    ids=["another spelling of a document", "another spelling of all", "another order of all rows"],
)
async def test_digests_do_not_object_to_what_means_the_same(
    change: str, source: Path, target: asyncpg.Connection
) -> None:
    """A document that the server spells otherwise than foretold is read and compared as a document."""
    await target.execute(change)
    verified = await verify(source, target, SPECIMEN.plan, way=digest_table)
    assert (verified.verdict, verified.differences) == (Verdict.EQUAL, ())


async def test_only_parts_that_differ_come_over_the_network(tmp_path: Path, database_dsn: str) -> None:
    """Of 40,000 rows a few hundred are read for one that differs, and the sums of all take under a megabyte."""
    specimen = Specimen("t", (("id", "integer primary key", "bigint"), ("name", "text", "text")), ("id",))
    path = specimen.create_source(tmp_path / "t.db", ((n, f"name {n}") for n in range(40_000)))
    plan = specimen.plan
    async with connected(database_dsn) as target:
        await target.execute(
            "create table t as select n::bigint as id, 'name ' || n as name from generate_series(0, 39999) n"
        )
        sent = ReceivedBytes(target)
        verified = await verify(path, target, with_estimate(plan, 40_000), way=digest_table)
        assert verified.verdict is Verdict.EQUAL
        assert sent.taken() < 40_000
        await target.execute("update t set name = name || ' ' where id in (0, 20000, 39999)")
        verified = await verify(path, target, with_estimate(plan, 40_000), way=digest_table)
        assert found(verified) == {("different", f"id={key}", "name") for key in (0, 20_000, 39_999)}
        assert sent.taken() < 40_000 + 6 * 1000 * 40


class ReceivedBytes:
    """What arrives on a connection."""

    def __init__(self, target: asyncpg.Connection) -> None:
        self.count = 0
        protocol = target._protocol
        transport = target._transport
        plain = protocol.data_received

        class Counting:
            def __getattr__(inner, name: str) -> Any:  # noqa: N805
                return getattr(protocol, name)

            def data_received(inner, data: bytes) -> None:  # noqa: N805
                self.count += len(data)
                plain(data)

        counting = Counting()
        self._keep = counting
        transport.set_protocol(counting)

    def taken(self) -> int:
        """Bytes since the last question."""
        count, self.count = self.count, 0
        return count


@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_digests_raise_no_false_alarm_and_miss_nothing(server_dsn: str, table: Any) -> None:
    """Random values of every type in another order: equal; with one row twice: one row too many."""
    specimen, rows = table

    async def both() -> Any:
        async with connected(server_dsn) as target:
            with tempfile.TemporaryDirectory() as folder:
                path = specimen.create_source(Path(folder) / "s.db", [[stored for stored, _ in row] for row in rows])
                await specimen.create_target(target, [tuple(text for _, text in row) for row in reversed(rows)])
                whole = await verify(path, target, specimen.plan, way=digest_table)
                await target.execute("insert into t select * from t limit 1")
                damaged = await verify(path, target, specimen.plan, way=digest_table)
                await target.execute("drop table t")
                return whole, damaged

    whole, damaged = asyncio.run(both())
    assert (whole.verdict, whole.differences) == (Verdict.EQUAL, ())
    assert damaged.difference_counts == ({"extra": 1} if rows else {})


DOCUMENTS = [
    '{"bb": 1, "a": [1.50, 1e3, -0, 0.0, 1.5E-3, 12345678901234567890.5], "é": "\\u00e9\\n\\u0001/\\/"}',
    '{"a": 1, "a": 2, "aa": {}, "b": []}',
    "[]",
    '"text"',
    "1.10",
    "null",
]


@pytest.mark.parametrize("text", DOCUMENTS)
async def test_jsonb_is_spelled_as_the_server_spells_it(text: str, database_dsn: str) -> None:
    """A wrong forecast costs the reading of rows; so the forecast is held to what the server prints."""
    async with connected(database_dsn) as target:
        assert (
            jsonb_document_by_token(text.encode()) == (await target.fetchval("select $1::jsonb::text", text)).encode()
        )


async def test_a_count_says_no_more_than_that(source: Path, target: asyncpg.Connection) -> None:
    """Equal counts are no equal tables, and the verdict does not claim it."""
    await target.execute("update specimen set name = 'another'")
    verified = await verify(source, target, SPECIMEN.plan, way=count_table)
    assert (verified.verdict, verified.proof) == (Verdict.COUNTED, Proof.COUNT)
    await target.execute("delete from specimen where id < 4")
    verified = await verify(source, target, SPECIMEN.plan, way=count_table)
    assert (verified.verdict, dict(verified.difference_counts)) == (Verdict.DIFFERENT, {"missing": 3})


@pytest.mark.parametrize("way", [digest_table, count_table])
async def test_rejected_rows_are_no_differences(way: Any, source: Path, target: asyncpg.Connection) -> None:
    """What the run set aside must not be in the target, and is not missed."""
    await target.execute("delete from specimen where id in (1, 20, 50)")
    verified = await verify(source, target, SPECIMEN.plan, (0, 19, 49), way=way)
    assert (verified.verdict in (Verdict.EQUAL, Verdict.COUNTED), verified.source_rows) == (True, ROWS - 3)
    await target.execute("delete from specimen where id = 30")
    verified = await verify(source, target, SPECIMEN.plan, (0, 19, 49), way=way)
    assert dict(verified.difference_counts) == {"missing": 1}
    assert [one.key for one in verified.differences] == (["id=30"] if way is digest_table else [])


def with_estimate(plan: Any, rows: int) -> Any:
    return replace(plan, source=replace(plan.source, rows_estimate=rows))


@pytest.mark.parametrize(
    ("way", "proven", "said"),
    [
        ("full", ("equal", "values"), "every value compared"),
        ("digest", ("equal", "digest"), "every row compared by its SHA-256"),
        ("count", ("counts equal", "count"), "no value was compared"),
        ("none", ("not verified", None), "not verified"),
    ],
)
def test_the_verdict_says_which_proof_it_rests_on(
    etl: EtlCommand,
    sqlite_path: Path,
    database_dsn: str,
    tmp_path: Path,
    way: str,
    proven: tuple[str, str | None],
    said: str,
) -> None:
    """`equal` is said only where every row was compared."""
    report = tmp_path / "report.json"
    for command in ("migrate", "verify"):
        done = etl(command, sqlite_path, database_dsn, "--verify", way, "--report", report)
        assert done.status == 0, done.err
        content = json.loads(report.read_bytes())
        told = {(content["verdict"], table["proof"]) for table in content["tables"]}
        assert told == {proven}
        assert said in done.out


async def test_a_cancelled_digest_leaves_the_connection_usable(source: Path, target: asyncpg.Connection) -> None:
    """The server's query is cancelled too, and the transaction ended."""
    await target.execute("insert into specimen select s.* from specimen s, generate_series(1, 2000)")
    work = asyncio.ensure_future(verify(source, target, SPECIMEN.plan, way=digest_table))
    await asyncio.sleep(0.05)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not target.is_in_transaction()
    assert await target.fetchval("select count(*) from specimen") == 50 * 2001
