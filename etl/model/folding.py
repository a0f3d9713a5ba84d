"""Names as SQLite compares them and PostgreSQL reads them without quotes: ASCII letters in lower case, no others."""

from __future__ import annotations


def fold(name: str) -> str:
    """The name with its ASCII letters in lower case; bytes that are no UTF-8 (lone surrogates) stay as they are."""
    return name.lower() if name.isascii() else "".join(char.lower() if char.isascii() else char for char in name)
