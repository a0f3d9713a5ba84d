"""Under every reading, too, whole columns agree with the specification cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.model import PgType, PlainColumn, Reading, StorageClass
from etl.transform.rows.epochs import EPOCHS
from etl.transform.rows.values import Converted
from tests.property.test_vector_rules import (
    ARROW,
    NULL,
    REAL_EDGES,
    TEXT_EDGES,
    Cell,
    array_of,
    assert_agrees,
    cells_for,
    convert,
    plain,
    sliced,
    split,
)

ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Africa/Monrovia", "America/St_Johns"]
FORMATS = [
    "%d.%m.%Y",
    "%Y%m%d",
    "%m/%d/%y %I:%M %p",
    "%Y-%m-%d %H:%M:%S.%f",
    "%a, %d %b %Y %H:%M:%S %z",
    "%Y%j",
    "%F %T",
]
DATED = ["date", "timestamp", "timestamptz"]
TARGETS = [
    *(PgType(name) for name in (*DATED, "time", "boolean", "text", "bigint", "uuid", "jsonb", "bytea", "numeric")),
    *(PgType("timestamp", length=n) for n in (0, 3)),
    *(PgType(name, length=3) for name in ("varchar", "char", "time")),
]


@st.composite
def readings_for(draw: st.DrawFn, target: PgType) -> Reading:
    """What a cast and the flags may say of a column of this type."""
    hows: list[str | None] = [None]
    if target.name in DATED:
        hows += [*EPOCHS, *FORMATS]
    elif target.name == "time":
        hows += ["seconds", "%H:%M", "%I.%M%p", "%H%M%S"]
    elif target.name == "boolean":
        hows += ["J/N", "0/1", "1/2", "x/", "yes/no"]
    return Reading(
        how=draw(st.sampled_from(hows)),
        timezone=draw(st.sampled_from(ZONES)),
        ambiguous=draw(st.sampled_from([None, "earliest", "latest"])),
        zero_dates_as_null=draw(st.booleans()),
        empty_as_null=draw(st.booleans()),
        strip_nul=draw(st.booleans()),
        encoding=draw(st.sampled_from([None, "latin1"])),
        truncate=draw(st.booleans()),
    )


NUMBERS = [
    *(0, 1, -1, 86_399, 86_400, 1_700_000_000, 1_700_006_400, 1_700_000_000_000, 1_700_000_000_001),
    *(1_700_000_000_000_500, 1_700_000_000_000_001_500, 638_396_640_000_000_005, 638_396_640_000_000_015),
    *(13_350_000_000_000_000, 2_460_310, 20_240_131, 20_241_331, 93_000, -62_135_596_800, 253_402_300_799, 2024_366),
    *(
        9_224_318_015_999,
        9_223_372_036_854,
        9_223_372_036_855,
        -210_866_803_200,
        -210_866_803_201,
        2**62,
        2**63 - 1,
        -(2**63),
    ),
    *(106_751_991, 109_203_489, 109_203_490, -1_000, 1_711_846_800, 1_729_990_800),
]
REALS = [
    *(0.5, 1_700_000_000.123, 1_700_000_000.12345, 1_700_000_000.123456, 1_700_000_000.1234565, 2_460_310.5, 0.9999999),
    *(2_460_310.75, 2_460_311.0, 86_399.9999995, 86_399.9999994, 1e9 + 0.1, -0.5, -1_700_000_000.00001, 700_000_000.25),
    *(9.223372036854e12, 9.3e12, 1e15 + 0.5, -2.1e11, 1.7e18, 5e-7, 15e-7),
]
WORDS = [
    *("J", "j", "N", "X", "x", "", "0", "1", "2", "yes", "NO", "0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00"),
    *(
        "31.12.2023",
        "1.2.2024",
        "30.2.2024",
        "20240229",
        "20230229",
        "12/31/23 12:00 AM",
        "1/2/69 1:05 pm",
        "1/2/68 13:00 pm",
    ),
    *("Thu, 29 Feb 2024 10:00:00 +0100", "Fri, 29 Feb 2024 10:00:00 +0100", "thu, 29 FEB 2024 00:00:00 Z", "2024366"),
    *("2024-03-31 02:30", "2024-10-27 02:30:00", "2024-10-27 02:59:59.9999999", "1972-01-07 00:10", "2024-03-10"),
    *("0001-01-01", "0001-01-03 10:00", "9999-12-31 23:59", "9999-12-28 23:59:59.999999", "1970-01-01 00:00:00+05:45"),
    *(
        "1700000000",
        " 1700000000.5 ",
        "-1.5",
        "1e9",
        "1700000000000",
        "9" * 400,
        "0.0",
        "00",
        "10:30",
        "1.05pm",
        "093000",
    ),
    *("2024-02-29 10:00:00.1234567", "2024-02-29 10:00:00.5", "a\0b\0", "\0\0\0", "abcd", "abc\0", "äöüß"),
]


def cells_under(target: PgType) -> st.SearchStrategy[Cell]:
    """Cells that lean on what readings are about, among all others."""
    usual = cells_for(target)
    shift = st.integers(-2, 2)
    return st.one_of(
        st.builds(
            lambda n, by: Cell(StorageClass.INTEGER, max(-(2**63), min(n + by, 2**63 - 1))),
            st.sampled_from(NUMBERS),
            shift,
        ),
        st.builds(Cell, st.just(StorageClass.REAL), st.sampled_from(REALS) | st.sampled_from(NUMBERS).map(float)),
        st.builds(Cell, st.just(StorageClass.TEXT), st.sampled_from(WORDS).map(str.encode)),
        st.builds(Cell, st.just(StorageClass.TEXT), st.sampled_from([b"\xff", b"\xe4bc\0", b"a\xffbcd"])),
        *usual.values(),
    )


@pytest.mark.parametrize("target", TARGETS, ids=str)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_vector_rules_agree_under_every_reading(target: PgType, data: st.DataObject) -> None:
    """Plain and split, whole and sliced: same outcome, value, rule and count."""
    reading = data.draw(readings_for(target))
    cells = data.draw(st.lists(cells_under(target), min_size=1, max_size=9))
    if data.draw(st.integers(0, 2)):
        cells = [cell for cell in cells if isinstance(convert(cell, target, reading), Converted)]
    cells.insert(data.draw(st.integers(0, len(cells))), NULL)
    for read in (split(cells), plain(cells)):
        if read is not None:
            assert_agrees(read, cells, target, reading=reading)
            assert_agrees(sliced(read, 1, 0), cells[1:], target, reading=reading)


@pytest.mark.parametrize("how", [None, *EPOCHS])
@pytest.mark.parametrize("target", [PgType(name) for name in DATED] + [PgType("timestamp", length=3)], ids=str)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_vector_rules_agree_on_every_edge_of_every_epoch(target: PgType, how: str | None, zone: str) -> None:
    """Every number of the list in one column, what is refused apart."""
    reading = Reading(how=how, timezone=zone)
    cells = [
        *(Cell(StorageClass.INTEGER, value) for value in NUMBERS),
        *(Cell(StorageClass.REAL, value) for value in [*REALS, *REAL_EDGES, *map(float, NUMBERS)]),
        *(Cell(StorageClass.TEXT, text.encode()) for text in [*WORDS, *TEXT_EDGES]),
    ]
    kept = [cell for cell in cells if isinstance(convert(cell, target, reading), Converted)]
    for some in (cells, kept):
        for kind in ARROW:
            same = [cell for cell in some if cell.storage is kind]
            column = PlainColumn(array_of(kind, [cell.value for cell in same]))
            assert_agrees(column, same, target, reading=reading)
