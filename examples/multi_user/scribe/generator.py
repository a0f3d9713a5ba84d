"""Makes a database as years of use leave it: seeded, of any size.

Text keys, gaps in AUTOINCREMENT, JSON in TEXT, times in four spellings, 0/1 flags, NUL in captured output, '' where
NULL is meant, rows whose session is gone.
"""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scribe.store import SqliteStore

BEGIN = datetime(2021, 3, 1, tzinfo=UTC)
WORDS = "build deploy fix the flaky test über naïve 漢字 😀 query cache index socket retry merge".split()  # noqa: SIM905
BEFORE_OWNERS = "023_reminders"
BATCH = 5_000


def generate(path: Path, rows: int, seed: int = 1) -> int:
    """Make the file with about ``rows`` rows in all tables; returns how many there are."""
    SqliteStore(path).migrate(BEFORE_OWNERS)
    past = Past(random.Random(seed), max(10, rows // 20))
    total = 0
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma synchronous = off")
        for table, made in past.tables(rows):
            total += insert(connection, table, made)
        connection.execute("delete from outbox where id % 7 = 3")  # what was sent is cleared away
        connection.execute("delete from outbox where id > (select max(id) from outbox) - 5")
        connection.execute("delete from event_log where id % 11 = 0")
        connection.execute("insert into message_search(message_search) values ('rebuild')")
        connection.commit()
        removed = connection.execute(
            "select (select seq from sqlite_sequence where name = 'outbox') - (select count(*) from outbox)"
            " + (select seq from sqlite_sequence where name = 'event_log') - (select count(*) from event_log)"
        ).fetchone()[0]
    return total - int(removed)


def insert(connection: sqlite3.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> int:
    count, batch = 0, []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            count += write(connection, table, batch)
    return count + write(connection, table, batch)


def write(connection: sqlite3.Connection, table: str, batch: list[tuple[Any, ...]]) -> int:
    if batch:
        connection.executemany(f"insert into {table} values ({', '.join('?' * len(batch[0]))})", batch)
    count = len(batch)
    batch.clear()
    return count


class Past:
    """The invented history: ``sessions`` of them, everything else around them."""

    def __init__(self, chance: random.Random, sessions: int) -> None:
        self.chance = chance
        self.ids = [self.key() for _ in range(sessions)]

    def tables(self, rows: int) -> Iterator[tuple[str, Iterator[tuple[Any, ...]]]]:
        share = max(10, rows // 20)
        yield "settings", iter([("language", "de"), ("history", ""), ("editor", "vim")])
        yield "sessions", (self.session(key) for key in self.ids)
        yield "messages", self.messages(share * 8)
        yield "terminal_output", (self.output(number) for number in range(1, share * 4))
        yield "tool_calls", (self.tool_call() for _ in range(share))
        yield "attachments", (self.attachment() for _ in range(share // 10 + 1))
        yield "tags", ((number, f"tag {number}") for number in range(1, 21))
        yield "session_tags", iter({(self.session_id(), self.chance.randint(1, 20)): None for _ in range(share)})
        yield "preferences", ((scope, f"option {n}", str(n % 3)) for scope in ("ui", "tts") for n in range(10))
        yield "outbox", (self.outbox(number) for number in range(1, share * 2))
        yield "event_log", ((n, "tick", self.words(3), self.spelled(n % 4)) for n in range(1, share * 2))
        yield "costs", (self.cost(number) for number in range(1, share))
        yield "reminders", (self.reminder() for _ in range(share // 10 + 5))
        yield "devices", ((self.key(), f"device {n}", int(self.time().timestamp() * 1000)) for n in range(5))
        yield "jobs", (self.job() for _ in range(share // 5 + 5))

    def session(self, key: str) -> tuple[Any, ...]:
        made = self.time()
        config = {"model": self.chance.choice(["small", "large"]), "words": [self.words(1)], "depth": 2.50}
        return (
            key,
            self.words(4),
            self.naive(made),
            f"{self.naive(made)}+00:00",
            self.chance.randint(0, 1),
            json.dumps(config),
        )

    def messages(self, count: int) -> Iterator[tuple[Any, ...]]:
        for number in range(count):
            key = self.ids[number % len(self.ids)] if number % 50 else f"gone-{number}"  # its session was deleted
            body = None if number % 97 == 0 else self.words(12)
            yield key, number // len(self.ids), "user" if number % 2 else "assistant", body, number % 900, self.short()

    def output(self, number: int) -> tuple[Any, ...]:
        text = f"\x1b[32m{self.words(6)}\x1b[0m\r\n"
        if number % 40 == 0:
            text = f"{text}\0\0{text}"
        return number, self.session_id(), text, int(self.time().timestamp() * 1000)

    def tool_call(self) -> tuple[Any, ...]:
        arguments = json.dumps({"path": self.words(1), "n": self.chance.randint(0, 2**40)}, ensure_ascii=False)
        result = None if self.chance.random() < 0.1 else json.dumps([self.chance.random(), None, True])
        return (
            self.key(),
            self.session_id(),
            self.chance.randint(0, 50),
            "read",
            arguments,
            result,
            self.chance.random() * 9,
        )

    def attachment(self) -> tuple[Any, ...]:
        content = self.chance.randbytes(self.chance.randint(0, 2_000))
        return self.key(), self.session_id(), f"{self.words(1)}.bin", content, len(content)

    def outbox(self, number: int) -> tuple[Any, ...]:
        payload = json.dumps({"session": self.session_id()})
        return number, "session", payload, int(self.time().timestamp()), self.chance.randint(0, 1)

    def cost(self, number: int) -> tuple[Any, ...]:
        return number, self.session_id(), round(self.chance.random(), 4), "EUR", int(self.time().timestamp())

    def reminder(self) -> tuple[Any, ...]:
        due = "" if self.chance.random() < 0.3 else self.naive(self.time())
        return self.key(), self.words(3), due, self.chance.choice(["", "P1D", "P1W"]), self.chance.randint(0, 1)

    def job(self) -> tuple[Any, ...]:
        failed = self.chance.random() < 0.2
        return (
            self.key(),
            "failed" if failed else "done",
            self.chance.randint(0, 3),
            self.short(),
            "timeout" if failed else None,
        )

    def session_id(self) -> str:
        return self.chance.choice(self.ids)

    def key(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def words(self, count: int) -> str:
        return " ".join(self.chance.choices(WORDS, k=count))

    def time(self) -> datetime:
        return BEGIN + timedelta(microseconds=self.chance.randrange(4 * 365 * 86_400 * 10**6))

    def naive(self, time: datetime) -> str:
        return time.replace(tzinfo=None).isoformat(" ", "microseconds")

    def short(self) -> str:
        """As CURRENT_TIMESTAMP writes it."""
        return self.time().replace(tzinfo=None).isoformat(" ", "seconds")

    def spelled(self, kind: int) -> str:
        time = self.time()
        return (self.naive(time), f"{self.naive(time)}+00:00", time.isoformat("T", "seconds"), self.short())[kind]
