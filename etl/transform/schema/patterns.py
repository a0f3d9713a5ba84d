"""Translate LIKE and GLOB with a constant pattern.

Invariant: SQLite's LIKE folds ASCII letters and knows no escape character but the one that is named; its GLOB becomes
a regular expression in which every character but letters and digits stands as its code point.
"""

from __future__ import annotations

from etl.transform.schema.names import quote_text
from etl.transform.schema.syntax import Untranslatable

MAX_PATTERN = 1_000  # characters; PostgreSQL compiles a regular expression, SQLite none


def translate_like(subject: str, pattern: str, escape: str | None) -> str:
    """``subject like pattern`` for a text operand's SQL. Raises Untranslatable."""
    if escape is not None and (len(escape) != 1 or escape.isalnum() or escape in "%_"):
        raise Untranslatable(f"LIKE … ESCAPE {escape!r} is not translated")
    if escape is not None and (len(pattern) - len(pattern.rstrip(escape))) % 2:
        raise Untranslatable("a LIKE pattern that ends with its escape character is an error in PostgreSQL")
    folded = "".join(char.lower() if char.isascii() else char for char in pattern)
    return f'lower({subject} collate "C") like {quote_text(folded)} escape {quote_text(escape or "")}'


def translate_glob(subject: str, pattern: str) -> str:
    """``subject glob pattern`` for a text operand's SQL. Raises Untranslatable."""
    if len(pattern) > MAX_PATTERN:
        raise Untranslatable(f"a GLOB pattern of {len(pattern)} characters is not translated")
    return f'{subject} collate "C" ~ {quote_text(f"^{glob_expression(pattern)}$")}'


def glob_expression(pattern: str) -> str:
    """The pattern as a regular expression of PostgreSQL (an ARE)."""
    parts, place = [], 0
    while place < len(pattern):
        char = pattern[place]
        if char == "[":
            part, place = _character_class(pattern, place)
            parts.append(part)
            continue
        parts.append({"*": ".*", "?": "."}.get(char) or code_point(char))
        place += 1
    return "".join(parts)


def _character_class(pattern: str, opening: int) -> tuple[str, int]:
    """``[…]`` and the place behind it; a ] that comes first is a character, as is a - at either end."""
    place = opening + 1
    negated = pattern[place : place + 1] == "^"
    place += negated
    first = place
    closing = pattern.find("]", first + 1)
    if closing < 0:
        raise Untranslatable("a GLOB class that is not closed matches nothing")
    inside, ranges = pattern[first:closing], []
    place = 0
    while place < len(inside):
        low = high = inside[place]
        if inside[place + 1 : place + 2] == "-" and place + 2 < len(inside):
            high = inside[place + 2]
            place += 2
        if low > high:
            raise Untranslatable(f"the GLOB range {low}-{high} holds no character")
        ranges.append(code_point(low) if low == high else f"{code_point(low)}-{code_point(high)}")
        place += 1
    return f"[{'^' if negated else ''}{''.join(ranges)}]", closing + 1


def code_point(char: str) -> str:
    """A character that means only itself, outside a class and inside."""
    if char.isascii() and char.isalnum():
        return char
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
