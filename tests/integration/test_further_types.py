"""What the further types hold in the end, as the server writes it back: hand-written, not computed by our code."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.arrow_types import is_text_copied, target_arrow_type
from etl.transform.rows.values import Converted, Refused, convert_value
from etl.transform.schema.types import parse_type

CLASSES = {int: StorageClass.INTEGER, float: StorageClass.REAL, str: StorageClass.TEXT, bytes: StorageClass.BLOB}


def convert(value: Any, target: PgType, how: str | None = None) -> Converted | Refused:
    """Convert with the storage class that the Python value suggests."""
    raw = value.encode() if isinstance(value, str) else value
    return convert_value(raw, CLASSES[type(value)], target, Reading(how=how))


def ask(dsn: str, query: str, *arguments: Any, settings: dict[str, str] | None = None) -> Any:
    """One value of the server."""

    async def fetch() -> Any:
        connection = await asyncpg.connect(dsn, server_settings={"TimeZone": "UTC", **(settings or {})})
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    return asyncio.run(fetch())


HELD = [
    ("P1Y2M3DT4H5M6.5S", "interval", None, None, "1 year 2 mons 3 days 04:05:06.5"),
    ("P2W", "interval", None, None, "14 days"),
    ("PT36H", "interval", None, None, "36:00:00"),
    ("P-1DT-0.5S", "interval", None, None, "-1 days -00:00:00.5"),
    ("-P1DT2H", "interval", None, None, "-1 days -02:00:00"),
    ("P1DT-2H", "interval", None, None, "1 day -02:00:00"),
    ("PT0S", "interval", None, None, "00:00:00"),
    ("36:00:00", "interval", None, None, "36:00:00"),
    ("1970-01-01 01:00:00.000000", "interval", "epoch", "epoch", "01:00:00"),
    ("1970-01-03 01:00:00.5", "interval", "epoch", "epoch", "49:00:00.5"),
    ("1969-12-31 23:59:59", "interval", "epoch", "epoch", "-00:00:01"),
    ("PT36H", "interval", "epoch", None, "36:00:00"),
    ("-01:30", "interval", None, None, "-01:30:00"),
    ("00:00:00.1234565", "interval", None, "rounded", "00:00:00.123456"),
    ("00:00:01.2345", "interval(2)", None, "rounded", "00:00:01.23"),
    (90_000_000_000, "interval", "us", "us", "25:00:00"),
    (-1, "interval", "us", "us", "-00:00:00.000001"),
    (1.5, "interval", "seconds", "seconds", "00:00:01.5"),
    ("0.1", "interval", "seconds", "seconds", "00:00:00.1"),
    ("10:00:00.5+02", "timetz", None, None, "10:00:00.5+02"),
    ("10:00-05:30", "timetz", None, None, "10:00:00-05:30"),
    ("23:59:59Z", "timetz", None, None, "23:59:59+00"),
    ("10:00", "timetz", None, "naive-as-utc", "10:00:00+00"),
    ("192.168.0.1", "inet", None, None, "192.168.0.1/32"),
    ("192.168.0.1/24", "inet", None, None, "192.168.0.1/24"),
    ("2001:DB8::1", "inet", None, None, "2001:db8::1/128"),
    ("::ffff:1.2.3.4", "inet", None, None, "::ffff:1.2.3.4/128"),
    ("fe80::1/64", "inet", None, None, "fe80::1/64"),
    ("10.0.0.0/8", "cidr", None, None, "10.0.0.0/8"),
    ("10.1.2.3", "cidr", None, None, "10.1.2.3/32"),
    ("08:00:2B:01:02:03", "macaddr", None, None, "08:00:2b:01:02:03"),
    ("08-00-2b-01-02-03", "macaddr", None, None, "08:00:2b:01:02:03"),
    ("0800.2b01.0203", "macaddr", None, None, "08:00:2b:01:02:03"),
    ("08002b0102030405", "macaddr8", None, None, "08:00:2b:01:02:03:04:05"),
    (5, "money", None, None, "$5.00"),
    (1234.5, "money", None, None, "$1,234.50"),
    (1.005, "money", None, "rounded", "$1.01"),
    ("-0.10", "money", None, "text-to-numeric", "-$0.10"),
    ("101", "bit(3)", None, None, "101"),
    ("1", "bit", None, None, "1"),
    ("", "varbit", None, None, ""),
    ("0110", "varbit(5)", None, None, "0110"),
    ("[1, null, -3]", "integer[]", None, "json-to-array", "{1,NULL,-3}"),
    ("[]", "text[]", None, "json-to-array", "{}"),
    ('["a b", "c\\"d", "NULL", "x\\\\y", "", "{,}", "é", 7]', "text[]", None, "json-to-array",
     '{"a b","c\\"d","NULL","x\\\\y","","{,}",é,7}'),
    ("[1.10, 1e2, 12345678901234567890123]", "numeric[]", None, "json-to-array", "{1.10,100,12345678901234567890123}"),
    ("[1.23456789012345678901e5, 0e-20, -1e-3]", "numeric[]", None, "json-to-array",
     "{123456.789012345678901,0.00000000000000000000,-0.001}"),
    ("[1.11111111111111111111, 1e5]", "text[]", None, "json-to-array", "{1.11111111111111111111,1e5}"),
    ("[1.005]", "numeric(10,2)[]", None, "json-to-array", "{1.01}"),
    ("[0.1, 5, 1e300]", "double precision[]", None, "json-to-array", "{0.1,5,1e+300}"),
    ("[true, 0, \"yes\"]", "boolean[]", None, "json-to-array", "{t,f,t}"),
    ('["2024-02-29", "0001-01-01"]', "date[]", None, "json-to-array", "{2024-02-29,0001-01-01}"),
    ('["2024-02-29T10:00:00.5Z"]', "timestamptz[]", None, "json-to-array", '{"2024-02-29 10:00:00.5+00"}'),
    ('["6F1C2A9E0B1D4C3E9F00AABBCCDDEEFF"]', "uuid[]", None, "json-to-array", "{6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff}"),
    ("[1,5)", "int4range", None, None, "[1,5)"),
    ("(,2024-02-29]", "daterange", None, None, "(,2024-03-01)"),
    ('["2024-01-01 10:00","2024-01-02 00:00:00")', "tsrange", None, None,
     '["2024-01-01 10:00:00","2024-01-02 00:00:00")'),
    ("empty", "numrange", None, None, "empty"),
    ("(1.50,2.5)", "numrange", None, None, "(1.50,2.5)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "type_name", "how", "rule", "held"), HELD, ids=lambda value: repr(value)[:40])
def test_the_server_holds_what_the_source_said(
    database_dsn: str, value: Any, type_name: str, how: str | None, rule: str | None, held: str
) -> None:
    """The text that is copied is read as this value."""
    target = parse_type(type_name)
    outcome = convert(value, target, how)
    assert isinstance(outcome, Converted), outcome
    assert (is_text_copied(target), str(target_arrow_type(target)), outcome.rule) == (True, "string", rule)
    server_type = str(target).replace("varbit", "bit varying")
    query = f"select $1::text::{server_type}::text"
    assert ask(database_dsn, query, outcome.value, settings={"lc_monetary": "C"}) == held


@pytest.mark.parametrize("style", ["sql_standard", "postgres_verbose", "iso_8601"])
def test_intervals_do_not_depend_on_the_style_of_the_session(database_dsn: str, style: str) -> None:
    """A sign before every part: sql_standard would else spread the first one over all of them."""
    for value, type_name, how, _, held in HELD:
        if type_name == "interval":
            outcome = convert(value, PgType("interval"), how)
            query = "select encode(interval_send($1::text::interval), 'hex')"
            found = ask(database_dsn, query, outcome.value, settings={"IntervalStyle": style})  # type: ignore[union-attr]
            assert found == ask(database_dsn, query, held)


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        *(
            (text, "interval")
            for text in ("", "P", "PT", "P1YT", "1 day", "P0.5Y", "12", "10:60", "10:00:60", "P99999999999Y")
        ),
        *((value, "interval") for value in (5, 1.5, b"P1D")),
        *((text, "timetz") for text in ("", "24:00:00Z", "10:00+16", "10:00:00+2", "23:59:59.9999995Z")),
        *(
            (text, "inet")
            for text in ("", "1.2.3", "01.2.3.4", "1.2.3.4/33", "1.2.3.4/255.0.0.0", "fe80::1%eth0", "1.2.3.4/")
        ),
        *((text, "cidr") for text in ("10.1.2.3/8", "10/8", "fe80::1/64")),
        *((text, "macaddr") for text in ("", "08:00:2b:01:02", "08:00-2b:01:02:03", "g8:00:2b:01:02:03")),
        *((text, "money") for text in ("", "$5", "1e5", "92233720368547758.08", "99999999999999999999")),
        *((text, "bit(3)") for text in ("", "10", "1010", "102")),
        *((text, "varbit(2)") for text in ("101", "x")),
        *(
            (text, "integer[]")
            for text in (
                "",
                "{1,2}",
                "[1",
                "[1.5]",
                "[[1]]",
                "[1e99999999999999999999]",
                '[{"a":1}]',
                "[true]",
                "[NaN]",
                "[3000000000]",
            )
        ),
        *((text, "numeric[]") for text in ("[1e99999999999999999999]", "[1e2000]", "[1e-2000]")),
        *((text, "text[]") for text in ('["a\\u0000"]', '["\\ud800"]', '"a"', "1", "[" * 5000 + "]" * 5000)),
        *((text, "int4range") for text in ("", "[5,1]", "[1]", "1,5", "[a,b]", "(1,2,3)")),
        *((text, "xml") for text in ("<a>", "a & b", "<a></b>", "<a/>\0", "")[:-1]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_the_further_types_cannot_hold_is_refused(value: Any, type_name: str) -> None:
    """With a reason on one line and a hint."""
    outcome = convert(value, parse_type(type_name))
    assert isinstance(outcome, Refused)
    assert outcome.reason.isprintable()
    assert outcome.hint


@pytest.mark.parametrize("text", ["<a x='1'>&amp;</a>", "only text", "<a/><b/>", "<?xml version='1.0'?><a>é</a>", ""])
def test_xml_arrives_as_it_was_written(database_dsn: str, text: str) -> None:
    """Documents and content; the server takes them, where it was built with XML."""
    assert convert(text, PgType("xml")) == Converted(text)
    try:
        written = ask(database_dsn, "select $1::text::xml::text", text)
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("this server was built without XML")
    assert written.replace('"', "'") in (text, text.replace("<?xml version='1.0'?>", "")) or not text


def test_enums_and_domains_go_by_their_labels_and_what_is_under_them() -> None:
    """A label must exist; a domain over a domain is what is at the bottom."""
    mood = PgType('"mood"', labels=("sad", "ok"))
    assert convert("ok", mood) == Converted("ok")
    refused = convert("OK", mood)
    assert isinstance(refused, Refused)
    assert refused.reason == "'OK' is no label of \"mood\" (sad, ok)"
    domain = PgType("price", base=PgType("amount", base=PgType("numeric", 10, 2)))
    assert str(convert(1.005, domain)) == str(convert(1.005, PgType("numeric", 10, 2)))
    assert str(target_arrow_type(domain)) == "decimal128(10, 2)"
