"""Keeps passwords out of everything that is printed or written.

Invariant: what this module returns holds no password that the run knows of; where a DSN is malformed it hides too
much rather than too little.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, unquote_plus

MASK = "***"

# In a URI the password runs from the first colon of the authority to the *last* at-sign: a raw '@', '/' or '?' in it
# is malformed, and frequent.
_URI_PASSWORD = re.compile(r"(\w[\w+.-]*://[^:@/?\s]*:)(.*)(?=@)", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"([?&](?:password|passwd|sslpassword)=)([^&\s]*)", re.IGNORECASE)
_KEYWORD_PASSWORD = re.compile(
    r"(\b(?:password|passwd|sslpassword)\s*=\s*)('(?:\\.|[^'\\])*'?|(?:\\.|[^\s'\\])+)", re.IGNORECASE | re.DOTALL
)
_SHORTEST = 4  # a shorter secret, taken out of a sentence wherever it occurs, would leave no sentence


def mask_dsn(dsn: str) -> str:
    """The DSN, URI or keyword form, with ``***`` in place of every password."""
    if "://" in dsn:
        return _QUERY_PASSWORD.sub(rf"\g<1>{MASK}", _URI_PASSWORD.sub(rf"\g<1>{MASK}", dsn))
    return _KEYWORD_PASSWORD.sub(rf"\g<1>{MASK}", dsn)


def find_secrets(dsn: str, environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Every spelling of every password in the DSN and in ``PGPASSWORD``: as written, and decoded."""
    found: set[str] = set()
    if "://" in dsn:
        written = [match[2] for match in _URI_PASSWORD.finditer(dsn)]
        written += [match[2] for match in _QUERY_PASSWORD.finditer(dsn)]
        for text in written:
            found |= {text, unquote(text), unquote_plus(text)}
    else:
        for match in _KEYWORD_PASSWORD.finditer(dsn):
            text = match[2]
            bare = text[1:].removesuffix("'") if text.startswith("'") else text
            found |= {text, bare, re.sub(r"\\(.)", r"\1", bare)}
    found.add(environment.get("PGPASSWORD", ""))
    return frozenset(found - {"", MASK})


def redact(text: str, dsns: Iterable[str], environment: Mapping[str, str] = os.environ) -> str:
    """The text without any password of these DSNs, however a driver's message may have quoted it."""
    for dsn in dsns:
        if dsn:
            text = text.replace(dsn, mask_dsn(dsn))
        for secret in sorted(find_secrets(dsn, environment), key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, MASK)
    return text
