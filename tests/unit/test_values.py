"""The table of values, row by row, and its edges: exact, coerced by a named rule, or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from etl.errors import PlanError
from etl.model import PgType, Reading, StorageClass
from etl.transform.rows.dates import read_moment
from etl.transform.rows.gregorian import civil_from_days, days_from_civil
from etl.transform.rows.values import Converted, Refused, convert_value

INTEGER, REAL, TEXT, BLOB = StorageClass.INTEGER, StorageClass.REAL, StorageClass.TEXT, StorageClass.BLOB
DAY = 86_400_000_000
UUID = "6f1c2a9e-0b1d-4c3e-9f00-aabbccddeeff"
UUID_BYTES = bytes.fromhex(UUID.replace("-", ""))

MONEY = PgType("numeric", 10, 2)
NEW_YEAR = 19723  # 2024-01-01


def convert(value: int | float | str | bytes, target: str | PgType, storage: StorageClass | None = None) -> object:
    """Convert with the storage class that the Python value suggests."""
    classes = {int: INTEGER, float: REAL, str: TEXT, bytes: BLOB}
    storage = storage or classes[type(value)]
    raw = value.encode() if isinstance(value, str) else value
    return convert_value(raw, storage, PgType(target) if isinstance(target, str) else target)


CONVERTED = [
    # integers
    (7, "smallint", 7, None),
    (-(2**63), "bigint", -(2**63), None),
    (2**63 - 1, "bigint", 2**63 - 1, None),
    (5.0, "integer", 5, "real-to-integer"),
    (-0.0, "integer", 0, "real-to-integer"),
    (2.0**53, "bigint", 2**53, "real-to-integer"),
    (" 12 ", "integer", 12, "text-to-integer"),
    ("-007", "integer", -7, "text-to-integer"),
    # floating point
    (0.1 + 0.2, "double precision", 0.30000000000000004, None),
    (float("inf"), "double precision", float("inf"), None),
    (2**53, "double precision", 2.0**53, None),
    (2**60, "double precision", 2.0**60, None),
    (2**53 + 1, "double precision", 2.0**53, "integer-rounded"),
    (2**63 - 1, "double precision", 2.0**63, "integer-rounded"),
    ("1e5", "double precision", 1e5, "text-to-real"),
    ("-0.25", "double precision", -0.25, "text-to-real"),
    (0.5, "real", 0.5, None),
    (0.1, "real", 0.10000000149011612, "rounded"),
    (2**24 + 1, "real", 2.0**24, "rounded"),
    (2**60 + 2**36 + 1, "real", 2.0**60 + 2.0**37, "rounded"),  # by way of a double: 2**60
    # numeric
    (12, MONEY, Decimal("12.00"), None),
    (12.5, MONEY, Decimal("12.50"), None),
    (-0.0, MONEY, Decimal("0.00"), None),
    (1.005, MONEY, Decimal("1.01"), "rounded"),
    (-1.005, MONEY, Decimal("-1.01"), "rounded"),
    (2.675, MONEY, Decimal("2.68"), "rounded"),
    (0.1 + 0.2, MONEY, Decimal("0.30"), "rounded"),
    (9.995, MONEY, Decimal("10.00"), "rounded"),
    (99999999.99, MONEY, Decimal("99999999.99"), None),
    ("12.5", MONEY, Decimal("12.50"), "text-to-numeric"),
    ("12.505", MONEY, Decimal("12.51"), "rounded"),
    ("12.500", MONEY, Decimal("12.50"), "text-to-numeric"),
    (0.5, PgType("numeric", 3, 0), Decimal(1), "rounded"),
    (1.1, "numeric", "1.1", None),
    (1e22, "numeric", "1" + "0" * 22, None),
    (1.5e-7, "numeric", "0.00000015", None),
    (-5, "numeric", "-5", None),
    (0, "numeric", "0", None),
    (float("-inf"), "numeric", "-Infinity", None),
    ("12.50", "numeric", "12.50", "text-to-numeric"),  # the zero was written: it is no padding
    ("-0.00", "numeric", "0.00", "text-to-numeric"),
    ("-00.50", "numeric", "-0.50", "text-to-numeric"),
    (1.005, PgType("numeric", 50, 2), "1.01", "rounded"),
    # boolean
    (0, "boolean", False, None),
    (1, "boolean", True, None),
    (1.0, "boolean", True, "real-to-boolean"),
    *((word, "boolean", True, "text-to-boolean") for word in ("t", "TRUE", "Yes", "on", "y", "1")),
    *((word, "boolean", False, "text-to-boolean") for word in ("f", "False", "no", "OFF", "N", "0")),
    # date
    ("2024-01-01", "date", NEW_YEAR, None),
    ("1969-12-31", "date", -1, None),
    ("0001-01-01", "date", -719162, None),
    ("9999-12-31", "date", 2932896, None),
    ("2024-02-29", "date", 19782, None),
    ("2024-01-01 00:00:00", "date", NEW_YEAR, "timestamp-to-date"),
    ("2024-01-01T00:00:00.000Z", "date", NEW_YEAR, "timestamp-to-date"),
    ("2024-01-01 00:00:00.0000000", "date", NEW_YEAR, "timestamp-to-date"),
    # timestamp
    ("2024-01-01 10:00", "timestamp", NEW_YEAR * DAY + 36_000_000_000, None),
    ("2024-01-01T10:00:00.5", "timestamp", NEW_YEAR * DAY + 36_000_500_000, None),
    ("2024-01-01", "timestamp", NEW_YEAR * DAY, "date-to-timestamp"),
    ("2024-01-01 00:00:00.1234565", "timestamp", NEW_YEAR * DAY + 123_456, "rounded"),
    ("2024-01-01 00:00:00.1234575", "timestamp", NEW_YEAR * DAY + 123_458, "rounded"),
    ("2024-01-01 00:00:00.123456501", "timestamp", NEW_YEAR * DAY + 123_457, "rounded"),
    ("2024-01-01 23:59:59.9999995", "timestamp", (NEW_YEAR + 1) * DAY, "rounded"),
    ("2024-01-01T10:00:00+02:00", "timestamp", NEW_YEAR * DAY + 28_800_000_000, "offset-applied"),
    ("2024-01-01T10:00:00Z", "timestamp", NEW_YEAR * DAY + 36_000_000_000, "offset-applied"),
    ("2024-01-01 24:00:00", "timestamp", (NEW_YEAR + 1) * DAY, "hour-24"),
    # timestamptz
    *(
        (f"2024-01-01 10:00:00{zone}", "timestamptz", NEW_YEAR * DAY + 36_000_000_000 - minutes * 60_000_000, None)
        for zone, minutes in (("Z", 0), (" UTC", 0), ("+02", 120), ("-0330", -210), ("+14:00", 840), ("-14:00", -840))
    ),
    ("2024-01-01 10:00:00", "timestamptz", NEW_YEAR * DAY + 36_000_000_000, "naive-as-utc"),
    ("9999-12-31T23:59:59.999999Z", "timestamptz", 253402300799999999, None),
    ("0001-01-01T00:00:00+14:00", "timestamptz", -719162 * DAY - 14 * 3_600_000_000, None),
    # time
    ("23:59", "time", 86_340_000_000, None),
    ("23:59:59.999999", "time", DAY - 1, None),
    ("00:00:00.0000015", "time", 2, "rounded"),
    # text
    ("héllo", "text", "héllo", None),
    ("", "text", "", None),
    ("\ufffd", "text", "\ufffd", None),
    (-7, "text", "-7", "number-to-text"),
    (1e15, "text", "1000000000000000.0", "number-to-text"),
    (1e16, "text", "1e+16", "number-to-text"),
    (-0.0, "text", "-0.0", "number-to-text"),
    (b"caf\xc3\xa9", "text", "café", "blob-to-text"),
    ("äöü", PgType("varchar", length=3), "äöü", None),
    ("abc", PgType("char", length=5), "abc", None),
    # json
    ('{"a": 1.50}', "jsonb", '{"a": 1.50}', None),
    ('[{"a":1},{"a":2}]', "jsonb", '[{"a":1},{"a":2}]', None),
    ('{"a":1,"\\u0061":2}', "jsonb", '{"a":1,"\\u0061":2}', "json-duplicate-keys"),
    ('{"a":1,"a":2}', "json", '{"a":1,"a":2}', None),
    ('"\\ud83d\\ude00"', "jsonb", '"\\ud83d\\ude00"', None),
    ('"\\\\u0000"', "jsonb", '"\\\\u0000"', None),
    ('"\\u0000"', "json", '"\\u0000"', None),
    ("1234567890123456789012345678901234567890", "jsonb", "1234567890123456789012345678901234567890", None),
    ("[1e131071]", "jsonb", "[1e131071]", None),
    ("[" * 5000 + "]" * 5000, "jsonb", "[" * 5000 + "]" * 5000, None),
    (5, "jsonb", "5", "number-to-json"),
    (1e16, "jsonb", "1e+16", "number-to-json"),
    # uuid
    (UUID, "uuid", UUID_BYTES, None),
    (UUID.upper(), "uuid", UUID_BYTES, "uuid-spelling"),
    (UUID.replace("-", ""), "uuid", UUID_BYTES, "uuid-spelling"),
    (f"{{{UUID}}}", "uuid", UUID_BYTES, "uuid-spelling"),
    (f"urn:uuid:{UUID}", "uuid", UUID_BYTES, "uuid-spelling"),
    (UUID_BYTES, "uuid", UUID_BYTES, "blob-to-uuid"),
    # bytea
    (b"\x00\xff", "bytea", b"\x00\xff", None),
    ("a\0é", "bytea", b"a\0\xc3\xa9", "text-to-bytes"),
]


@pytest.mark.parametrize(("value", "target", "expected", "rule"), CONVERTED, ids=lambda value: repr(value)[:40])
def test_a_value_arrives_exactly_or_by_a_named_rule(
    value: int | float | str | bytes, target: str | PgType, expected: object, rule: str | None
) -> None:
    """Each line of the table of values converts to this value by this rule, and to no other Python type."""
    outcome = convert(value, target)
    assert outcome == Converted(expected, rule)  # type: ignore[arg-type]
    assert isinstance(outcome, Converted)
    assert type(outcome.value) is type(expected)
    assert str(outcome.value) == str(expected)  # -0.0, and the scale of a Decimal


REFUSED = [
    *((32768, "smallint"), (-(2**31) - 1, "integer"), (2.5, "integer"), (2.0**53 + 2, "bigint"), (32768.0, "smallint")),
    *((float("inf"), "bigint"), ("9223372036854775808", "bigint"), ("1" * 5000, "bigint")),
    *((word, "integer") for word in ("", "1.0", "1e5", "0x10", "+5", "１２", "12\n", "1_000", "--1")),
    *((b"12", "integer"), (b"12", "double precision"), (b"12", "numeric"), (b"1", "boolean"), (b"2024-01-01", "date")),
    *((word, "double precision") for word in ("", "inf", "NaN", "0x1p3", "1,5", "1e400", "1e-400", ".5", "1.")),
    *((1e39, "real"), (5e-324, "real"), (1e-50, "real"), ("1e39", "real"), ("1e-50", "real")),
    *((word, MONEY) for word in ("12,50", "1e5", "+5", ".5", "NaN", "", "123456789", "99999999.995")),
    *(
        (10**8, MONEY),
        (1e8, MONEY),
        (99999999.995, MONEY),
        (float("inf"), MONEY),
        (float("-inf"), PgType("numeric", 50, 2)),
    ),
    *((2, "boolean"), (-1, "boolean"), (0.5, "boolean"), ("2", "boolean"), ("tru", "boolean"), (" t", "boolean")),
    *((20240101, "date"), (1.7e9, "timestamp"), (1_700_000_000, "timestamptz"), (3600, "time")),
    *(
        (word, "date")
        for word in ("2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "2024-01-32", "0000-01-01", "0000-00-00")
    ),
    *((word, "date") for word in ("2024-1-1", "20240101", "01/02/2024", "now", "", "2024-01-01 10:00", " 2024-01-01")),
    *((word, "date") for word in ("2024-01-01 00:00:00.0000001", "2024-01-01 00:00:00.00000050Z")),
    *((word, "date") for word in ("2024-01-01 24:00", "2024-01-01T00:00:00+02:00", "２024-01-01", "2024-W01-1")),
    *((f"2024-01-01{rest}", "timestamp") for rest in ("T10", " 24:00:01", " 23:59:60", " 10:60", " 25:00", "t10:00")),
    *(
        (f"2024-01-01 10:00:00{rest}", "timestamptz")
        for rest in ("+16:00", "+05:60", "z", " +0100", ".", ".1234567890")
    ),
    *((word, "time") for word in ("24:00:00", "23:59:59.9999995", "1:00", "10", "10:00:60", "10:00Z", "")),
    *(("a\0b", "text"), ("\0", "text"), (b"\xff", "text"), (b"a\0", "text"), ("abcd", PgType("varchar", length=3))),
    *(("ab ", PgType("varchar", length=2)), ("ab", PgType("char")), (1234, PgType("varchar", length=3))),
    *(
        (word, "jsonb")
        for word in ("", "{a:1}", "[1,]", "NaN", "[Infinity]", "01", '"\t"', "\ufeff1", "nul", '{"a":1}}')
    ),
    *((word, "jsonb") for word in ('"\\u0000"', '"\\ud800"', '{"\\udc00":1}', "1e400000", "[1e-20000]", "0e-20000")),
    *(("[" * 7000 + "]" * 7000, "jsonb"), ("", "json"), ("[1}", "json"), (float("inf"), "jsonb"), (b"{}", "jsonb")),
    *((UUID[:-1], "uuid"), (UUID + "0", "uuid"), ("g" * 32, "uuid"), (UUID.replace("-", "_"), "uuid"), (b"x", "uuid")),
    *((1, "uuid"), (1, "bytea"), (1.5, "bytea"), (1.5, "uuid")),
]


@pytest.mark.parametrize(("value", "target"), REFUSED, ids=lambda value: repr(value)[:40])
def test_what_the_target_cannot_hold_is_refused(value: int | float | str | bytes, target: str | PgType) -> None:
    """A refusal names the value on one line of bounded length, and a hint that works today."""
    outcome = convert(value, target)
    assert isinstance(outcome, Refused)
    assert len(outcome.reason) < 200
    assert outcome.reason.isprintable()
    assert "{column}=" in outcome.hint


@pytest.mark.parametrize(
    ("value", "storage", "target", "reason", "hint"),
    [
        (b"12,50", TEXT, MONEY, "'12,50' is not numeric(10,2)", "--cast {column}=text"),
        (40000, INTEGER, PgType("smallint"), "40000 is out of range for smallint", "--cast {column}=bigint"),
        (1e9, REAL, MONEY, "1000000000.0 is out of range for numeric(10,2)", "--cast {column}=numeric"),
        (b"a\0b", TEXT, PgType("text"), "'a\\x00b' holds a NUL character", "--cast {column}=bytea"),
        (b"a\xff", TEXT, PgType("text"), "'a\\xff' is not valid UTF-8", "--cast {column}=bytea"),
        (b"abc", TEXT, PgType("varchar", length=2), "has 3 characters, too long for varchar(2)", "{column}=text"),
        (b"2024-01-01 10:00", TEXT, PgType("date"), "has a time, which date cannot hold", "{column}=timestamp,"),
        (b'["\\u0000"]', TEXT, PgType("jsonb"), "holds \\u0000, which jsonb cannot", "--cast {column}=text"),
        (b"\x01\x02", BLOB, PgType("integer"), "x'0102' is not integer", "--cast {column}=bytea"),
        (b"\x01" * 99, BLOB, PgType("uuid"), f"x'{'01' * 16}…' (99 bytes) is not uuid", "--cast {column}=bytea"),
        (1.5, REAL, PgType("bigint"), "1.5 is not bigint", "--cast '{column}=double precision'"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_solves_it(
    value: int | float | bytes, storage: StorageClass, target: PgType, reason: str, hint: str
) -> None:
    """The reason quotes the value as stored; the hint is a flag to paste."""
    outcome = convert_value(value, storage, target)
    assert isinstance(outcome, Refused)
    assert reason in outcome.reason
    assert hint in outcome.hint


def test_null_is_null_in_every_type() -> None:
    """NULL is exact whatever the target."""
    for name in ("bigint", "text", "jsonb", "date", "uuid", "numeric", "bytea"):
        assert convert_value(None, StorageClass.NULL, PgType(name)) == Converted(None)


def test_a_type_without_rules_is_an_error_of_the_plan() -> None:
    """A type that nobody can convert to never lets a value through."""
    with pytest.raises(PlanError, match="no conversion to polygon"):
        convert_value(1, INTEGER, PgType("polygon"))


def test_the_calendar_agrees_with_itself_over_eight_centuries() -> None:
    """Every day from 1899 on, and around the ends of PostgreSQL's range, survives the way there and back."""
    for start in (-25_600, -2_440_588, 106_751_990):
        for days in range(start, start + 146_097 * 2, 7):
            assert days_from_civil(*civil_from_days(days)) == days
    assert days_from_civil(1970, 1, 1) == 0
    assert days_from_civil(-4713, 11, 24) == -2_440_588  # 4714 BC, where the Julian day counts from


