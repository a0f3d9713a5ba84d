"""Numbers that a TEXT spells, with all of their digits.

Invariant: blanks around a number do not count, every digit does; a text beyond every numeric is no number.
"""

from __future__ import annotations

import re
from decimal import Decimal

from etl.model import StorageClass

SPACES = b" \t\n\r\f\v"
NUMBER_TEXT = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
MAX_DIGITS = 200_000  # more than any numeric has


def number_of_text(storage: StorageClass, value: bytes) -> Decimal | None:
    """The number that a TEXT spells, where it is of a size that numeric can have."""
    trimmed = value.strip(SPACES)
    if storage is not StorageClass.TEXT or len(trimmed) > MAX_DIGITS or not NUMBER_TEXT.fullmatch(trimmed):
        return None
    number = Decimal(trimmed.decode())
    return number if not number or abs(number.adjusted()) <= MAX_DIGITS else None
