"""How large the numbers of a column are and how many decimals they have; in which window of epochs they lie.

Invariant: what a whole page shows at once is not looked at cell by cell; a double is measured by its shortest decimal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from etl.model import PgType, SourceValues, StorageClass
from etl.transform.rows.buffers import as_binary, fixed_values
from etl.transform.rows.epochs import WINDOWS
from etl.transform.rows.parts import parts_of

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float64] | npt.NDArray[np.int64]

MANY_DECIMALS = 9  # so many, or more: counting on would tell nobody anything
ZERO, NO_WINDOW = "zero", "none"
_UNIQUE_DECIMALS = 1e15  # below it, a decimal of 15 digits that reads back as the double is its shortest
_ALL_WHOLE = 2.0**53  # from here on a double has no fraction
_NOISE_DIGITS = 15  # a decimal of 15 digits survives a double: what differs behind them is noise


@dataclass
class Magnitudes:
    """Digits before and after the point; in numeric(p,s), how many numbers would lose more than noise."""

    target: PgType
    before: int = 0
    after: int = 0
    losses: int = 0

    def add_integers(self, integers: npt.NDArray[np.int64]) -> None:
        if integers.size:
            largest = max(abs(int(integers.min())), abs(int(integers.max())))
            self.before = max(self.before, len(str(largest)) if largest else 0)

    def add_reals(self, reals: Doubles) -> None:
        finite = reals[np.isfinite(reals)]
        if not finite.size:
            return
        self.before = max(self.before, _whole_digits(repr(float(np.abs(finite).max()))))
        self._add_decimals(finite)

    def _add_decimals(self, reals: Doubles) -> None:
        """Raise ``after`` until every number has as many decimals; what vectors do not tell is looked at singly."""
        scale = None if self.target.precision is None else self.target.scale or 0
        odd = reals if scale is None else reals[~_has_decimals(reals, scale)]
        if scale is not None and odd.size:
            self.losses += sum(_loses(value, scale) for value in odd.tolist())
            rounded = f"{float(np.abs(odd).max()):.{_NOISE_DIGITS}g}"  # 99.99999999999999 becomes 100
            self.before = max(self.before, _whole_digits(rounded))
        left = reals[~_has_decimals(reals, self.after)]
        while left.size and self.after < MANY_DECIMALS:
            self.after += 1
            left = left[~_has_decimals(left, self.after)]

    def add_texts(self, texts: list[bytes]) -> None:
        """Numbers that are stored as text; what is no number is nobody's measure."""
        scale = self.target.scale or 0
        for text in texts:
            digits = text.strip(b" ").lstrip(b"-")
            whole, _, fraction = digits.partition(b".")
            if not whole.isdigit() or (fraction and not fraction.isdigit()):
                continue
            self.before = max(self.before, len(whole.lstrip(b"0")))
            self.after = max(self.after, min(MANY_DECIMALS, len(fraction.rstrip(b"0"))))
            self.losses += self.target.precision is not None and len(fraction.rstrip(b"0")) > scale


def loses_decimals(values: SourceValues, target: PgType) -> bool:
    """Whether numeric(p,s) would change a number of the column by more than the noise of a double."""
    magnitudes = Magnitudes(target)
    for part in parts_of(values, target):
        if part.storage is StorageClass.REAL:
            magnitudes.add_reals(fixed_values(part.array.drop_null(), np.float64))
        elif part.storage is StorageClass.TEXT:
            magnitudes.add_texts(as_binary(part.array.drop_null()).to_pylist())
    return magnitudes.losses > 0


def _whole_digits(number: str) -> int:
    return len(f"{Decimal(number):f}".partition(".")[0].lstrip("0"))


def _has_decimals(values: Doubles, scale: int) -> npt.NDArray[np.bool_]:
    """Which values have at most ``scale`` decimals, as far as floating point can tell."""
    if scale > 22:
        return np.zeros(len(values), np.bool_)
    factor = 10.0**scale
    with np.errstate(all="ignore"):
        units = np.rint(values * factor)
        known: npt.NDArray[np.bool_] = (units / factor == values) & (np.abs(units) < _UNIQUE_DECIMALS)
        known |= np.abs(values) >= _ALL_WHOLE
    return known


def _decimals(value: float) -> int:
    return max(0, -int(Decimal(repr(value)).normalize().as_tuple().exponent))


def _loses(value: float, scale: int) -> bool:
    """Whether rounding to ``scale`` decimals changes more than what 15 digits show."""
    if _decimals(value) <= scale:
        return False
    return max(0, -int(Decimal(f"{value:.{_NOISE_DIGITS}g}").normalize().as_tuple().exponent)) > scale


@dataclass
class Epochs:
    """Numbers of a date or time column by the window that tells their unit."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, numbers: Numbers) -> None:
        """``zero`` for 0, ``none`` for what lies in no window."""
        left = numbers.size
        zeros = int(np.count_nonzero(numbers == 0))
        self._count(ZERO, zeros)
        left -= zeros
        for low, high, how in WINDOWS:
            if not left:
                return
            found = int(np.count_nonzero((numbers >= low) & (numbers < high)))
            self._count(how, found)
            left -= found
        self._count(NO_WINDOW, left)

    def _count(self, how: str, count: int) -> None:
        if count:
            self.counts[how] += count
