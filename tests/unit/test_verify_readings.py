"""What verification takes a value for under each reading: written down by hand, and one step beside it."""

from __future__ import annotations

import struct
import zoneinfo
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import _zoneinfo  # type: ignore[attr-defined]  # the one in Python tells its changes

import numpy as np
import pytest

from etl.model import PLAIN_READING, PgType, Reading, StorageClass
from etl.verify.values.equivalents import expected_payload
from etl.verify.values.moments import from_zone, to_zone
from etl.verify.values.null_cells import reads_as_null
from etl.verify.values.read_as import is_known
from etl.verify.values.singles import pack_single
from etl.verify.values.zone_days import utc_to_walls, walls_to_utc
from tests.verifying import pg_type

FIRST = datetime(2000, 1, 1)


def storage_of(value: Any) -> StorageClass:
    if isinstance(value, bytes):
        return StorageClass.BLOB
    return {int: StorageClass.INTEGER, float: StorageClass.REAL, str: StorageClass.TEXT}[type(value)]


def read(kind: str, reading: Reading, value: Any) -> bytes | None:
    stored = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return expected_payload(storage_of(value), stored, pg_type(kind), reading)


def micros(text: str) -> int:
    delta = datetime.fromisoformat(text) - FIRST
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def payload_of(kind: str, text: str | None) -> bytes | None:
    """The payload of an ISO text that Python reads."""
    if text is None:
        return None
    if kind == "date":
        return struct.pack(">i", (date.fromisoformat(text) - FIRST.date()).days)
    return struct.pack(">q", micros(f"2000-01-01 {text}" if kind.startswith("time(") or kind == "time" else text))


NUMBERS: list[tuple[str, str, Any, str | None]] = [
    ("timestamptz", "epoch-s", 1_700_000_000, "2023-11-14 22:13:20"),
    ("timestamptz", "epoch-s", -1, "1969-12-31 23:59:59"),
    ("timestamptz", "epoch-s", 0, "1970-01-01"),
    ("timestamptz", "epoch-s", 1.5, "1970-01-01 00:00:01.5"),
    ("timestamptz", "epoch-s", " 1.5 ", "1970-01-01 00:00:01.5"),
    ("timestamptz", "epoch-s", "1e3", None),
    ("timestamptz", "epoch-s", "+5", None),
    ("timestamptz", "epoch-s", "0" * 401, None),
    ("timestamptz", "epoch-s", b"5", None),
    ("timestamptz", "epoch-s", float("inf"), None),
    ("timestamptz", "epoch-s", "2024-02-29 12:00Z", "2024-02-29 12:00"),
    ("timestamptz", "epoch-s", 5e-7, "1970-01-01"),  # half to even
    ("timestamptz", "epoch-s", 1.5e-6, "1970-01-01 00:00:00.000002"),
    ("timestamp", "epoch-ms", 1_700_000_000_123, "2023-11-14 22:13:20.123"),
    ("timestamp", "epoch-us", -1, "1969-12-31 23:59:59.999999"),
    ("timestamp", "epoch-ns", 1_700_000_000_123_456_500, "2023-11-14 22:13:20.123456"),
    ("timestamp", "epoch-ns", 1_700_000_000_123_457_500, "2023-11-14 22:13:20.123458"),
    ("timestamp", "epoch-ticks", 638_447_616_000_000_000, "2024-02-29"),
    ("timestamp", "epoch-ticks", 0, "0001-01-01"),
    ("timestamp", "epoch-webkit", 13_353_638_400_000_001, "2024-02-29 00:00:00.000001"),
    ("timestamp", "epoch-webkit", 0, "1601-01-01"),
    ("timestamp", "epoch-2001", 0.25, "2001-01-01 00:00:00.25"),
    ("timestamp", "julian", 2_451_545, "2000-01-01 12:00"),
    ("timestamp", "julian", 2_460_369.75, "2024-02-29 06:00"),
    ("timestamp", "julian", 0, "1970-01-01"),
    ("timestamp", "julian", 0.0, "1970-01-01"),
    ("timestamp", "julian", "0.0", "1970-01-01"),
    ("timestamp(0)", "epoch-ms", 1_500, "1970-01-01 00:00:02"),
    ("timestamp(0)", "epoch-ms", 2_500, "1970-01-01 00:00:02"),
    ("timestamp(3)", "epoch-us", 1_499, "1970-01-01 00:00:00.001"),
    ("timestamp(3)", "epoch-us", "2024-02-29 00:00:00.0005001", "2024-02-29 00:00:00.001"),
    ("date", "epoch-s", 1_709_164_800, "2024-02-29"),
    ("date", "epoch-s", 1_709_164_801, None),
    ("date", "julian", 2_460_369.5, "2024-02-29"),
    ("date", "julian", 2_460_370, None),
    ("time", "seconds", 3_661, "01:01:01"),
    ("time", "seconds", "0.0000005", "00:00"),
    ("time", "seconds", 86_399.9999999, None),
    ("time", "seconds", 86_400, None),
    ("time", "seconds", -1, None),
    ("time", "seconds", "12:34", "12:34"),
    ("time", "seconds", "24:00", None),
    ("time(0)", "seconds", 1.5, "00:00:02"),
]


