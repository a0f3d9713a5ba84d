"""The scalar rules for types that are written in a notation of their own: bit strings, money, XML, enum labels.

Invariant: what is given to the server is text that it reads as exactly the source's value.
"""

from __future__ import annotations

import re
from decimal import Decimal
from xml.parsers import expat

from etl.model import PLAIN_READING, PgType, StorageClass
from etl.transform.rows.characters import text_from_text
from etl.transform.rows.numerals import numeric_from_integer, numeric_from_real, numeric_from_text
from etl.transform.rows.outcomes import Converted, Outcome, Refused, refuse
from etl.transform.rows.rendering import SourceValue

_BITS = re.compile(rb"[01]*")
_DECLARATION = re.compile(rb"<\?xml\s[^>]*\?>")
_MONEY = PgType("numeric", precision=19, scale=2)
_MOST_CENTS = 2**63
_SHOWN_LABELS = 8


def bits_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for zeros and ones: n of them for ``bit(n)``, at most n for ``varbit(n)``; ``bit`` alone is ``bit(1)``."""
    if _BITS.fullmatch(value) is None:
        return refuse(value, StorageClass.TEXT, target)
    length = 1 if target.name == "bit" and target.length is None else target.length
    if length is not None and (len(value) > length or (target.name == "bit" and len(value) < length)):
        return refuse(value, StorageClass.TEXT, target, f"has {len(value)} bits, {target} has {length}", "varbit")
    return Converted(value.decode())


def money_from_integer(value: int, target: PgType) -> Outcome:
    """Exact where it is in range."""
    return _money(value, StorageClass.INTEGER, numeric_from_integer(value, _MONEY), target)


def money_from_real(value: float, target: PgType) -> Outcome:
    """As numeric(19,2): ``rounded`` where it has more than two decimals."""
    return _money(value, StorageClass.REAL, numeric_from_real(value, _MONEY), target)


def money_from_text(value: bytes, target: PgType) -> Outcome:
    """As numeric(19,2)."""
    return _money(value, StorageClass.TEXT, numeric_from_text(value, _MONEY), target)


def _money(value: SourceValue, storage: StorageClass, outcome: Outcome, target: PgType) -> Outcome:
    if isinstance(outcome, Refused) or not isinstance(outcome.value, Decimal):
        return refuse(value, storage, target)
    if not -_MOST_CENTS <= outcome.value * 100 < _MOST_CENTS:
        return refuse(value, storage, target, f"is out of range for {target}", "numeric")
    return Converted(str(outcome.value), outcome.rule)


def xml_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for a well-formed document, or content as it stands inside one."""
    text = text_from_text(value, PgType("text"), PLAIN_READING)
    if isinstance(text, Refused):
        return text
    inside = _DECLARATION.sub(b"", value, count=1) if value.startswith(b"<?xml") else value
    if _is_document(value) or _is_document(b"<content>%s</content>" % inside):
        return text
    return refuse(value, StorageClass.TEXT, target, "is not well-formed XML")


def _is_document(text: bytes) -> bool:
    try:
        expat.ParserCreate("UTF-8").Parse(text, True)
    except expat.ExpatError:
        return False
    return True


def label_from_text(value: bytes, target: PgType) -> Outcome:
    """Exact for a label of the enum."""
    label = value.decode(errors="replace")
    if label in target.labels:
        return Converted(label)
    problem, flag = no_label(target)
    return refuse(value, StorageClass.TEXT, target, problem, flag=flag)


def no_label(target: PgType) -> tuple[str, str]:
    """What is wrong with a text that the enum has not, and the statement that gives it one."""
    shown = ", ".join(target.labels[:_SHOWN_LABELS]) + (", …" if len(target.labels) > _SHOWN_LABELS else "")
    return f"is no label of {target} ({shown})", f"alter type {target} add value …"
