"""Where the target is: every spelling of a PostgreSQL DSN as one value that asyncpg understands.

Invariant: ``str(address)`` never holds a password. asyncpg's own parser refuses keyword DSNs, SQLAlchemy URLs and
many parameters that libpq, Neon and Prisma use, and cuts an unescaped ``@`` in a password at the wrong place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from etl.errors import UsageError

SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2")
# libpq's names for what asyncpg.connect takes as arguments
ARGUMENTS = {
    "host": "host",
    "hostaddr": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "database",
    "database": "database",
    "passfile": "passfile",
    "service": "service",
    "target_session_attrs": "target_session_attrs",
    "krbsrvname": "krbsrvname",
}
TLS = (
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
SETTINGS = ("application_name", "options")
# They steer libpq, a pooler or another client library, and mean nothing to a single COPY session.
WITHOUT_MEANING = (
    "channel_binding",
    "client_encoding",
    "connection_limit",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "pgbouncer",
    "pool_timeout",
    "prepared_statement_cache_size",
    "schema",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
)
CONNECT_TIMEOUT_S = 15.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """The arguments of ``asyncpg.connect`` and how to name the target to a person."""

    arguments: Mapping[str, Any] = field(repr=False)
    display: str

    def __str__(self) -> str:
        return self.display

    @property
    def is_local(self) -> bool:
        """Whether the server runs on this machine: over a socket, or over the loopback."""
        hosts = self.arguments.get("host") or [os.environ.get("PGHOST") or "/"]
        return "service" not in self.arguments and all(host.startswith("/") or host in LOOPBACK for host in hosts)


def parse_address(text: str) -> TargetAddress:
    """Parse a libpq URI, a keyword DSN, or '' for what the PG* variables say.

    Raises UsageError for an unknown scheme or parameter, naming it.
    """
    parameters = parse_uri(text) if "://" in text else parse_keywords(text)
    arguments: dict[str, Any] = {"timeout": CONNECT_TIMEOUT_S}
    tls: dict[str, str] = {}
    settings: dict[str, str] = {}
    for name, value in parameters.items():
        if name in ARGUMENTS:
            arguments[ARGUMENTS[name]] = value
        elif name in TLS:
            tls[name] = value
        elif name in SETTINGS:
            settings.update(parse_options(value) if name == "options" else {name: value})
        elif name == "connect_timeout":
            arguments["timeout"] = max(2.0, float(number("connect_timeout", value)))
        elif name not in WITHOUT_MEANING:
            raise UsageError(f"target: unknown connection parameter {name!r}", "remove it from the DSN")
    if "port" in arguments:
        arguments["port"] = [number("port", port) for port in arguments["port"].split(",")]
    if "host" in arguments:
        arguments["host"] = arguments["host"].split(",")
    if tls:
        arguments["dsn"] = "postgresql://?" + urlencode(tls)
    if settings:
        arguments["server_settings"] = settings
    return TargetAddress(arguments, render(parameters))


def parse_uri(text: str) -> dict[str, str]:
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES:
        raise UsageError(
            f"target: unknown scheme {scheme!r}", "write postgresql://user@host:port/database, or a keyword DSN"
        )
    rest, _, query = rest.partition("?")
    if rest.startswith("/"):
        user_info, at, hosts, path = "", "", "", rest[1:]
    else:  # the last @ ends the password, whatever it holds unescaped: none of it may be taken for a host
        user_info, at, place = rest.rpartition("@")
        hosts, _, path = place.partition("/")
    parameters: dict[str, str] = {}
    if at:
        user, colon, password = user_info.partition(":")
        parameters |= {"user": unquote(user)} if user else {}
        parameters |= {"password": unquote(password)} if colon else {}
    parameters |= parse_hosts(hosts)
    if path:
        parameters["dbname"] = unquote(path)
    parameters |= dict(parse_qsl(query, keep_blank_values=True))
    return parameters


def parse_hosts(text: str) -> dict[str, str]:
    """``a:1,b:2`` and ``[::1]:5432`` and ``%2Fsocket%2Fdir`` as libpq's host and port lists."""
    if not text:
        return {}
    found = [re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", part) for part in text.split(",")]
    if not all(found):
        raise UsageError("target: the host part of the DSN cannot be read", "write host:port, several with commas")
    hosts = [unquote(match[1]).strip("[]") for match in found if match]
    ports = [match[2] or "" for match in found if match]
    parameters = {"host": ",".join(hosts)} if any(hosts) else {}
    if any(ports):
        parameters["port"] = ",".join(port or "5432" for port in ports)
    return parameters


def parse_keywords(text: str) -> dict[str, str]:
    """``host=… password='it''s'``: libpq's keyword/value form (libpq-connect §34.1.1.1)."""
    parameters: dict[str, str] = {}
    position = 0
    pattern = re.compile(r"\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\']|\\.)*))(?=\s|$)", re.DOTALL)
    while text[position:].strip():
        match = pattern.match(text, position)
        if match is None:
            raise UsageError(
                "target: the DSN cannot be read", "write postgresql://user@host:port/database, or host=… dbname=…"
            )
        value = match[2] if match[2] is not None else match[3]
        parameters[match[1]] = re.sub(r"\\(.)", r"\1", value)
        position = match.end()
    return parameters


def parse_options(text: str) -> dict[str, str]:
    """``-c name=value`` pairs of the options parameter as server settings."""
    return dict(re.findall(r"(?:-c\s*|--)([\w.]+)=((?:\\.|\S)+)", text))


def number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"target: {name} must be a number, not {value!r}", "correct the DSN") from None


def render(parameters: Mapping[str, str]) -> str:
    """The target for people: scheme, user, host, port, database; no password, no other parameter."""
    user = f"{parameters['user']}@" if parameters.get("user") else ""
    host = parameters.get("host") or parameters.get("hostaddr") or ""
    port = f":{parameters['port']}" if parameters.get("port") else ""
    database = parameters.get("dbname") or parameters.get("database") or ""
    if host.startswith("/"):
        return f"postgresql://{user}/{database}?host={host}" + (f"&port={port[1:]}" if port else "")
    return f"postgresql://{user}{host}{port}/{database}"