@pytest.mark.parametrize(("kind", "how", "value", "text"), NUMBERS)
def test_a_number_is_an_instant_of_its_unit(kind: str, how: str, value: Any, text: str | None) -> None:
    """Exactly, and rounded once; every other unit says something else."""
    assert read(kind, Reading(how=how), value) == payload_of(kind, text)


EPOCH_LIMITS = [
    ("epoch-us", 2**63 - 1, True),
    ("epoch-ms", 9_223_372_036_854_775, True),
    ("epoch-ms", 9_223_372_036_854_776, False),
    ("epoch-s", -210_866_803_200, True),
    ("epoch-s", -210_866_803_201, False),
]


@pytest.mark.parametrize(("how", "value", "held"), EPOCH_LIMITS)
def test_instants_end_where_the_documentation_says(how: str, value: Any, held: bool) -> None:
    """At 4714-11-24 00:00 BC and 294247-01-10 04:00:54.775807 AD, both held."""
    assert (read("timestamptz", Reading(how=how), value) is not None) == held


def test_julian_days_begin_at_noon_and_reach_half_a_day_before_their_origin() -> None:
    """Julian day -0.5 is 4714-11-24 00:00 BC, the first instant."""
    first = read("timestamp", Reading(how="julian"), -0.5)
    assert first == struct.pack(">q", -211_813_488_000_000_000)
    assert read("timestamp", Reading(how="julian"), -0.50001) is None


FORMATS: list[tuple[str, str, Any, str | None]] = [
    ("date", "%d.%m.%Y", "29.2.2024", "2024-02-29"),
    ("date", "%d.%m.%Y", "29.02.2023", None),
    ("date", "%d.%m.%Y", " 29.02.2024", None),
    ("date", "%d.%m.%Y", "2024-02-29", None),
    ("date", "%Y%m%d", 20_240_229, "2024-02-29"),
    ("date", "%Y%m%d", 20_240_229.0, "2024-02-29"),
    ("date", "%Y%m%d", "2024229", None),
    ("date", "%Y%j", 2_024_060, "2024-02-29"),
    ("date", "%Y%j", 2_023_366, None),
    ("date", "%m/%d/%y", "2/29/68", "2068-02-29"),
    ("date", "%m/%d/%y", "2/28/69", "1969-02-28"),
    ("date", "%a, %d %b %Y", "thu, 29 FEB 2024", "2024-02-29"),
    ("date", "%a, %d %b %Y", "Fri, 29 Feb 2024", None),
    ("date", "%A %B %d, %Y", "Thursday February 29, 2024", "2024-02-29"),
    ("date", "%F %T", "2024-02-29 00:00:00", "2024-02-29"),
    ("date", "%F %T", "2024-02-29 00:00:01", None),
    ("date", "%F%z", "2024-02-29+00:00", "2024-02-29"),
    ("date", "%F%z", "2024-02-29+01:00", None),
    ("timestamp", "%d.%m.%Y %H:%M", "29.02.2024 7:05", "2024-02-29 07:05"),
    ("timestamp", "%D %I:%M %p", "02/29/24 12:30 am", "2024-02-29 00:30"),
    ("timestamp", "%D %I:%M %p", "02/29/24 12:30 PM", "2024-02-29 12:30"),
    ("timestamp", "%D %I:%M %p", "02/29/24 13:30 PM", None),
    ("timestamp", "%F %T.%f", "2024-02-29 00:00:00.1234565", "2024-02-29 00:00:00.123456"),
    ("timestamp", "%F %H", "2024-02-29 24", None),
    ("timestamptz", "%FT%T%z", "2024-02-29T12:00:00 UTC", "2024-02-29 12:00"),
    ("timestamptz", "%FT%T%z", "2024-02-29T12:00:00z", "2024-02-29 12:00"),
    ("timestamptz", "%FT%T%z", "2024-02-29T12:00:00-0330", "2024-02-29 15:30"),
    ("timestamptz", "%FT%T%z", "2024-02-29T12:00:00+16:00", None),
    ("time", "%H%M", 905, None),
    ("time", "%H%M", "0905", "09:05"),
    ("time", "%I:%M %p", "9:05 PM", "21:05"),
    ("date", "%d%% %m %Y", "1% 2 2024", "2024-02-01"),
]