def test_a_moment_keeps_what_the_text_said() -> None:
    """Offset, rounding and the missing time are told apart, since each has a rule of its own."""
    moment = read_moment(b"2024-01-01T00:00:00.1234567-05:30")
    assert moment is not None
    assert (moment.micros, moment.rounded, moment.offset_minutes) == (123_457, True, -330)
    assert read_moment(b"2024-01-01T00:00") != read_moment(b"2024-01-01")


ZONED = [
    ("9999-12-31 23:59:59.999999", "timestamptz", None, 253402297199999999, "naive-in-zone"),
    ("0001-01-01 00:00:00", "timestamptz", None, -62135596800_000000 - 3208_000000, "naive-in-zone"),  # 0:53:28 east
    (
        "2024-03-31 02:30",
        "timestamptz",
        "earliest",
        1711845000_000000,
        "ambiguous-earliest",
    ),  # as summer time: 00:30 UTC
    ("2024-03-31 02:30", "timestamptz", "latest", 1711848600_000000, "ambiguous-latest"),
    ("2024-10-27 02:30", "timestamptz", "earliest", 1729989000_000000, "ambiguous-earliest"),
    ("2024-10-27 02:30", "timestamptz", "latest", 1729992600_000000, "ambiguous-latest"),
    ("2024-10-27 03:30", "timestamptz", "latest", 1729996200_000000, "naive-in-zone"),
    ("2024-07-01", "timestamptz", None, 1719784800_000000, "date-to-timestamp"),
    ("2024-07-01T10:00:00Z", "timestamp", None, 1719835200_000000, "offset-applied"),
    ("2024-07-01 10:00:00", "timestamp", None, 1719828000_000000, None),
]


