"""The COLLATE clauses inside an expression, and the same expression with each of them turned into something visible.

The planner drops COLLATE from what it prints, so two expressions that differ in nothing else look alike there. A chain
of casts in place of the clause, which says by its figures which collation it was, is printed like any other part; it
binds as tightly as COLLATE does, and a cast to timestamptz is never worked out beforehand, not even of a constant.

Invariant: nothing inside a literal or a quoted name is taken for a clause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_LITERAL = r"""(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'"""
_CLAUSE = rf"(?<![\w$])collate(?![\w$])\s*(?P<name>{_NAME}(?:\s*\.\s*{_NAME})*)"
_TOKENS = re.compile(rf'{_LITERAL}|{_CLAUSE}|"(?:[^"]|"")*"', re.IGNORECASE | re.DOTALL)
_FIGURES = 6  # decimals that timestamptz(n) may have less than by itself


def collations_in(sql: str) -> list[str]:
    """The collations that COLLATE clauses name, in their order; without the name of the system's schema."""
    return [_plain(found["name"]) for found in _TOKENS.finditer(sql) if found["name"]]


def with_casts(sql: str, numbers: Mapping[str, int]) -> str:
    """``sql`` with casts in place of its COLLATE clauses, by the number of each collation."""
    return _TOKENS.sub(lambda found: _cast(numbers[_plain(found["name"])]) if found["name"] else found[0], sql)


def _plain(name: str) -> str:
    parts = [part if part.startswith('"') else f'"{part.lower()}"' for part in re.findall(_NAME, name)]
    return ".".join(parts[1:] if parts[0] == '"pg_catalog"' else parts)


def _cast(number: int) -> str:
    """A chain of casts that no other number has: its digits, as decimals of timestamptz."""
    digits = [number % _FIGURES]
    while number := number // _FIGURES:
        digits.append(number % _FIGURES)
    return "".join(f"::text::timestamptz({digit})" for digit in digits) + "::text"
