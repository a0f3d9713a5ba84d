"""``--cast`` and the flags of values: what a user may say, and which columns it reaches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etl.errors import UsageError
from etl.model import PLAIN_READING, PgType, Reading
from etl.options import Options
from etl.transform.schema.casts import Cast, cast_for, parse_casts
from etl.transform.schema.column_readings import reading_of


def test_the_last_matching_cast_wins() -> None:
    """A glob first, an exception after it."""
    casts = parse_casts(["*.created_at=timestamptz", "log.created_at=text"])
    assert cast_for(casts, "orders", "created_at") == casts[0]
    assert cast_for(casts, "LOG", "Created_At") == casts[1]
    assert cast_for(casts, "log", "id") is None


def test_a_cast_reads_types_as_postgresql_spells_them() -> None:
    """Aliases, modifiers and odd spaces; a bare char is char(1)."""
    texts = ["t.a= NUMERIC (12 , 2)", "t.b=timestamp with time zone", "t.c=int8", "t.d=char"]
    assert [str(cast.type) for cast in parse_casts(texts)] == ["numeric(12,2)", "timestamptz", "bigint", "char(1)"]
    assert isinstance(parse_casts(texts)[0], Cast)


@pytest.mark.parametrize("name", ["timestamp", "timestamptz", "time", "timetz", "interval"])
def test_six_decimals_are_all_that_there_are(name: str) -> None:
    """timestamp(6) is timestamp: the server says so too, and verification compares what it says."""
    assert str(parse_casts([f"t.c={name}(6)"])[0].type) == name
    assert str(parse_casts([f"t.c={name}(5)"])[0].type) == f"{name}(5)"


@pytest.mark.parametrize(
    ("cast", "pattern", "type_name", "how"),
    [
        ("t.a=timestamptz:epoch-ms", "t.a", "timestamptz", "epoch-ms"),
        ("*.seen=timestamp:JULIAN", "*.seen", "timestamp", "julian"),
        ("t.a=date:%d.%m.%Y", "t.a", "date", "%d.%m.%Y"),
        ("t.a=timestamp:%d=%m=%Y %H:%M:%S", "t.a", "timestamp", "%d=%m=%Y %H:%M:%S"),
        ("t.a=b=boolean:J/N", "t.a=b", "boolean", "J/N"),
        ("t.a=boolean:X/", "t.a", "boolean", "X/"),
        ("t.a=time:seconds", "t.a", "time", "seconds"),
    ],
)
def test_a_cast_may_name_the_reading_behind_a_colon(cast: str, pattern: str, type_name: str, how: str) -> None:
    """The last equals sign before a type divides; the reading keeps its own marks and capitals."""
    (read,) = parse_casts([cast])
    assert (read.pattern, read.type.name, read.how) == (pattern, type_name, how)


def test_a_type_without_the_reading_says_what_it_takes() -> None:
    """The hint lists the readings of the type, or the types that have some."""
    for cast, taken in (
        ("t.a=time:epoch-s", "time takes seconds, or a format such as %H.%M"),
        (
            "t.a=date:epoch",
            "date takes epoch-s, epoch-ms, epoch-us, epoch-ns, epoch-ticks, epoch-webkit, epoch-2001, julian",
        ),
        ("t.a=text:latin1", "text takes none"),
    ):
        with pytest.raises(UsageError) as refused:
            parse_casts([cast])
        assert taken in (refused.value.hint or "")


def test_flags_reach_the_columns_that_they_can_change() -> None:
    """Each kind of type has its own flags, and a plain run reads plainly."""
    flags = Options(
        *(Path("x"), ""), timezone="Europe/Berlin", ambiguous="latest", zero_dates="null", empty_as_null=True,
        nul="strip", encoding="latin1", truncate=True,
    )  # fmt: skip
    dated = Reading("epoch-s", "Europe/Berlin", "latest", zero_dates_as_null=True, empty_as_null=True)
    assert reading_of(PgType("timestamptz"), "epoch-s", flags) == dated
    texts = Reading(strip_nul=True, encoding="latin1", truncate=True)
    assert reading_of(PgType("varchar", length=3), None, flags) == texts
    assert reading_of(PgType("uuid"), None, flags) == Reading(empty_as_null=True)
    plain = Options(Path("x"), "", timezone="Etc/UTC")
    assert {reading_of(PgType(name), None, plain) for name in ("text", "date", "bigint")} == {PLAIN_READING}


@pytest.mark.parametrize("name", ["Europe/Berln", "Mars/Base", "../../etc/passwd", "", "Europe"])
def test_a_time_zone_that_does_not_exist_is_a_usage_error(name: str) -> None:
    """With a zone that looks like it, or an example."""
    with pytest.raises(UsageError, match="is not a time zone") as refused:
        reading_of(PgType("date"), None, Options(Path("x"), "", timezone=name))
    assert "Europe/Berlin" in (refused.value.hint or "") or "did you mean" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("cast", "message"),
    [
        ("t.a=intt", "there is no type 'intt'"),
        ("t.a", "is not table.column=type"),
        ("a=int", "is not table.column=type"),
        ("t.a=int(4)", "modifiers that integer does not take"),
        ("t.a=numeric(2000)", "modifiers that numeric does not take"),
        ("t.a=date:%Y", "the format '%Y' cannot be read into date"),
        ("t.a=date:%d.%m.%Y%", "it has a lone %"),
        ("t.a=date:%d.%m.%Q", "it has %Q; known are"),
        ("t.a=timestamp:%d.%m.%Y %M", "need each what stands before them"),
        ("t.a=timestamp:%d.%m.%Y %I", "%I and %p need each other"),
        ("t.a=date:%d.%m.%y %Y", "says something twice"),
        ("t.a=time:%d.%m.%Y", "a time has no date"),
        ("t.a=time:epoch-s", "time has no reading 'epoch-s'"),
        ("t.a=timestamptz:epoch-h", "timestamptz has no reading 'epoch-h'"),
        ("t.a=bigint:epoch-s", "bigint has no reading 'epoch-s'"),
        ("t.a=text:", "text has no reading ''"),
        ("t.a=boolean:J", "is not the word for true, a slash and another word for false"),
        ("t.a=boolean:j/J", "is not the word for true, a slash and another word for false"),
    ],
)
def test_a_cast_that_makes_no_sense_is_a_usage_error(cast: str, message: str) -> None:
    """It is found before anything is read, with an example or the list of types."""
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        parse_casts([cast])
    assert refused.value.hint