@pytest.mark.parametrize(("kind", "how", "value", "text"), FORMATS)
def test_a_format_is_matched_by_the_whole_value(kind: str, how: str, value: Any, text: str | None) -> None:
    """What it says has to exist; nothing but the format is accepted."""
    assert read(kind, Reading(how=how), value) == payload_of(kind, text)


INTERVALS: list[tuple[str, str | None, Any, tuple[int, int, int] | None]] = [
    ("interval", None, "P1Y2M3W4DT5H6M7.8S", (18_367_800_000, 25, 14)),
    ("interval", None, "-P1Y-2MT-0.5S", (500_000, 0, -10)),
    ("interval", None, "PT24H", (86_400_000_000, 0, 0)),
    ("interval", None, "-01:30:00.5", (-5_400_500_000, 0, 0)),
    ("interval", None, "100:00", (360_000_000_000, 0, 0)),
    ("interval", None, "P", None),
    ("interval", None, "P1DT", None),
    ("interval", None, "1:60", None),
    ("interval", None, 90, None),
    ("interval", "seconds", 1.5, (1_500_000, 0, 0)),
    ("interval", "us", -1_500_000, (-1_500_000, 0, 0)),
    ("interval", "us", "PT1S", (1_000_000, 0, 0)),
    ("interval", "us", 2**63, None),
    ("interval(1)", "us", 150_000, (200_000, 0, 0)),
    ("interval(1)", "us", 250_000, (200_000, 0, 0)),
]


@pytest.mark.parametrize(("kind", "how", "value", "parts"), INTERVALS)
def test_an_interval_keeps_months_days_and_time_apart(
    kind: str, how: str | None, value: Any, parts: tuple[int, int, int] | None
) -> None:
    """24 hours are no day, and a number is a length in its unit."""
    assert read(kind, Reading(how=how), value) == (None if parts is None else struct.pack(">qii", *parts))


ZONES: list[tuple[str, str, str | None, str, str | None]] = [
    ("timestamptz", "Europe/Berlin", None, "2024-07-01 12:00", "2024-07-01 10:00"),
    ("timestamptz", "Europe/Berlin", None, "2024-07-01 12:00Z", "2024-07-01 12:00"),
    ("timestamp", "Europe/Berlin", None, "2024-07-01 12:00Z", "2024-07-01 14:00"),
    ("timestamp", "Europe/Berlin", None, "2024-07-01 12:00", "2024-07-01 12:00"),
    ("timestamptz", "Europe/Berlin", None, "2024-10-27 02:30", None),
    ("timestamptz", "Europe/Berlin", "earliest", "2024-10-27 02:30", "2024-10-27 00:30"),
    ("timestamptz", "Europe/Berlin", "latest", "2024-10-27 02:30", "2024-10-27 01:30"),
    ("timestamptz", "Europe/Berlin", None, "2024-03-31 02:30", None),
    ("timestamptz", "Europe/Berlin", "earliest", "2024-03-31 02:30", "2024-03-31 00:30"),
    ("timestamptz", "Europe/Berlin", "latest", "2024-03-31 02:30", "2024-03-31 01:30"),
    ("timestamptz", "America/New_York", None, "2024-07-01 12:00", "2024-07-01 16:00"),
    ("timestamp", "Asia/Tokyo", None, "9999-12-31 23:00Z", None),  # the year 10000 there
    ("timestamp", "Asia/Tokyo", None, "9999-12-31 14:59Z", "9999-12-31 23:59"),
]


