"""Verification of the types that only a cast or a target's own schema brings: equal is equal, one step beside is not.

Both sides are written by hand, the target's by the text that PostgreSQL itself reads: nothing of the load has a part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from etl.errors import PlanError
from etl.model import PLAIN_READING, PgType, Reading, TablePlan, Verdict
from etl.verify.compare import refuse_unknown_types
from tests.verifying import Specimen, connected, found, pg_type, verify


@dataclass(frozen=True)
class Case:
    """A type, values of SQLite with the text of PostgreSQL's equal one, and damages: SQL over the column ``v``."""

    kind: str
    pairs: tuple[tuple[Any, str], ...]
    damages: tuple[str, ...]
    reading: Reading = PLAIN_READING
    impossible: tuple[Any, ...] = ()  # values that no value of the type says


CASES = [
    Case(
        "inet",
        (
            ("192.168.0.1", "192.168.0.1"),
            ("192.168.0.1/24", "192.168.0.1/24"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("fe80::1/64", "fe80::1/64"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ),
        ("v + 1", "set_masklen(v, 23)"),
        impossible=("", "1.2.3", "01.2.3.4", "1.2.3.4/33", "fe80::1%eth0", 5, 1.5, b"1.2.3.4"),
    ),
    Case(
        "cidr",
        (("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("2001:db8::/32", "2001:db8::/32")),
        ("set_masklen(v, 7)", "'11.0.0.0/8'"),
        impossible=("10.1.2.3/8", "10/8", "fe80::1/64"),
    ),
    Case(
        "macaddr",
        (
            ("08:00:2B:01:02:03", "08:00:2b:01:02:03"),
            ("08-00-2b-01-02-03", "08:00:2b:01:02:03"),
            ("0800.2b01.0203", "08:00:2b:01:02:03"),
            ("08002b010203", "08:00:2b:01:02:03"),
        ),
        ("trunc(v)", "~v"),
        impossible=("08:00:2b:01:02", "08:00-2b:01:02:03", "g8:00:2b:01:02:03", "08002b0102030405", 8),
    ),
    Case(
        "macaddr8",
        (("08002b0102030405", "08:00:2b:01:02:03:04:05"), ("08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:05")),
        ("trunc(v)",),
        impossible=("08:00:2b:01:02:03",),
    ),
    Case(
        "money",
        (
            (5, "5.00"),
            (1234.5, "1234.50"),
            (1.005, "1.01"),
            ("-0.10", "-0.10"),
            (-2.675, "-2.68"),
            (92233720368547758, "92233720368547758.00"),
            ("92233720368547758.07", "92233720368547758.07"),
        ),
        ("v - '0.01'::money", "null"),
        impossible=("$5", "", 10**17, "92233720368547758.08", float("inf"), b"5"),
    ),
    Case(
        "timetz",
        (
            ("10:00:00.5+02", "10:00:00.5+02"),
            ("10:00-05:30", "10:00-05:30"),
            ("23:59:59Z", "23:59:59+00"),
            ("10:00", "10:00+00"),
            ("00:00:00.1234565+1545", "00:00:00.123456+15:45"),
        ),
        ("v + interval '1 microsecond'", "v at time zone 'Asia/Tokyo'"),
        impossible=("", "24:00:00Z", "10:00+16", "23:59:59.9999995Z", "23:59:60Z", 10, b"10:00Z"),
    ),
    Case(
        "timetz(2)", (("10:00:00.125Z", "10:00:00.12+00"), ("10:00:00.135Z", "10:00:00.14+00")),
        ("v + interval '10 ms'",),
    ),
    Case("bit(3)", (("101", "101"), ("000", "000")), ("v # b'001'", "~v"), impossible=("", "10", "1010", "102", 101)),
    Case("bit(6)", (("101010", "101010"),), ("v # b'000001'",)),
    Case("bit", (("1", "1"),), ("~v",), impossible=("10",)),
    Case(
        "varbit",
        (("", ""), ("0110", "0110"), ("011000001", "011000001")),
        ("v || b'0'", "~v || b'1'"),
        impossible=("2",),
    ),
    Case("varbit(5)", (("01100", "01100"),), ("substring(v, 1, 4)",), impossible=("011000",)),
    Case("integer[]", (("[1, null, -3]", "{1,NULL,-3}"), ("[]", "{}"), (" [ 7.0 ] ", "{7}")),
         ("v || 4", "v[1:0] || 9", "array[v || 1]"),
         impossible=("", "{1}", "[1.5]", "[[1]]", "[true]", "[3000000000]", 1)),
    Case("bigint[]", (("[9223372036854775807]", "{9223372036854775807}"),), ("v || null::bigint",),
         impossible=("[9223372036854775808]", "[1,]", "[1", "[1] 2", '{"a":1}')),
    Case(
        "text[]",
        (
            ('["a b", "c\\"d", "NULL", "x\\\\y", "", "{,}", "\\u00e9", 7]',
             '{"a b","c\\"d","NULL","x\\\\y","","{,}",é,7}'),
            ("[1.110, 1e5]", "{1.110,1e5}"),
        ),
        ("v || ''::text", "array_replace(v, v[1], v[1] || ' ')"),
        impossible=('["\\ud800"]', '["a\\u0000"]', '"a"', "[NaN]", "[" * 5000 + "]" * 5000),
    ),
    Case("varchar(2)[]", (('["ab"]', "{ab}"),), ("v || 'y'::varchar",), impossible=('["abc"]',)),
    Case("char(3)[]", (('["ab"]', "{ab}"),), ("v || 'x'::bpchar",), impossible=('["abcd"]',)),
    Case("numeric[]", (("[1.10, 1e2, 12345678901234567890123]", "{1.10,100,12345678901234567890123}"),),
         ("array_replace(v, 100, 100.0)", "array_replace(v, 100, 101)"), impossible=("[1e999999]",)),
    Case("numeric(10,2)[]", (("[1.005, 2]", "{1.01,2.00}"),), ("array_replace(v, 2, 2.01)",)),
    Case("double precision[]", (("[0.1, 5, 1e300]", "{0.1,5,1e300}"),),
         ("array_replace(v, 0.1, 0.10000000000000002)",), impossible=("[1e400]",)),
    Case("real[]", (("[0.1, 16777217.0000000001]", "{0.1,16777218}"),), ("array_replace(v, 0.1::real, 0.10000001)",)),
    Case("boolean[]", (('[true, 0, "yes"]', "{t,f,t}"),), ("v || true",), impossible=("[2]", '["ja"]')),
    Case("date[]", (('["2024-02-29", "0001-01-01"]', "{2024-02-29,0001-01-01}"),), ("v || v[1] + 1",)),
    Case("timestamptz[]", (('["2024-02-29T10:00:00.5Z"]', '{"2024-02-29 10:00:00.5+00"}'),),
         ("array[v[1] + interval '1 us']",)),
    Case("uuid[]", (('["6F1C2A9E0B1D4C3E9F00AABBCCDDEEFF"]', "{6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff}"),),
         ("array[v[1], null]",)),
    Case("json[]", (('[ {"b" : 1.0, "a": [1, "]"]}, null, "x,y", 1e2,"\\ud800"]',
                     '{"{\\"b\\" : 1.0, \\"a\\": [1, \\"]\\"]}",NULL,"\\"x,y\\"",1e2,"\\"\\\\ud800\\""}'),),
         ("array[v[1], 'null'::json] || v[3:]", "v || '1'::json", "array['{}'::json] || v[2:]", "array[v]"),
         impossible=("", "{}", "[1", "[1,]", "[,1]", "[1]]", "[] []", 1)),
    Case("jsonb[]", (('[{"bb": 1.50, "a": [1, "}"], "a": 2}, null, "\\u00e9", 1e2]',
                      '{"{\\"bb\\": 1.50, \\"a\\": 2}",NULL,"\\"é\\"",100}'), ("[]", "{}")),
         ("v || 'null'::jsonb", "array['[]'::jsonb] || v[2:]"),
         impossible=('["\\ud800"]', "[1 2]", "[NaN]", '{"a":1}')),
    Case("inet[]", (('["1.2.3.4/24"]', "{1.2.3.4/24}"),), ("array[v[1] + 1]",)),
    Case("integer[]", (('["", 5]', "{NULL,5}"), ("[]", "{}")), ("array_remove(v, null) || 1",),
         Reading(empty_as_null=True)),
    Case("int4range", (("[1,5)", "[1,5)"), ("(1,5]", "[2,6)"), ("(1,2)", "empty"), ("(,)", "(,)"), ("empty", "empty")),
         ("int4range(8, 9)", "case when isempty(v) then '[1,2)' else 'empty'::int4range end"),
         impossible=("", "[5,1]", "[1]", "1,5", "[a,b]", "[1,2147483647]", "[1,2,3)")),
    Case("int8range", (("[3,3]", "[3,4)"), ("[3,3)", "empty")), ("v + int8range(4, 5)",)),
    Case("daterange", (("(,2024-02-29]", "(,2024-03-01)"), ('["2024-01-01",)', "[2024-01-01,)")),
         ("v * daterange('2024-01-02', '2024-02-01')",)),
    Case("numrange", (("(1.50,2.5)", "(1.50,2.5)"), ("[1,1]", "[1,1]"), ("[1,1.0)", "empty")),
         ("case when isempty(v) then '[1,2)' else '(1.5,2.5)'::numrange end",)),
    Case("tsrange", (('["2024-01-01 10:00","2024-01-02 00:00:00")', "[2024-01-01 10:00,2024-01-02)"),),
         ("tsrange(lower(v), upper(v), '[]')", "tsrange(lower(v) + interval '1 us', upper(v))")),
    Case("tstzrange", (('["2024-01-01 10:00","2024-01-02 00:00:00+02")', "[2024-01-01 10:00Z,2024-01-01 22:00Z)"),),
         ("tstzrange(lower(v), null)",)),
    Case("interval", (("P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"), ("PT24H", "24:00")),
         ("v + interval '1 us'", "justify_hours(v) + interval '1 day'"), impossible=("1 day", "P", 5)),
    Case("citext", (("Straße", "Straße"), (1.0, "1.0")), ("upper(v::text) || ' '",)),
    Case("char(4)", (("ab", "ab"), ("", "")), ("v || 'x'",), impossible=("abcde",)),
    Case("real", ((0.1, "0.1"), ("16777217.0000000001", "16777218"), (2**24 + 1, "16777216")), ("v + 2", "'1e30'"),
         impossible=(1e39, "x")),
    Case("numeric", ((1.5, "1.5"), ("1.50", "1.50"), (5.0, "5"), (1e22, "10000000000000000000000")),
         ("v + 0.000", "v + 1"), impossible=("x", b"1")),
]  # fmt: skip


def specimen_of(case: Case) -> Specimen:
    return Specimen("t", (("n", "integer", "bigint"), ("v", "", case.kind)), ("n",), readings={"v": case.reading})


async def make_citext(target: asyncpg.Connection) -> None:
    try:
        await target.execute("create extension if not exists citext")
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("this server has no citext")


async def build(target: asyncpg.Connection, folder: Path, case: Case) -> tuple[Path, Specimen]:
    """Both sides of a case."""
    specimen = specimen_of(case)
    if "citext" in case.kind:
        await make_citext(target)
    path = specimen.create_source(folder / "s.db", [(n, stored) for n, (stored, _) in enumerate(case.pairs)])
    await target.execute("set timezone = 'UTC'")
    try:
        await specimen.create_target(target, [(str(n), held) for n, (_, held) in enumerate(case.pairs)])
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("this server was built without that type")
    return path, specimen


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.kind}" for number, case in enumerate(CASES)])
async def test_equal_values_are_equal_and_each_damage_is_told(case: Case, database_dsn: str, tmp_path: Path) -> None:
    """A type that only NULLs or only the first row are compared of would pass everything."""
    async with connected(database_dsn) as target:
        path, specimen = await build(target, tmp_path, case)
        equal = await verify(path, target, specimen.plan)
        assert (equal.differences, equal.verdict) == ((), Verdict.EQUAL)
        assert equal.source_checksum == equal.target_checksum
        for damage in case.damages:
            for n in range(len(case.pairs)):
                transaction = target.transaction()
                await transaction.start()
                await target.execute(f"update t set v = {damage} where n = {n}")
                damaged = await verify(path, target, specimen.plan)
                await transaction.rollback()
                assert found(damaged) == {("different", f"n={n}", "v")}, damage
                assert damaged.source_checksum == equal.source_checksum != damaged.target_checksum
                (difference,) = damaged.differences
                assert difference.expected != difference.actual
                assert "\\x" not in f"{difference.expected}{difference.actual}"


@pytest.mark.parametrize("case", [case for case in CASES if case.impossible], ids=lambda case: f"{case.kind}")
async def test_what_the_type_cannot_say_equals_nothing(case: Case, database_dsn: str, tmp_path: Path) -> None:
    """Neither NULL nor any value: each of them is a difference without an equivalent."""
    async with connected(database_dsn) as target:
        _, held = case.pairs[0]
        only = replace(case, pairs=tuple((value, held) for value in case.impossible))
        path, specimen = await build(target, tmp_path, only)
        for statement in ("select 1", "update t set v = null"):
            await target.execute(statement)
            verified = await verify(path, target, specimen.plan)
            assert len(verified.differences) == len(case.impossible)
            assert {one.expected for one in verified.differences} == {"no equivalent"}


XML = [
    ("<a x='1'>&amp;</a>", "<a x='1'>&amp;</a>"),
    ("<?xml version='1.0'?><a>é</a>", "<a>é</a>"),
    ("<?xml version='1.0' encoding='ISO-8859-1'?>\n<a>é</a>", "<a>é</a>"),
    ('<?xml version="1.1"  standalone = "yes"?><a/>', '<?xml version="1.1" standalone="yes"?><a/>'),
    ("only text", "only text"),
    ("", ""),
]


async def test_xml_is_compared_as_the_server_sends_it(database_dsn: str, tmp_path: Path) -> None:
    """The server keeps the text and drops what a declaration says of the encoding when it sends it."""
    case = Case("xml", tuple((stored, stored) for stored, _ in XML), ())
    async with connected(database_dsn) as target:
        path, specimen = await build(target, tmp_path, case)
        assert (await verify(path, target, specimen.plan)).differences == ()
        assert [row[0] for row in await target.fetch("select v from t order by n")] == [shown for _, shown in XML]
        await target.execute("update t set v = '<a x=''1''>&amp; </a>' where n = 0")
        assert found(await verify(path, target, specimen.plan)) == {("different", "n=0", "v")}


def of_type(plan: TablePlan, kind: PgType) -> TablePlan:
    """The plan with another type for the column ``v``."""
    return replace(plan, columns=(plan.columns[0], replace(plan.columns[1], type=kind)))


MOOD = PgType("mood", labels=("sad", "ok", "very ok"))
ENUMS_AND_DOMAINS = {
    "an enum": (MOOD, ("sad", "very ok"), ("sad", "very ok"), ("ok",)),
    "an array of an enum": (PgType("mood[]", base=MOOD), ('["sad","ok"]',), ("{sad,ok}",), ("{ok,sad}", "{sad}")),
    "an array of citext": (PgType("citext[]", base=PgType("citext")), ('["A"]',), ("{A}",), ("{a}",)),
    "a domain": (PgType("price", base=PgType("numeric", 10, 2)), (1.005, 2), ("1.01", "2.00"), ("1.00",)),
    "a domain over a domain": (
        PgType("cost", base=PgType("price", base=PgType("numeric", 10, 2))), (1.5,), ("1.50",), ("1.51",),
    ),
    "a domain over jsonb": (PgType("doc", base=PgType("jsonb")), ('{"b":1,"a":2.0}',), ('{"a":2,"b":1}',), ("{}",)),
    "an array of a domain": (
        PgType("price[]", base=PgType("price", base=PgType("numeric", 10, 2))), ("[1.005]",), ("{1.01}",), ("{1}",),
    ),
}  # fmt: skip
TYPES = """
create type mood as enum ('sad', 'ok', 'very ok');
create domain price as numeric(10,2); create domain cost as price; create domain doc as jsonb;
"""


@pytest.mark.parametrize("name", ENUMS_AND_DOMAINS)
async def test_enums_and_domains_are_compared_by_what_is_under_them(
    name: str, database_dsn: str, tmp_path: Path
) -> None:
    """Their arrays too, whose elements have another type number in every database."""
    kind, stored, held, damages = ENUMS_AND_DOMAINS[name]
    specimen = Specimen("t", (("n", "integer", "bigint"), ("v", "", kind.name)), ("n",))
    path = specimen.create_source(tmp_path / "s.db", list(enumerate(stored)))
    async with connected(database_dsn) as target:
        await target.execute(TYPES)
        if "citext" in kind.name:
            await make_citext(target)
        await specimen.create_target(target, [(str(n), text) for n, text in enumerate(held)])
        plan = of_type(specimen.plan, kind)
        equal = await verify(path, target, plan)
        assert (equal.differences, equal.source_checksum) == ((), equal.target_checksum)
        for damage in damages:
            await target.execute(f"update t set v = '{damage}' where n = 0")
            (difference,) = (await verify(path, target, plan)).differences
            assert (difference.key, difference.column) == ("n=0", "v")
            assert "\\x" not in f"{difference.expected}{difference.actual}"
        unlabelled = specimen.create_source(tmp_path / "other.db", [(0, "happy"), (1, b"ok")][: len(held)])
        assert {one.expected for one in (await verify(unlabelled, target, plan)).differences} >= {"no equivalent"}


@pytest.mark.parametrize("name", ["point", "point[]", "tsvector", "integer[][]"])
def test_a_type_without_a_rule_is_refused_before_a_row_is_read(name: str) -> None:
    """Better no verdict than a wrong one."""
    plan = of_type(specimen_of(CASES[0]).plan, pg_type(name))
    with pytest.raises(PlanError, match=r"t\.v: verification has no rule for the type"):
        refuse_unknown_types(plan)
