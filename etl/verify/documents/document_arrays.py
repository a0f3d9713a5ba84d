"""JSON arrays that become arrays of documents: their items, cut apart and spelled as the server shows them.

Invariant: an item of a json column is the bytes that were written, of a jsonb column what jsonb_out prints for it,
every digit included; null is NULL.
"""

from __future__ import annotations

import re

from etl.verify.documents.document_tokens import jsonb_document_by_token

BLANKS = b" \t\n\r"
_MARK = re.compile(rb"\"(?:[^\"\\]|\\.)*+\"|[\[\]{},]", re.DOTALL)


def spelled_items(array: bytes, *, is_jsonb: bool) -> list[bytes | None] | None:
    """The items of a JSON array that is not empty, None for null; None where it is no array, or an item no document.

    Whether an item of a json column is JSON is not asked here: the server holds none that is not.
    """
    items = cut_items(array)
    if items is None:
        return None
    spelled = [None if item == b"null" else jsonb_document_by_token(item) if is_jsonb else item for item in items]
    is_missing = any(text is None and item != b"null" for text, item in zip(spelled, items, strict=True))
    return None if is_missing else spelled


def cut_items(array: bytes) -> list[bytes] | None:
    """What stands between the outer brackets and commas, without the blanks around it; None where that is nothing."""
    text = array.strip(BLANKS)
    if not (text.startswith(b"[") and text.endswith(b"]")):
        return None
    items, start, depth = [], 1, 0
    for match in _MARK.finditer(text):
        mark = match[0]
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if (mark == b"," and depth == 1) or depth == 0:
            items.append(text[start : match.start()].strip(BLANKS))
            start = match.end()
        if depth == 0:
            break
    return items if start == len(text) and all(items) else None
