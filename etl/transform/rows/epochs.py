"""Dates and times held as numbers: what each reading counts, and from when.

Invariant: whole numbers and their ratios only; a number is rounded once, to the unit that the target keeps, half to
even.
"""

from __future__ import annotations

from typing import NamedTuple

from etl.model import StorageClass
from etl.transform.rows.gregorian import DAY_US
from etl.transform.rows.numerals import PLAIN_DECIMAL, shortest_digits
from etl.transform.rows.rendering import SourceValue

SECOND_US = 1_000_000
LONGEST_NUMBER = 400  # digits of a text that is taken for a number


class Epoch(NamedTuple):
    """A count of units since an origin: ``unit_us`` ÷ ``divisor`` microseconds each, from ``origin_us`` (1970 is 0).

    The number 0 is ``zero_us``, where that is not the origin.
    """

    unit_us: int
    divisor: int = 1
    origin_us: int = 0
    zero_us: int | None = None


EPOCHS = {
    "epoch-s": Epoch(SECOND_US),
    "epoch-ms": Epoch(1_000),
    "epoch-us": Epoch(1),
    "epoch-ns": Epoch(1, 1_000),
    "epoch-ticks": Epoch(1, 10, -719_162 * DAY_US),  # .NET: 100 ns since 0001-01-01
    "epoch-webkit": Epoch(1, 1, -134_774 * DAY_US),  # microseconds since 1601-01-01
    "epoch-2001": Epoch(SECOND_US, 1, 11_323 * DAY_US),  # Core Data: seconds since 2001-01-01
    # days since noon of 4714-11-24 BC, which nobody means by 0
    "julian": Epoch(DAY_US, 1, -2_440_587 * DAY_US - DAY_US // 2, zero_us=0),
}
COUNTS = {"seconds": Epoch(SECOND_US), "us": Epoch(1)}  # of time(s) and intervals, which have no origin
COUNTED = EPOCHS | COUNTS

# The first instant of a timestamp (timestamp.h: MIN_TIMESTAMP), and the end of 64-bit microseconds since 1970.
FIRST_INSTANT, END_OF_INSTANTS = -2_440_588 * DAY_US, 2**63

# Where a number alone tells its unit (windows of COERCION §2): lowest, below, reading.
WINDOWS = (
    (2_400_000, 2_600_000, "julian"),
    (10**8, 7_260_000_000, "epoch-s"),
    (10**11, 7_260_000_000_000, "epoch-ms"),
    (10**14, 7_260_000_000_000_000, "epoch-us"),
    (11 * 10**15, 16 * 10**15, "epoch-webkit"),
    (5 * 10**17, 7 * 10**17, "epoch-ticks"),
    (10**18, 7_260_000_000_000_000_000, "epoch-ns"),
)


def likely_epoch(value: float) -> str | None:
    """The reading whose window a number lies in, for a hint."""
    return next((how for low, high, how in WINDOWS if low <= value < high), None)


def exact_ratio(value: SourceValue, storage: StorageClass) -> tuple[int, int] | None:
    """A number as numerator and denominator, by its shortest decimal form; None for what is no finite number.

    TEXT counts as a number when it is a plain decimal; blanks around it do not count.
    """
    if storage is StorageClass.INTEGER and isinstance(value, int):
        return value, 1
    if isinstance(value, float):
        if value - value != 0:  # infinity
            return None
        digits = shortest_digits(value)
        number = int(digits.whole + digits.fraction or "0")
        return -number if digits.negative else number, 10 ** len(digits.fraction)
    if storage is not StorageClass.TEXT or not isinstance(value, bytes) or len(value) > LONGEST_NUMBER:
        return None
    match = PLAIN_DECIMAL.fullmatch(value)
    if match is None:
        return None
    fraction = match[3] or b""
    number = int(match[2] + fraction)
    return -number if match[1] else number, 10 ** len(fraction)


def micros_of(ratio: tuple[int, int], epoch: Epoch, decimals: int = 6) -> int:
    """Microseconds since 1970, rounded half to even to this many decimals of a second."""
    if ratio[0] == 0 and epoch.zero_us is not None:
        return epoch.zero_us
    grain: int = 10 ** (6 - decimals)
    units = divide(
        ratio[0] * epoch.unit_us + epoch.origin_us * ratio[1] * epoch.divisor, ratio[1] * epoch.divisor * grain
    )
    return units * grain


def divide(number: int, by: int) -> int:
    """The quotient, rounded half to even; ``by`` is positive."""
    quotient = number // by
    rest = number - quotient * by
    up = 2 * rest > by or (2 * rest == by and quotient % 2 == 1)
    return quotient + up
