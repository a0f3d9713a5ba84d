"""A sample SQLite database for the demo: a shop's, with every common type and the habits of real files.

Invariant: the same seed and row count make the same rows; everything in it can be moved, some of it by a named
coercion.
"""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

ROWS = 200_000
SEED = 20_240_229

SCHEMA = """
create table customers (
    id integer primary key autoincrement,
    uuid uuid not null unique,
    name varchar(80) not null,
    email varchar(120),
    born date,
    is_active boolean not null default 1,
    credit numeric(10,2) not null default 0,
    preferences json,
    created_at datetime not null
);
create table products (
    sku text primary key,
    title text not null,
    price decimal(10,2) not null,
    weight_kg real,
    stock integer not null default 0,
    tags json
);
create table orders (
    id integer primary key,
    customer_id integer not null references customers (id) on delete cascade,
    status varchar(12) not null default 'new',
    total numeric(12,2) not null,
    ordered_at datetime not null,
    delivery_day date,
    delivery_time time
);
create index orders_by_customer on orders (customer_id, ordered_at desc);
create table order_lines (
    order_id integer not null references orders (id),
    line integer not null,
    sku text not null references products (sku),
    quantity smallint not null,
    price numeric(10,2) not null,
    primary key (order_id, line)
) without rowid;
create index order_lines_by_sku on order_lines (sku);
create table events (
    id integer primary key,
    kind text not null,
    payload json,
    duration_ms double,
    seen_at timestamp not null
);
create index events_by_time on events (seen_at);
create table attachments (
    id integer primary key,
    order_id integer references orders (id),
    file_name text not null,
    content blob not null,
    sha text
);
"""

_FIRST = ("Ada", "Grace", "Łukasz", "Zoë", "José", "Aylin", "Søren", "美咲", "Олена", "Amélie", "Tariq", "Ngozi")
_LAST = ("Lovelace", "Hopper", "Nowak", "Brontë", "García", "Yılmaz", "Ångström", "田中", "Шевченко", "Curie", "Okafor")
_THINGS = ("lamp", "chair", "teapot", "bicycle", "notebook", "tent", "kettle", "clock", "rug", "radio")
_MOODS = ("plain", "blue", "folding", "tiny", "enamel", "second-hand", "⭐ best", "wooden", "großer", "電気")
_STATUS = ("new", "paid", "packed", "shipped", "delivered", "returned")
_KINDS = ("page_view", "search", "add_to_cart", "checkout", "login", "error")
_START = datetime(2021, 1, 4, 8, 0, 0)
_SECONDS = 4 * 365 * 86_400

Row = tuple[Any, ...]


def build_sample(path: Path, rows: int = ROWS, seed: int = SEED) -> int:
    """Write the sample of about ``rows`` rows to ``path``, replacing what is there; returns the exact row count."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    customers, orders = max(rows // 20, 2), max(rows // 5, 2)
    products, events, attachments = max(rows // 200, 2), max(rows // 4, 2), max(rows // 200, 2)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with closing(sqlite3.connect(beside, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = off")
        connection.execute("pragma synchronous = off")
        connection.executescript(SCHEMA)
        connection.execute("begin")
        _insert(connection, "customers", _customers(dice, customers))
        _insert(connection, "products", _products(dice, products))
        _insert(connection, "orders", _orders(dice, orders, customers))
        lines = max(rows - customers - orders - products - events - attachments, 2)
        _insert(connection, "order_lines", _order_lines(dice, lines, orders, products))
        _insert(connection, "events", _events(dice, events, customers))
        _insert(connection, "attachments", _attachments(dice, attachments, orders))
        # deleted customers leave a gap: the next id must come after them in PostgreSQL too
        connection.execute("update sqlite_sequence set seq = seq + 500 where name = 'customers'")
        connection.execute("commit")
    beside.replace(path)
    return customers + products + orders + lines + events + attachments


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    first = next(rows)
    statement = f"insert into {table} values ({','.join('?' * len(first))})"
    connection.execute(statement, first)
    connection.executemany(statement, rows)


def _moment(dice: random.Random) -> datetime:
    return _START + timedelta(seconds=dice.randrange(_SECONDS))


def _customers(dice: random.Random, count: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        identity = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        if number % 50 == 0:
            identity = identity.upper()  # another writer, another habit: the rule `uuid-spelling`
        name = f"{dice.choice(_FIRST)} {dice.choice(_LAST)}"
        born = date(1940, 1, 1) + timedelta(days=dice.randrange(25_000))
        created = _moment(dice)
        stamp: str = created.date().isoformat() if number % 40 == 0 else created.isoformat(" ")
        preferences = {"newsletter": number % 3 == 0, "theme": dice.choice(("dark", "light")), "note": "déjà vu ☕"}
        yield (
            number,
            identity,
            name,
            f"customer{number}@example.com" if number % 7 else None,
            born.isoformat() if number % 5 else None,
            number % 9 != 0,
            dice.randrange(-5_000, 200_000) / 100,
            json.dumps(preferences, ensure_ascii=False) if number % 4 else None,
            stamp,
        )


def _sku(number: int) -> str:
    return f"SKU-{number:06d}"


def _products(dice: random.Random, count: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        title = f"{dice.choice(_MOODS)} {dice.choice(_THINGS)}"
        tags = json.dumps(dice.sample(_THINGS, 2)) if number % 3 else None
        price = dice.randrange(99, 90_000) / 100
        weight = round(dice.uniform(0.05, 40), 3) if number % 6 else None
        yield _sku(number), title, price, weight, dice.randrange(2_000), tags


def _orders(dice: random.Random, count: int, customers: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        ordered = _moment(dice).isoformat(" ")
        if number % 2:
            ordered += f".{dice.randrange(1_000_000):06d}"
        delivered = number % 4 != 0
        yield (
            number,
            dice.randrange(customers) + 1,
            dice.choice(_STATUS),
            dice.randrange(500, 500_000) / 100,
            ordered,
            f"{2021 + number % 4}-{number % 12 + 1:02d}-{number % 28 + 1:02d}" if delivered else None,
            f"{8 + number % 12:02d}:{number % 60:02d}:00" if delivered else None,
        )


def _order_lines(dice: random.Random, count: int, orders: int, products: int) -> Iterator[Row]:
    for number in range(count):
        quantity, price = dice.randrange(1, 9), dice.randrange(99, 90_000) / 100
        yield number % orders + 1, number // orders + 1, _sku(dice.randrange(products) + 1), quantity, price


def _events(dice: random.Random, count: int, customers: int) -> Iterator[Row]:
    seen = _START
    for number in range(1, count + 1):
        seen += timedelta(milliseconds=dice.randrange(1, 4_000_000))
        kind = dice.choice(_KINDS)
        payload = f'{{"customer": {dice.randrange(customers) + 1}, "path": "/{kind}/{number}", "emoji": "🛒"}}'
        yield (
            number,
            kind,
            payload if number % 10 else None,
            dice.expovariate(0.01) if number % 8 else None,
            seen.isoformat("T", "milliseconds"),
        )


def _attachments(dice: random.Random, count: int, orders: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        content = dice.randbytes(dice.randrange(200, 4_000))
        sha = f"{dice.getrandbits(256):064x}" if number % 2 else None
        yield number, dice.randrange(orders) + 1 if number % 3 else None, f"scan {number}.pdf", content, sha
