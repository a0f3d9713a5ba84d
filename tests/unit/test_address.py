"""Every spelling of a DSN that other tools accept reaches the same server, and no password is shown."""

from __future__ import annotations

from typing import Any

import pytest

from etl.errors import UsageError
from etl.load.address import parse_address

SAME = {"user": "ada", "password": "s3cret", "host": ["db"], "port": [5433], "database": "app"}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ada:s3cret@db:5433/app",
        "postgres://ada:s3cret@db:5433/app",
        "postgresql+asyncpg://ada:s3cret@db:5433/app",
        "postgresql://db:5433/app?user=ada&password=s3cret",
        "postgresql:///app?host=db&port=5433&user=ada&password=s3cret",
        "host=db port=5433 dbname=app user=ada password=s3cret",
        "host = db  port=5433 dbname='app' user=ada password='s3cret'",
        "postgresql://ada:s3cret@db:5433/app?channel_binding=require&gssencmode=disable&keepalives_idle=30",
        "postgresql://ada:s3cret@db:5433/app?schema=public&connection_limit=5&pgbouncer=true",
    ],
)
def test_all_spellings_mean_the_same_server(text: str) -> None:
    """URIs of libpq, SQLAlchemy, Neon and Prisma, and keyword DSNs."""
    arguments: dict[str, Any] = dict(parse_address(text).arguments)
    assert {name: arguments.get(name) for name in SAME} == SAME


@pytest.mark.parametrize("password", ["p@ss", "a/b@c:d", "with space", "ünïcode", "100%", "it's", "back\\slash"])
def test_odd_passwords_survive_and_are_never_shown(password: str) -> None:
    """Even where the user forgot to escape them in the URI."""
    escaped = "".join(f"%{byte:02X}" for byte in password.encode())
    raw_uri = f"postgresql://ada:{password}@db:5433/app" if "%" not in password else None
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    for text in (f"postgresql://ada:{escaped}@db:5433/app", raw_uri, f"host=db dbname=app password='{quoted}'"):
        if text is None:
            continue
        address = parse_address(text)
        assert address.arguments["password"] == password
        assert address.arguments["host"] == ["db"]
        assert password not in str(address)
        assert password not in repr(address)


def test_a_unix_socket_and_ipv6_are_places_too() -> None:
    """A folder as host, percent-escaped or in the query, and a bracketed address."""
    assert parse_address("postgresql://%2Frun%2Fpg/app").arguments["host"] == ["/run/pg"]
    assert parse_address("postgresql:///app?host=/run/pg").arguments["host"] == ["/run/pg"]
    assert parse_address("postgresql://[::1]:5433/app").arguments["host"] == ["::1"]
    assert parse_address("postgresql://a:1,b:2/app").arguments["port"] == [1, 2]


def test_tls_and_settings_are_passed_on() -> None:
    """sslmode and its files go to asyncpg's own parser, -c options become server settings."""
    address = parse_address("postgresql://db/app?sslmode=verify-full&sslrootcert=/ca.pem&options=-c%20role%3Dada")
    assert address.arguments["dsn"] == "postgresql://?sslmode=verify-full&sslrootcert=%2Fca.pem"
    assert address.arguments["server_settings"] == {"role": "ada"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("mysql://db/app", "scheme"),
        ("host=db foo=bar", "foo"),
        ("postgresql://db:54x/app", "host part"),
        ("host=db port=abc", "port"),
        ("just words", "cannot be read"),
        ("postgresql://db/app?sslmod=require", "sslmod"),
    ],
)
def test_what_is_unknown_is_named(text: str, word: str) -> None:
    """A mistyped parameter is an error, not a guess."""
    with pytest.raises(UsageError, match=word) as raised:
        parse_address(text)
    assert raised.value.hint
