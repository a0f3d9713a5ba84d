"""Progress says what a run does, to a person, a log and a program, and never more than 100 %."""

from __future__ import annotations

import io
import json
import re
import time

import pytest

from etl.progress import HeldProgress, SilentProgress
from etl.shell.bars import BarProgress
from etl.shell.meter import Meter
from etl.shell.progress_lines import JsonProgress, PlainProgress, open_progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def drive(progress: PlainProgress | JsonProgress | BarProgress | SilentProgress) -> None:
    """One load in which the table turns out to be larger than estimated."""
    progress.start_phase("load", 100)
    progress.start_table("orders", 100)
    progress.advance("orders", 80, 8_000)
    progress.advance("orders", 80, 8_000)
    progress.note("a note")
    progress.finish_table("orders")
    progress.finish_phase("load", 1.5)


def test_lines_tell_every_phase_and_every_finished_table() -> None:
    """A log holds the figures of each table and of the phase."""
    stream = io.StringIO()
    drive(PlainProgress(stream, interval_s=0.0))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "load: about 100 rows"
    assert any(line.startswith("load: orders: 160 rows, 15.6 kB in") for line in lines)
    assert lines[-1] == "load: done in 1.50 s"
    assert "note: a note" in lines


def test_an_estimate_that_was_too_low_never_shows_more_than_all() -> None:
    """160 of about 100 rows is said as 100 % of 160."""
    stream = io.StringIO()
    drive(PlainProgress(stream, interval_s=0.0))
    shares = [int(share) for share in re.findall(r"\((\d+)%\)", stream.getvalue())]
    assert shares
    assert max(shares) == 100
    assert "160 of about 160 rows" in stream.getvalue()


def test_lines_come_every_few_seconds_and_not_for_every_page() -> None:
    """A thousand pages in a moment make no thousand lines."""
    stream = io.StringIO()
    progress = PlainProgress(stream, interval_s=60.0)
    progress.start_phase("load", 1000)
    progress.start_table("t", 1000)
    for _ in range(1000):
        progress.advance("t", 1, 1)
    assert len(stream.getvalue().splitlines()) == 1


def test_json_is_one_object_a_line_with_the_event() -> None:
    """A program can follow the run line by line."""
    stream = io.StringIO()
    drive(JsonProgress(stream, interval_s=0.0))
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["event"] for record in records] == [
        "phase_started",
        "table_started",
        "table_advanced",
        "table_advanced",
        "note",
        "table_finished",
        "phase_finished",
    ]
    finished = records[5]
    assert (finished["table"], finished["rows"], finished["total_rows"], finished["bytes"]) == (
        "orders",
        160,
        160,
        16_000,
    )


def test_bars_leave_lines_behind_and_give_the_screen_back() -> None:
    """After the run the cursor is visible and each phase has its line."""
    stream = Terminal()
    with BarProgress(stream) as bars:
        drive(bars)
    text = stream.getvalue()
    assert "load" in text
    assert "160 rows" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_silence_is_silent() -> None:
    """`--progress none` writes nothing."""
    stream = io.StringIO()
    with open_progress("none", stream) as progress:
        drive(progress)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("columns", "shown"), [(100, ("100%", "rows/s", "B/s")), (60, ("100%", "rows/s")), (45, ("100%",))]
)
def test_a_narrow_terminal_leaves_figures_out_and_cuts_none(
    columns: int, shown: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 10… is no 100%."""
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    with BarProgress(stream) as bars:
        bars.start_phase("load", 12_345)
        bars.start_table("a", 12_345)
        bars.advance("a", 12_345, 12_345)
        bars._live.refresh()
    assert "…" not in stream.getvalue()
    assert all(figure in stream.getvalue() for figure in shown)


@pytest.mark.parametrize(("stream", "kind"), [(Terminal(), BarProgress), (io.StringIO(), PlainProgress)])
def test_auto_is_bars_on_a_terminal_and_lines_elsewhere(stream: io.StringIO, kind: type) -> None:
    """A log file gets no escape sequences."""
    with open_progress("auto", stream) as progress:
        assert isinstance(progress, kind)


def test_the_speed_is_that_of_the_last_seconds() -> None:
    """A fast start does not hide a slow present."""
    now = time.monotonic()
    meter = Meter(10_000, started=now - 20)
    for second in range(-20, 1):
        meter.advance(1_000 if second < -10 else 10, 0, now + second)
    assert meter.rows_per_second == pytest.approx(10, rel=0.25)
    assert meter.fraction == 1.0
    assert meter.seconds_left is None


def test_a_page_costs_next_to_nothing() -> None:
    """Thousands of calls a second must not be felt: 20,000 take less than a second."""
    with open_progress("bar", Terminal()) as progress:
        progress.start_phase("load", 20_000)
        progress.start_table("t", 20_000)
        started = time.perf_counter()
        for _ in range(20_000):
            progress.advance("t", 1, 100)
        assert time.perf_counter() - started < 1.0


def test_a_phase_that_began_beside_another_tells_what_is_left_when_its_turn_comes() -> None:
    """Rows that were verified while indexes were built are no rows of the build, nor of the seconds after it."""
    stream = io.StringIO()
    progress = JsonProgress(stream, interval_s=0.0)
    held = HeldProgress(progress)
    progress.start_phase("build", 0)
    for table in ("orders", "items"):
        held.start_table(table, 100)
        held.advance(table, 60, 6_000)
    held.finish_table("items")
    progress.finish_phase("build", 1.0)
    assert held.rows == 120
    progress.start_phase("verify", 80)
    held.release()
    held.advance("orders", 40, 4_000)
    held.finish_table("orders")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    names = ["phase_started", "phase_finished", "phase_started", "table_started", "table_advanced", "table_finished"]
    assert [event["event"] for event in told] == names
    assert {event["table"] for event in told[3:]} == {"orders"}
    assert (told[-1]["rows"], told[-1]["total_rows"], told[-1]["bytes"]) == (40, 40, 4_000)