@pytest.mark.parametrize(("kind", "zone", "ambiguous", "value", "text"), ZONES)
def test_the_zone_is_that_of_the_column(
    kind: str, zone: str, ambiguous: str | None, value: str, text: str | None
) -> None:
    """Naive values of a timestamptz are read in it, instants in a timestamp shown in it."""
    assert read(kind, Reading(timezone=zone, ambiguous=ambiguous), value) == payload_of(kind, text)


def test_an_epoch_is_utc_and_a_timestamp_shows_the_zones_clock() -> None:
    """A date takes only what is midnight there."""
    berlin = Reading(how="epoch-s", timezone="Europe/Berlin")
    assert read("timestamptz", berlin, 1_709_164_800) == payload_of("timestamptz", "2024-02-29")
    assert read("timestamp", berlin, 1_709_164_800) == payload_of("timestamp", "2024-02-29 01:00")
    assert read("date", berlin, 1_709_164_800) is None
    assert read("date", berlin, 1_709_161_200) == payload_of("date", "2024-02-29")


WORDS: list[tuple[str, Any, bytes | None]] = [
    ("J/N", "j", b"\1"), ("J/N", "N", b"\0"), ("J/N", "true", None), ("J/N", 1, None), ("J/N", "J ", None),
    ("1/2", 2, b"\0"), ("1/2", "1", b"\1"), ("1/2", 1.0, None), ("X/", "", b"\0"), ("J/N", b"J", None),
    ("ä/Ö", "Ä", None), ("ä/Ö", "ä", b"\1"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "value", "payload"), WORDS)
def test_words_are_the_only_booleans_of_their_column(how: str, value: Any, payload: bytes | None) -> None:
    """In any case of A to Z, an INTEGER by its digits."""
    assert read("boolean", Reading(how=how), value) == payload


TEXTS: list[tuple[str, Reading, str, bytes | None]] = [
    ("text", PLAIN_READING, "a\0b", None),
    ("text", Reading(strip_nul=True), "a\0b\0", b"ab"),
    ("text", PLAIN_READING, "caf\udce9", None),
    ("text", Reading(encoding="latin1"), "caf\udce9", "café".encode()),
    ("text", Reading(encoding="latin1"), "café", "café".encode()),
    ("text", Reading(encoding="latin1", strip_nul=True), "\udce9\0", "é".encode()),
    ("varchar(3)", PLAIN_READING, "äöüß", None),
    ("varchar(3)", Reading(truncate=True), "äöüß", "äöü".encode()),
    ("varchar(3)", Reading(truncate=True), "a  b", b"a  "),
    ("char(3)", Reading(truncate=True), "a", b"a  "),
    ("varchar(2)", Reading(encoding="latin1", strip_nul=True, truncate=True), "\0\udce9\0\udce9x", "éé".encode()),
]


@pytest.mark.parametrize(("kind", "reading", "value", "payload"), TEXTS)
def test_a_flag_decodes_strips_and_cuts_texts(kind: str, reading: Reading, value: str, payload: bytes | None) -> None:
    """In that order, and only where it is set."""
    assert read(kind, reading, value) == payload


def test_flags_of_texts_leave_blobs_and_numbers_alone() -> None:
    """They work on TEXT, not on a blob that is read as text, nor on digits."""
    every = Reading(encoding="latin1", strip_nul=True, truncate=True)
    assert read("text", every, b"caf\xe9") is None
    assert read("varchar(2)", every, b"abc") is None
    assert read("varchar(2)", every, 123) is None


EMPTY = Reading(empty_as_null=True)
ZERO = Reading(zero_dates_as_null=True)
ZERO_EPOCH = Reading(how="epoch-s", zero_dates_as_null=True)
NULLS: list[tuple[str, Reading, Any, bool]] = [
    ("bigint", EMPTY, "", True),
    ("bigint", PLAIN_READING, "", False),
    ("bytea", EMPTY, "", True),
    ("jsonb", EMPTY, "", True),
    ("bytea", EMPTY, b"", False),
    ("text", EMPTY, "", False),
    ("char(3)", EMPTY, "", False),
    ("bigint", EMPTY, " ", False),
    ("date", ZERO, 0, True),
    ("date", ZERO, -0.0, True),
    ("date", ZERO, "0", False),
    ("date", ZERO_EPOCH, "0", True),
    ("date", ZERO_EPOCH, " -0.00 ", True),
    ("date", ZERO, "0000-00-00", True),
    ("timestamptz", ZERO, "0000-00-00 00:00:00.000", True),
    ("timestamptz", ZERO, "0000-00-00 00:00:00.001", False),
    ("timestamptz", ZERO, "0000-00-00T00:00", False),
    ("timestamptz", PLAIN_READING, "0000-00-00", False),
    ("time", ZERO, 0, False),
    ("bigint", ZERO, 0, False),
]


