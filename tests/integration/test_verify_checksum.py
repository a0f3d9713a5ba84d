"""Checksums can be computed by somebody else: a second implementation, from docs/checksums.md alone."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import xxhash

from tests.verifying import Specimen, connected, verify

EPOCH = datetime(2000, 1, 1)


def checksum(rows: list[tuple[bytes | None, ...]]) -> str:
    """The sum of the digests of canonical rows."""
    total = 0
    for row in rows:
        canonical = struct.pack(">H", len(row))
        for payload in row:
            canonical += struct.pack(">i", -1) if payload is None else struct.pack(">i", len(payload)) + payload
        total += int(xxhash.xxh3_128_hexdigest(canonical), 16)
    return f"{total % 2**128:032x}"


def numeric(value: Decimal, scale: int) -> bytes:
    """numeric_send for non-negative weights."""
    whole, _, fraction = f"{abs(value):.{scale}f}".partition(".")
    fraction += "0" * (-len(fraction) % 4)
    whole = "0" * (-len(whole) % 4) + whole
    digits = [int((whole + fraction)[at : at + 4]) for at in range(0, len(whole + fraction), 4)]
    weight = len(whole) // 4 - 1
    while digits and digits[0] == 0:
        digits, weight = digits[1:], weight - 1
    while digits and digits[-1] == 0:
        digits = digits[:-1]
    head = struct.pack(">hhHH", len(digits), weight if digits else 0, 0x4000 if value < 0 else 0, scale)
    return head + b"".join(struct.pack(">h", digit) for digit in digits)


def document(text: str) -> bytes:
    """A canonical document; Python's own numbers suffice for these."""

    def canonical(value: Any) -> str:
        if isinstance(value, dict):
            members = sorted(value.items(), key=lambda member: member[0].encode())
            return "{" + ",".join(f"{canonical(key)}:{canonical(item)}" for key, item in members) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(canonical, value)) + "]"
        if isinstance(value, Decimal):
            plain = f"{value:f}"
            return (plain.rstrip("0").rstrip(".") if "." in plain else plain) if value else "0"
        return json.dumps(value, ensure_ascii=False)

    return canonical(json.loads(text, parse_float=Decimal, parse_int=Decimal)).encode()


def micros(moment: datetime) -> int:
    passed = moment - EPOCH
    return (passed.days * 86400 + passed.seconds) * 10**6 + passed.microseconds


def moment_of(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def date_of(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def time_of(value: Any) -> time:
    return value if isinstance(value, time) else time.fromisoformat(value)


PAYLOADS: dict[str, Callable[[Any], bytes]] = {
    "bigint": lambda value: struct.pack(">q", value),
    "double precision": lambda value: struct.pack(">d", value),
    "numeric(10,2)": lambda value: numeric(Decimal(str(value)), 2),
    "boolean": lambda value: b"\x01" if value else b"\x00",
    "date": lambda value: struct.pack(">i", (date_of(value) - EPOCH.date()).days),
    "timestamp": lambda value: struct.pack(">q", micros(moment_of(value))),
    "timestamptz": lambda value: struct.pack(">q", micros(moment_of(value))),
    "time": lambda value: struct.pack(">q", micros(datetime.combine(EPOCH, time_of(value)))),
    "jsonb": lambda value: document(value),
    "uuid": lambda value: UUID(str(value)).bytes,
    "bytea": bytes,
    "text": lambda value: str(value).encode(),
    "char(6)": lambda value: str(value).ljust(6).encode(),
}


def payload(value: Any, kind: str) -> bytes | None:
    """The payload of a value that asyncpg read, or that SQLite holds in this test's spelling."""
    return None if value is None else PAYLOADS[kind](value)


def as_text(value: Any) -> str | None:
    """The value as PostgreSQL reads it."""
    if value is None:
        return None
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


COLUMNS = {
    "id": "bigint", "n": "numeric(10,2)", "x": "double precision", "b": "boolean", "d": "date", "t": "timestamp",
    "z": "timestamptz", "c": "time", "s": "text", "f": "char(6)", "j": "jsonb", "u": "uuid", "y": "bytea",
}  # fmt: skip
DECLARED = {"bigint": "integer", "bytea": "blob", "double precision": "real", "timestamptz": "text"}
SPECIMEN = Specimen("t", tuple((name, DECLARED.get(kind, kind), kind) for name, kind in COLUMNS.items()), ("id",))


def sample_rows() -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for number in range(300):
        tree = {"z": number, "a": [1.50, 1e3, -0.0, True, None, 'q"\n\x01/é'], "é": {"": {}}, "B": 0.00012}
        moments = (
            f"{1800 + number}-03-01",
            f"{1700 + number}-12-31 23:59:59.{number:06d}",
            "2024-05-05T12:00:00+02:00",
        )
        texts = (f"10:20:30.{number:06d}", f"nö {number}", f"é{number}", json.dumps(tree), str(UUID(int=number)))
        numbers = (number, (number - 150) * 1.37, number / 3, number % 2)
        rows.append((*numbers, *moments, *texts, bytes(range(number % 5))))
    return [*rows, (1000, *[None] * 12)]


async def target_rows(target: asyncpg.Connection) -> list[tuple[bytes | None, ...]]:
    rows = await target.fetch(f"select {', '.join(COLUMNS)} from t")
    return [tuple(payload(value, kind) for value, kind in zip(row, COLUMNS.values(), strict=True)) for row in rows]


async def test_a_second_implementation_computes_the_same_checksums(database_dsn: str, tmp_path: Path) -> None:
    """From sqlite3's rows for the source, from asyncpg's for the target, and as verification reports them."""
    path = SPECIMEN.create_source(tmp_path / "s.db", sample_rows())
    with closing(sqlite3.connect(path)) as connection:
        source_rows = [
            tuple(payload(value, kind) for value, kind in zip(row, COLUMNS.values(), strict=True))
            for row in connection.execute("select * from t")
        ]
    async with connected(database_dsn) as target:
        await SPECIMEN.create_target(target, [tuple(map(as_text, row)) for row in sample_rows()])
        verified = await verify(path, target, SPECIMEN.plan)
        assert verified.differences == ()
        assert verified.source_checksum == checksum(source_rows)
        assert verified.target_checksum == checksum(await target_rows(target))
        await target.execute("update t set x = x + 1 where id = 5; delete from t where id = 6")
        damaged = await verify(path, target, SPECIMEN.plan)
        assert damaged.source_checksum == verified.source_checksum
        assert damaged.target_checksum == checksum(await target_rows(target)) != verified.target_checksum


async def test_an_empty_table_has_a_checksum_of_zeros(database_dsn: str, tmp_path: Path) -> None:
    """No rows, no sum."""
    path = SPECIMEN.create_source(tmp_path / "s.db", [])
    async with connected(database_dsn) as target:
        await SPECIMEN.create_target(target, [])
        verified = await verify(path, target, SPECIMEN.plan)
    assert (verified.source_rows, verified.source_checksum, verified.target_checksum) == (0, "0" * 32, "0" * 32)