@pytest.mark.parametrize(("value", "target", "ambiguous", "expected", "rule"), ZONED)
def test_local_times_are_those_of_the_zone(
    value: str, target: str, ambiguous: str | None, expected: int, rule: str | None
) -> None:
    """In Berlin, to both ends of the calendar and through both changes of its clocks."""
    reading = Reading(timezone="Europe/Berlin", ambiguous=ambiguous)
    assert convert_value(value.encode(), TEXT, PgType(target), reading) == Converted(expected, rule)


@pytest.mark.parametrize(
    ("value", "target", "how", "reason"),
    [
        ("2024-03-31 02:30", "timestamptz", None, "does not exist in Europe/Berlin"),
        ("2024-10-27 02:30", "timestamptz", None, "exists twice in Europe/Berlin"),
        ("27.10.2024 02:30", "timestamptz", "%d.%m.%Y %H:%M", "exists twice in Europe/Berlin"),
        ("9999-12-31T23:30:00Z", "timestamp", None, "is outside the years 1 to 9999, in which Europe/Berlin is known"),
        (1_700_000_000, "date", "epoch-s", "has a time, which date cannot hold"),
        (1 << 50, "timestamp", "epoch-s", "is out of range for timestamp as epoch-s"),
        (86_400, "time", "seconds", "is out of range for time as seconds"),
        ("29.2.2023", "date", "%d.%m.%Y", "is not date"),
        ("2024-02-29", "date", "%d.%m.%Y", "is not date"),
        ("true", "boolean", "J/N", "is neither word of boolean:J/N"),
    ],
)
def test_what_a_reading_does_not_cover_is_refused(value: int | str, target: str, how: str | None, reason: str) -> None:
    """With the reason on one line, and never taken for something else."""
    raw, storage = (value.encode(), TEXT) if isinstance(value, str) else (value, INTEGER)
    outcome = convert_value(raw, storage, PgType(target), Reading(how=how, timezone="Europe/Berlin"))
    assert isinstance(outcome, Refused)
    assert reason in outcome.reason
    assert "twice" not in reason or "--ambiguous earliest" in outcome.hint


