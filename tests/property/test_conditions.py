"""A translated condition is true, false or unknown for exactly the rows for which SQLite says so."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.model import Affinity, PgType
from etl.transform.schema.expressions import ScopeColumn, translate_condition, translate_value
from etl.transform.schema.syntax import Untranslatable

TABLE = "create table t (n {0}, m {0}, x {1}, p {2}, flag {3}, a {4}, b {5}, d {6}, r {7})"
SOURCE_TYPES = ("INT", "REAL", "DECIMAL(10,2)", "BOOLEAN", "TEXT", "VARCHAR(9)", "DATE", "BLOB")
TARGET_TYPES = ("bigint", "double precision", "numeric(10,2)", "boolean", "text", "varchar(9)", "date", "bytea")
SCOPE = {
    "n": ScopeColumn("n", PgType("bigint"), Affinity.INTEGER),
    "m": ScopeColumn("m", PgType("bigint"), Affinity.INTEGER),
    "x": ScopeColumn("x", PgType("double precision"), Affinity.REAL),
    "p": ScopeColumn("p", PgType("numeric", 10, 2), Affinity.NUMERIC),
    "flag": ScopeColumn("flag", PgType("boolean"), Affinity.NUMERIC),
    "a": ScopeColumn("a", PgType("text"), Affinity.TEXT),
    "b": ScopeColumn("b", PgType("varchar", length=9), Affinity.TEXT),
    "d": ScopeColumn("d", PgType("date"), Affinity.NUMERIC),
    "r": ScopeColumn("r", PgType("bytea"), Affinity.BLOB),
}
INTEGERS = (None, 0, 1, 2, 3, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63))
REALS = (None, 0.0, 0.5, 1.0, -0.1, 0.1, 1e300, 3.0, 2.0**53, 9.0)
DECIMALS = (None, 0, 1, 0.5, 1.01, -3)
TEXTS = (None, "", " ", "a", "A", "ab", " a ", "é", "É", "ſ", "K", "😀", "ﬀ", "z", "it's", "%", "\t", "10", "9")
DATES = (None, "2000-01-01", "1999-12-31", "0001-01-01", "9999-12-31", "2000-02-29")
BLOBS = (None, b"", b"\0", b"abc", "é".encode())

NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "2",
        "3",
        "0.5",
        "1.0",
        "1e2",
        "0.1",
        ".01",
        "9007199254740993",
        "9007199254740993.0",
        "0x2",
        "123456789012345678901",
    ]
)
STRINGS = st.sampled_from(["''", "'a'", "'A'", "'é'", "' '", "'it''s'", '"quoted"', "'10'", "'😀'", "'%'"])
DAYS = st.sampled_from(["'2000-01-01'", "'1999-12-31'", "'2000-02-29'"])
SIGNS = st.sampled_from(["=", "==", "<>", "!=", "<", "<=", ">", ">=", "is", "is not"])
EQUALS = st.sampled_from(["=", "<>", "is", "is not"])


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    """One comparison of each kind that the allow-list has, and some that it has not."""
    subjects, constants = draw(
        st.sampled_from(
            [
                (["n", "m", "x", "p", "length(a)", "length(r)", "length( b )"], NUMBERS),
                (["a", "b", "trim(a)", "lower(a)", "upper(b)"], STRINGS),
                (["d"], DAYS),
            ]
        )
    )
    subject = draw(st.sampled_from(subjects))
    form = draw(st.integers(0, 5))
    if form == 0:
        return f"{subject} {draw(SIGNS)} {draw(st.sampled_from(subjects))}"
    if form == 1:
        return f"{draw(constants)} {draw(SIGNS)} {subject}"
    if form == 2:
        return f"{subject} {draw(st.sampled_from(['', 'not']))} between {draw(constants)} and {draw(constants)}"
    if form == 3:
        values = draw(st.lists(st.one_of(constants, st.just("null")), min_size=1, max_size=3))
        return f"{subject} {draw(st.sampled_from(['', 'not']))} in ({', '.join(values)})"
    if form == 4:
        return f"{subject} {draw(st.sampled_from(['is null', 'is not null', 'isnull', 'notnull']))}"
    return f"{subject} {draw(SIGNS)} {draw(constants)}"


PATTERNS = ["'a%'", "'A_'", "'%É%'", "'%'", "''", "' a%'", "'_'", "'ſ'", "'1%'", "'%''%'"]
GLOBS = ["'a*'", "'[A-Z]*'", "'?'", "'[^a]*'", "'*[0-9]'", "'[]]'", "'[é-ü]'", "'[a-]'", "'*.*'", "'[%]'", "'É'", "''"]
MATCHES = st.one_of(
    st.tuples(st.sampled_from(["a", "b", "a || b"]), st.sampled_from(["like", "not like"]), st.sampled_from(PATTERNS)),
    st.tuples(st.sampled_from(["a", "b"]), st.just("like"), st.sampled_from(["'!%' escape '!'", "'a!_' escape '!'"])),
    st.tuples(st.sampled_from(["a", "b", "trim(a)"]), st.sampled_from(["glob", "not glob"]), st.sampled_from(GLOBS)),
).map(" ".join)
# integers up to 2^63 and down to -2^63 on both sides: SQLite goes on with reals
ARITHMETIC = st.tuples(
    st.sampled_from(["n + m", "n - m", "n * m", "n / m", "n % m", "-n", "n + 1", "n * -3", "x + n", "x * 2", "p + n",
                     "p * 2", "x / 2", "2.5 / x", "x - p", "n / 2 + m", "abs(n + 1)", "coalesce(n, m)", "ifnull(n, 0)",
                     "nullif(n, 1)", "max(n, m)", "min(n, m, 2)", "iif(flag, n, m)", "flag + n", "cast(n as real)",
                     "case n when 1 then 2 when null then 3 else m end", "instr(a, 'a')", "length(a || b)",
                     "length(substr(a, 2))", "length(replace(a, 'a', 'aa'))", "cast(flag as int)",
                     "n & m", "n | m", "~n", "n & 1", "flag | n", "(n | m) & 3", "n & 2 | -1", "m | 1 & n", "~n & ~m"]),
    SIGNS,
    st.sampled_from(["0", "1", "-1", "2", "3", "0.5", "2.5"]),
).map(" ".join)  # fmt: skip
STRING_VALUES = st.tuples(
    st.sampled_from(["a || b", "a || n", "flag || a", "substr(a, 1, 2)", "substr(a, 2)", "replace(a, 'a', '')",
                     "coalesce(a, b)", "ltrim(a)", "rtrim(a, 'b ')", "hex(r)", "cast(n as text)", "lower(a || 'É')",
                     "case when n > 1 then a else b end", "nullif(a, 'a')", "iif(a < b, a, 'z')"]),
    SIGNS,
    STRINGS,
).map(" ".join)  # fmt: skip
TRUTHS = st.sampled_from(["n", "x", "not n", "n and x", "flag or n", "n + 1", "1", "p", "n & 1"])
FLAGS = st.one_of(
    st.sampled_from(["flag", "not flag", "flag is true", "flag is not false", "flag in (0, 1)", "flag not in (1)"]),
    EQUALS.flatmap(lambda sign: st.sampled_from([f"flag {sign} 1", f"0 {sign} flag", f"flag {sign} true"])),
)
TYPEOFS = st.sampled_from(
    ["typeof(n) = 'integer'", "typeof(a) in ('text', 'null')", "typeof(p) in ('integer', 'real')", "'blob' = typeof(r)"]
)
CONDITIONS = st.recursive(
    st.one_of(comparisons(), FLAGS, TYPEOFS, MATCHES, ARITHMETIC, STRING_VALUES, TRUTHS),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: " ".join(parts)),
        inner.map(lambda text: f"not ({text})"),
        inner.map(lambda text: f"not {text}"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=4,
)


def rows() -> list[tuple[object, ...]]:
    """Every value of every column, each next to several others."""
    columns = (INTEGERS, INTEGERS[::-1], REALS, DECIMALS, (None, 0, 1), TEXTS, TEXTS[3:] + TEXTS[:3], DATES, BLOBS)
    return [tuple(values[(number * (place + 1)) % len(values)] for place, values in enumerate(columns))
            for number in range(60)]  # fmt: skip


def source_verdicts(conditions: list[str]) -> list[list[bool | None]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(TABLE.format(*SOURCE_TYPES))
        connection.executemany(f"insert into t values ({', '.join('?' * 9)})", rows())
        return [
            [
                None if row[0] is None else bool(row[0])
                for row in connection.execute(f"select {sql} from t order by rowid")
            ]
            for sql in conditions
        ]


async def target_verdicts(dsn: str, conditions: list[str]) -> list[list[bool | None]]:
    connection = await asyncpg.connect(dsn)
    try:
        # the text column has the server's own collation: what depends on it would show
        await connection.execute(TABLE.format(*TARGET_TYPES).replace("create table", "create temp table"))
        await connection.execute("alter table t add i int generated always as identity")
        values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows())
        await connection.execute(f"insert into t values {values}")
        return [[row[0] for row in await connection.fetch(f"select {sql} from t order by i")] for sql in conditions]
    finally:
        await connection.close()


def literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    return "'" + str(value).replace("'", "''") + "'"


def translated(sql: str) -> str | None:
    try:
        return translate_condition(sql, SCOPE)
    except Untranslatable:
        return None


@pytest.mark.timeout(600)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions=st.lists(CONDITIONS, min_size=1, max_size=12))
def test_translated_conditions_agree_with_sqlite(conditions: list[str], server_dsn: str) -> None:
    """Sixty rows of edges; true, false and NULL are three different answers."""
    pairs = [(sql, target) for sql in conditions if (target := translated(sql)) is not None]
    source = source_verdicts([sql for sql, _ in pairs])
    target = asyncio.run(target_verdicts(server_dsn, [sql for _, sql in pairs]))
    for (sql, rendered), expected, found in zip(pairs, source, target, strict=True):
        wrong = [(row, e, f) for row, e, f in zip(rows(), expected, found, strict=True) if e != f]
        assert wrong == [], (sql, rendered)


VALUES = ["n", "-n", "n + 1", "n * 2", "n / 3", "n % 3", "x * 2", "x + n", "p * 3", "x / n", "a || '-' || b",
          "length(a)", "upper(a)", "trim(b)", "substr(a, 2, 1)", "replace(a, 'a', 'é')", "coalesce(a, b, 'none')",
          "hex(r)", "n > 1", "a = b or n is null", "a like 'A%'",
          "case when n > 1 then 'many' when n = 1 then 'one' end", "case flag when 1 then 'on' else 'off' end",
          "iif(a like 'A%', n, m)", "nullif(a, b)", "max(n, 2)", "min(x, 0.5)", "abs(x)", "instr(a, b)",
          "round(x)", "round(n, 2)", "round(p, 2)", "round(p, 3)", "round(flag)",
          "printf('%d|%5d|%-5d|%05d', n, n, m, n)",
          "printf('<%s>%6s%-3s', a, b, a)", "format('%.2f %8.3f%%', p, p)", "printf('%09.2f', p)",
          "printf('%d', flag)", "cast(flag as text)", "coalesce(n, flag)", "a || n || flag",
          "cast(n as real) / 2"]  # fmt: skip


def test_translated_values_are_those_of_sqlite(server_dsn: str) -> None:
    """Every function and operator over sixty rows of edges; an integer beyond 64 bits is an error in PostgreSQL."""
    script = TABLE.format(*SOURCE_TYPES)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(script)
        connection.executemany(f"insert into t values ({', '.join('?' * 9)})", rows())
        expected = {
            sql: [row[0] for row in connection.execute(f"select {sql} from t order by rowid")] for sql in VALUES
        }
    operands = {sql: translate_value(sql, SCOPE) for sql in VALUES}
    found = asyncio.run(target_verdicts(server_dsn, [operand.sql for operand in operands.values()]))
    for (sql, operand), ours in zip(operands.items(), found, strict=True):
        kinds = {"boolean": int, "integer": int, "real": float, "number": float, "text": str}
        for row, wanted, value in zip(rows(), expected[sql], ours, strict=True):
            if wanted is None or value is None:
                assert (wanted, value) == (None, None), (sql, operand.sql, row)
            elif operand.kind == "integer" and isinstance(wanted, float):
                assert abs(value) >= 2**63, (sql, operand.sql, row)
            else:
                assert kinds[operand.kind](value) == wanted, (sql, operand.sql, row)