@pytest.mark.parametrize(("kind", "reading", "value", "gone"), NULLS)
def test_a_flag_makes_null_of_what_it_names(kind: str, reading: Reading, value: Any, gone: bool) -> None:
    """The empty text, and dates of zero."""
    stored = value.encode() if isinstance(value, str) else value
    assert reads_as_null(storage_of(value), stored, pg_type(kind), reading) == gone


def test_real_is_rounded_once() -> None:
    """2^60 + 2^36 + 1 lies above a tie of float4 and is one as a double."""
    number = 2**60 + 2**36 + 1
    assert read("real", PLAIN_READING, number) == struct.pack(">f", 2.0**60 + 2.0**37)
    assert read("real", PLAIN_READING, str(number)) == struct.pack(">f", 2.0**60 + 2.0**37)
    assert read("real", PLAIN_READING, "-0.0") == struct.pack(">f", -0.0)


def test_a_double_is_packed_as_numpy_rounds_it() -> None:
    """Single precision against another implementation, denormal numbers and the largest one among them."""
    random = np.random.default_rng(7)
    doubles = np.concatenate((random.normal(size=500) * 10.0 ** random.integers(-46, 38, 500), [3.4028235e38, 1e-45]))
    for double in doubles.tolist():
        assert pack_single(Fraction(double)) == np.array([double]).astype(np.float32).astype(">f4").tobytes()
    assert pack_single(Fraction(2) ** 128) is None


def test_numeric_holds_texts_of_any_length_that_it_can() -> None:
    """131,072 digits before the point, 16,383 after it, and not one more."""
    for text, held in (
        ("7" * 131_072, True),
        ("7" * 131_073, False),
        ("0." + "7" * 16_383, True),
        ("0." + "7" * 16_384, False),
        ("1e131071", True),
        ("1e131072", False),
    ):
        assert (read("numeric", PLAIN_READING, text) is not None) == held
    assert read("bigint", PLAIN_READING, "0" * 100 + "7") == (7).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("kind", "how", "known"),
    [
        ("timestamp", "epoch-s", True), ("time", "epoch-s", False), ("time", "seconds", True),
        ("date", "%d.%m.%Y", True), ("date", "%d.%m.", False), ("time", "%d.%m.%Y", False), ("time", "%H:%M", True),
        ("date", "seconds", False),
        ("date", "%Q", False), ("date", "%Y-%m-%d %I", False), ("boolean", "J/N", True), ("boolean", "J", False),
        ("bigint", "epoch-s", False), ("date", "nonsense", False),
    ],
)  # fmt: skip
def test_a_reading_without_a_meaning_is_known_beforehand(kind: str, how: str, known: bool) -> None:
    """Better no verdict than a difference in every row."""
    assert is_known(Reading(how=how), PgType(kind)) == known


def test_no_zone_changes_its_clock_twice_within_a_day() -> None:
    """What the rules for whole columns rest on: a day whose ends have one offset has no other between them."""
    nearest = []
    for name in zoneinfo.available_timezones():
        changes = _zoneinfo.ZoneInfo.no_cache(name)._trans_utc
        nearest += [after - before for before, after in pairwise(changes)]
    assert min(nearest) > 3 * 86_400


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Monrovia"])
def test_whole_days_of_a_zone_are_what_single_moments_are(name: str) -> None:
    """Around every change of the clock, in both directions; the days of a change are not claimed."""
    zone = zoneinfo.ZoneInfo(name)
    changes = _zoneinfo.ZoneInfo.no_cache(name)._trans_utc
    around = [(change - 946_684_800 + 3_600 * hour) * 1_000_000 for change in changes for hour in range(-50, 50, 7)]
    moments = np.array(around, np.int64)
    for whole, single in ((utc_to_walls, to_zone), (walls_to_utc, from_zone)):
        values, proven = whole(moments, zone)
        assert 0.3 < proven.mean() < 1
        for moment, value in zip(moments[proven].tolist(), values[proven].tolist(), strict=True):
            assert single(moment, zone) == value
