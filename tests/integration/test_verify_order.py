"""Rows that do not line up: missing, extra, displaced, shuffled, without a key, with spilling; exact all the same."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from etl.model import Verdict
from etl.verify import multiset
from tests.verifying import Specimen, connected, found, verify

ROWS = 40_000  # three batches
KEYED = Specimen("t", (("id", "integer primary key", "bigint"), ("v", "text", "text"), ("d", "json", "jsonb")), ("id",))
KEYLESS = Specimen("t", (("v", "text", "text"), ("n", "integer", "bigint")))


@pytest.fixture
async def target(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to an empty database."""
    async with connected(database_dsn) as connection:
        yield connection


@pytest.fixture
def keyed(tmp_path: Path) -> Path:
    """Rows with a key, a text of varying length and a document in every seventh row."""
    rows = ((n, "v" * (n % 9) + str(n), f'{{"n": {n}}}' if n % 7 == 0 else None) for n in range(ROWS))
    return KEYED.create_source(tmp_path / "s.db", rows)


async def fill(target: asyncpg.Connection, order: str = "n", where: str = "true") -> None:
    await target.execute(
        "drop table if exists t; create table t as select n::bigint as id, repeat('v', n % 9) || n as v,"
        " case when n % 7 = 0 then jsonb_build_object('n', n) end as d"
        f" from generate_series(0, {ROWS - 1}) n where {where} order by {order}"
    )


@pytest.mark.parametrize("held", [200_000, 500], ids=["held", "spilled"])
async def test_any_order_is_equal(
    keyed: Path, target: asyncpg.Connection, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reversed, shuffled, and in blocks: the same multiset, the same checksum."""
    monkeypatch.setattr(multiset, "HELD_ROWS", held)
    sums = set()
    for order in ("n", "n desc", "(n * 7919) % 40000", "(n / 100) % 3, n"):
        await fill(target, order)
        verified = await verify(keyed, target, KEYED.plan)
        assert verified.differences == ()
        sums.add((verified.verdict, verified.source_checksum, verified.target_checksum, verified.target_rows))
    assert len(sums) == 1
    assert next(iter(sums))[0] is Verdict.EQUAL


@pytest.mark.parametrize("held", [200_000, 500], ids=["held", "spilled"])
@pytest.mark.parametrize("order", ["n", "n desc"])
async def test_every_kind_of_difference_is_found_in_any_order(
    keyed: Path, target: asyncpg.Connection, held: int, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At both ends, around the limits of batches, and in the middle."""
    monkeypatch.setattr(multiset, "HELD_ROWS", held)
    lost = [0, 1, 16_383, 16_384, 20_000, 39_999]
    await fill(target, order, f"n not in ({', '.join(map(str, lost))})")
    await target.execute(
        "update t set v = v || '!' where id in (2, 16382, 30000);"
        "update t set d = '{\"n\": -1}' where id = 700;"
        "insert into t values (-5, 'new', null), (50000, 'new', '{}')"
    )
    verified = await verify(keyed, target, KEYED.plan)
    assert found(verified) == {
        *(("missing", f"id={n}", None) for n in lost),
        *(("different", f"id={n}", "v") for n in (2, 16382, 30000)),
        ("different", "id=700", "d"),
        *(("extra", f"id={n}", None) for n in (-5, 50000)),
    }
    assert verified.difference_counts == {"missing": 6, "different": 4, "extra": 2}
    assert (verified.source_rows, verified.target_rows) == (ROWS, ROWS - 4)


async def test_every_row_different_is_counted_and_twenty_are_shown(
    keyed: Path, target: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that is wrong everywhere: exact counts, the first rows as samples."""
    monkeypatch.setattr(multiset, "HELD_ROWS", 5000)
    await fill(target)
    await target.execute(
        "create table u as select id, v || 'x' as v, d from t order by id; drop table t; alter table u rename to t"
    )
    verified = await verify(keyed, target, KEYED.plan)
    assert verified.difference_counts == {"different": ROWS}
    assert [one.key for one in verified.differences] == [f"id={n}" for n in range(20)]


async def test_an_empty_target_misses_every_row(keyed: Path, target: asyncpg.Connection) -> None:
    """And a source without rows makes every row of the target extra."""
    await fill(target, where="false")
    verified = await verify(keyed, target, KEYED.plan)
    assert verified.difference_counts == {"missing": ROWS}
    assert len(verified.differences) == 20


async def test_an_empty_source_makes_every_row_extra(tmp_path: Path, target: asyncpg.Connection) -> None:
    """The target is read to its end."""
    path = KEYED.create_source(tmp_path / "s.db", [])
    await fill(target)
    verified = await verify(path, target, KEYED.plan)
    assert verified.difference_counts == {"extra": ROWS}
    assert verified.differences[0].key == "id=0"


@pytest.mark.parametrize("held", [200_000, 500], ids=["held", "spilled"])
async def test_rows_without_a_key_are_a_multiset(
    tmp_path: Path, target: asyncpg.Connection, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How often a row stands counts; where it stands does not."""
    monkeypatch.setattr(multiset, "HELD_ROWS", held)
    rows = [(f"v{n % 50}", n % 3) for n in range(ROWS)]
    path = KEYLESS.create_source(tmp_path / "s.db", rows)
    random.Random(4).shuffle(rows)
    await target.execute("create table t (v text, n bigint)")
    await target.copy_records_to_table("t", records=rows)
    assert (await verify(path, target, KEYLESS.plan)).verdict is Verdict.EQUAL
    await target.execute("insert into t select 'v7', 1; insert into t select 'v7', 1")
    verified = await verify(path, target, KEYLESS.plan)
    assert verified.difference_counts == {"extra": 2}
    assert found(verified) == {("extra", "v='v7', n=1", None)}


async def test_a_changed_cell_without_a_key_is_named_by_its_rowid(tmp_path: Path, target: asyncpg.Connection) -> None:
    """Rows that stand after equally many equal rows are one row, changed."""
    rows = [(f"v{n}", n) for n in range(ROWS)]
    path = KEYLESS.create_source(tmp_path / "s.db", rows)
    rows[5], rows[17_000] = ("v5", -5), ("w", 17_000)
    del rows[30_000]
    await target.execute("create table t (v text, n bigint)")
    await target.copy_records_to_table("t", records=rows)
    verified = await verify(path, target, KEYLESS.plan)
    assert found(verified) == {
        ("different", "rowid=6", "n"), ("different", "rowid=17001", "v"), ("missing", "rowid=30001", None)
    }  # fmt: skip


async def test_rejected_rows_must_not_be_in_the_target(keyed: Path, target: asyncpg.Connection) -> None:
    """They count on neither side; one that is there after all is extra, and places behind them stay right."""
    rejected = [0, 5, 8191, 8192, *range(20_000, 30_000), 39_999]
    await fill(target, where="n not in (0, 5, 8191, 8192, 39999) and n not between 20000 and 29999")
    verified = await verify(keyed, target, KEYED.plan, rejected=rejected)
    assert (verified.differences, verified.source_rows, verified.target_rows) == ((), ROWS - 10_005, ROWS - 10_005)
    assert verified.source_checksum == verified.target_checksum
    await target.execute("insert into t values (5, 'vvvvv5', null); update t set v = '' where id in (6, 8193, 39998)")
    verified = await verify(keyed, target, KEYED.plan, rejected=rejected)
    assert found(verified) == {
        ("extra", "id=5", None),
        *(("different", f"id={n}", "v") for n in (6, 8193, 39998)),
    }