@pytest.mark.parametrize(
    ("value", "target", "hint"),
    [
        (1_700_000_000, "timestamp", "--cast {column}=timestamp:epoch-s"),
        (1_700_000_000_000, "timestamptz", "--cast {column}=timestamptz:epoch-ms"),
        (638_396_640_000_000_000, "timestamp", "--cast {column}=timestamp:epoch-ticks"),
        (13_350_000_000_000_000, "timestamp", "--cast {column}=timestamp:epoch-webkit"),
        (2460310.5, "timestamp", "--cast {column}=timestamp:julian"),
        (20240131, "date", "--cast {column}=date:%Y%m%d"),
        (0, "date", "--zero-dates null"),
        ("0000-00-00", "date", "--zero-dates null"),
        ("31.12.2024", "date", "--cast {column}=date:%d.%m.%Y"),
        ("12/31/2024 10:00", "timestamp", "--cast '{column}=timestamp:%m/%d/%Y %H:%M'"),
        ("", "date", "--empty-as-null"),
        ("", "bigint", "--empty-as-null"),
        ("", "numeric", "--empty-as-null"),
        ("", "uuid", "--empty-as-null"),
        ("", "jsonb", "--empty-as-null"),
        ("J", "boolean", "--cast {column}=boolean:J/N"),
        (3600, "time", "--cast {column}=time:seconds"),
        (1.5, "interval", "--cast {column}=interval:us"),
        ("a\0b", "text", "--nul strip"),
        ("too long", PgType("varchar", length=3), "--truncate"),
    ],
)
def test_a_hint_names_the_flag_that_solves_it(value: int | float | str, target: str | PgType, hint: str) -> None:
    """Before the type that would hold the value as it is."""
    outcome = convert(value, target)
    assert isinstance(outcome, Refused)
    assert outcome.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "seconds"), [("20:00:27.5", 28), ("20:00:28.5", 28), ("20:00:29.5", 30), ("20:00:27.500000001", 28)]
)
@pytest.mark.parametrize("name", ["timestamp", "timestamptz"])
def test_half_a_second_goes_to_the_even_second(name: str, text: str, seconds: int) -> None:
    """Of timestamp(0) and timestamptz(0): whether 27.5 goes up or down is told by the 27."""
    outcome = convert_value(f"2024-01-01 {text}".encode(), StorageClass.TEXT, PgType(name, length=0))
    midnight = 1_704_067_200
    assert outcome == Converted((midnight + 20 * 3600 + seconds) * 1_000_000, "rounded")
