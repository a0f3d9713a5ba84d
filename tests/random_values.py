"""Values of many types for random databases: as people store them, each with its place in docs/coercion.md."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Value = Callable[[random.Random], Any]
WORDS = [
    "", " ", "a", "Ada", "Zoë", "Zoe\u0308", "😀", "Грейс", "it's", 'a "b"', "tab\tnew\nline\r", "\\N", "\ufffd"
]  # fmt: skip


def pick(*values: Any) -> Value:
    return lambda rng: rng.choice(values)


def moment(rng: random.Random) -> datetime:
    return datetime(1, 1, 1) + timedelta(
        seconds=rng.randrange(9998 * 31_556_952), microseconds=rng.choice([0, 0, 1, 999_999])
    )


def recent(rng: random.Random) -> datetime:
    return datetime(2015, 1, 1) + timedelta(seconds=rng.randrange(300_000_000))


def integer(rng: random.Random) -> int:
    return rng.choice([0, 1, -1, rng.randrange(1000), rng.randrange(-(2**31), 2**31), 2**53 + 1, 2**63 - 1, -(2**63)])


def real(rng: random.Random) -> float:
    return rng.choice(
        [
            0.0,
            -0.0,
            0.1 + 0.2,
            5e-324,
            1.7976931348623157e308,
            1e15,
            1e16,
            1e22,
            float("inf"),
            rng.random(),
            rng.gauss(0, 1e6),
        ]
    )


def word(rng: random.Random) -> str:
    return rng.choice(WORDS) if rng.random() < 0.5 else "".join(rng.choices("abcé 0ß漢", k=rng.randrange(30)))


def document(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 6:
        return [document(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {word(rng): document(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [
        None,
        True,
        rng.randrange(-(10**18), 10**18),
        rng.random() * 10 ** rng.randrange(-9, 9),
        word(rng),
        "é\n\x01",
    ][kind]


def json_text(rng: random.Random) -> str:
    spaces = rng.choice([None, (",", ":"), (" , ", " : ")])
    return json.dumps(document(rng), ensure_ascii=rng.random() < 0.5, separators=spaces)


def with_offset(rng: random.Random) -> str:
    return recent(rng).isoformat() + rng.choice(["Z", " UTC", "+02:00", "-0330", "+14"])


def any_uuid(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128))


@dataclass(frozen=True)
class Kind:
    """A declared type with the values that fit it, those that a rule fits to it, and a cast that asks for it."""

    declared: str
    clean: Value
    dirty: Value | None = None
    cast: str | None = None


KINDS = [
    Kind("INTEGER", integer, lambda rng: rng.choice([f" {rng.randrange(99)} ", float(rng.randrange(99))]), "bigint"),
    Kind("BIGINT", integer),
    Kind("SMALLINT", lambda rng: rng.randrange(-(2**15), 2**15), integer),
    Kind("TINYINT(1)", pick(0, 1), lambda rng: rng.randrange(256)),
    Kind("BOOLEAN", pick(0, 1), pick("t", "No", "TRUE", "off")),
    Kind("REAL", real, lambda rng: rng.randrange(1000)),
    Kind("DOUBLE PRECISION", real, lambda rng: 2**53 + 1),
    Kind("", real, pick("1.5", " 2 ", 2**60 + 1), "double precision"),
    Kind("DECIMAL(10,2)", lambda rng: rng.randrange(-(10**9), 10**9) / 100, pick(0.1 + 0.2, 1.005, 5)),
    Kind("DECIMAL", lambda rng: rng.choice([0.5, -1.25, 7, 1e-9, 123456.789]), integer),
    Kind("TEXT", lambda rng: f"{word(rng)}12.50", lambda rng: str(rng.randrange(99)), "text"),
    Kind("NUMERIC(6,3)", lambda rng: rng.randrange(-999, 999) / 8, lambda rng: rng.choice([0.0625, 1e6])),
    Kind("DATE", lambda rng: moment(rng).date().isoformat(), lambda rng: f"{moment(rng).date()} 00:00:00"),
    Kind("DATETIME", lambda rng: moment(rng).isoformat(rng.choice(" T")), lambda rng: moment(rng).date().isoformat()),
    Kind("DATETIME", lambda rng: recent(rng).isoformat(" "), with_offset),
    Kind("TIMESTAMP", lambda rng: int(recent(rng).replace(tzinfo=UTC).timestamp())),
    Kind("DATETIME", lambda rng: int(recent(rng).replace(tzinfo=UTC).timestamp() * 1000) + rng.randrange(1000)),
    Kind("TIMESTAMPTZ", with_offset, lambda rng: recent(rng).isoformat()),
    Kind("INTEGER", lambda rng: rng.randrange(10**9, 2 * 10**9), lambda rng: 0, "timestamptz:epoch-s"),
    Kind("REAL", lambda rng: 2_400_000.5 + rng.randrange(10**8) / 1024, None, "timestamp:julian"),
    Kind("TEXT", lambda rng: f"{recent(rng):%d.%m.%Y}", None, "date:%d.%m.%Y"),
    Kind("TIME", lambda rng: moment(rng).time().isoformat(), pick("12:30", "00:00:00.5")),
    Kind("TEXT", lambda rng: rng.choice(["PT5M", "P1Y2M3DT4H", "-01:30", "36:00:00.125"]), None, "interval"),
    Kind("INTEGER", lambda rng: rng.randrange(10**9), None, "interval:us"),
    Kind("TEXT", word),
    Kind("VARCHAR(12)", lambda rng: word(rng)[:12], lambda rng: rng.choice([7, 1.5, b"bytes"])),
    Kind("CHAR(5)", lambda rng: word(rng)[:5].rstrip(" ")),
    Kind("", word, lambda rng: rng.choice([integer(rng), real(rng)]), "text"),
    Kind("", lambda rng: rng.choice([integer(rng), real(rng), word(rng)])),
    Kind("JSON", json_text, lambda rng: rng.choice(['{"a": 1, "a": 2.50}', "[1e5, 1.10, -0.0]", "null"])),
    Kind("TEXT", json_text, None, "json"),
    Kind("UUID", lambda rng: str(any_uuid(rng)), lambda rng: any_uuid(rng).bytes),
    Kind("GUID", lambda rng: any_uuid(rng).hex.upper()),
    Kind("BLOB", lambda rng: rng.randbytes(rng.choice([0, 1, 40, 5000])), word),
    Kind("VARBINARY", lambda rng: b"a\0" + rng.randbytes(3)),
    Kind("ANY", lambda rng: rng.choice([word(rng), integer(rng)])),
    Kind("FLURB", lambda rng: rng.randrange(10**6) / 4),
    Kind("TEXT", pick("10.0.0.1", "192.168.0.0/24", "2001:db8::1"), None, "inet"),
    Kind("TEXT", lambda rng: json.dumps([rng.randrange(-9, 9) for _ in range(rng.randrange(4))]), None, "integer[]"),
    Kind("TEXT", lambda rng: json.dumps([word(rng), None]), None, "text[]"),
]  # fmt: skip
