"""Canonical documents: one spelling for one document, exact to the last digit."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from etl.verify.documents.canonical import (
    DOUBTFUL,
    canonical_document,
    canonical_documents,
)
from etl.verify.documents.document_tokens import canonical_document_by_token

SAME = {
    "spaces": (b' { "a" : [ 1 , 2 ] } ', b'{"a":[1,2]}'),
    "key order by UTF-8 bytes": ('{"é":1,"z":2,"😀":3,"Z":4}'.encode(), '{"Z":4,"z":2,"é":1,"😀":3}'.encode()),
    "the last of equal keys": (b'{"a":1,"b":2,"a":3}', b'{"a":3,"b":2}'),
    "escaped and plain keys": (b'{"\\u0061":1,"a":2}', b'{"a":2}'),
    "whole numbers": (b"[1.0,1,10e-1,0.1e1,100E-2]", b"[1,1,1,1,1]"),
    "zeros": (b"[0,-0,0.0,-0.0,0e9]", b"[0,0,0,0,0]"),
    "decimals": (b"[1.50,1.5,15e-1,-0.10]", b"[1.5,1.5,1.5,-0.1]"),
    "exponents": (b"[1e3,1E+20,1e-7]", b"[1000,100000000000000000000,0.0000001]"),
    "more digits than a double": (b"[12345678901234567890.123456789]", b"[12345678901234567890.123456789]"),
    "nearly equal integers": (b"[9007199254740993]", b"[9007199254740993]"),
    "escapes": (rb'["\u00e9\/\u000a\u001F\""]', '["é/\\n\\u001f\\""]'.encode()),
    "a pair of surrogates": (rb'["\ud83d\ude00"]', '["😀"]'.encode()),
    "digits in a text": (b'["1.0","1e5","12345678901234567890"]', b'["1.0","1e5","12345678901234567890"]'),
    "scalars": (b" null ", b"null"),
    "deep": (b"[" * 3000 + b"1.0" + b"]" * 3000, b"[" * 3000 + b"1" + b"]" * 3000),
    "deep without doubt": (b"[" * 3000 + b"]" * 3000, b"[" * 3000 + b"]" * 3000),
}


@pytest.mark.parametrize("case", SAME)
def test_a_document_has_one_canonical_form(case: str) -> None:
    """One by one and in bulk."""
    text, expected = SAME[case]
    assert canonical_document(text) == expected
    assert canonical_documents(pa.array([b"{}", text, b"1"], pa.binary())).to_pylist() == [b"{}", expected, b"1"]


NO_DOCUMENTS = [
    *(b"", b" ", b"NaN", b"[Infinity]", b"[1,]", b'{"a":1,}', b"{'a':1}", b"[01]", b"[+1]", b"[.5]", b"[1.]", b"[1 2]"),
    *(b'{"a" 1}', b'{"a":1 "b":2}', b"{1:2}", b"tru", b"nulll", b"1 2", b"[1]]", b'"a', b'["\n"]', b'"\\x"'),
    *(b'["\\ud800"]', b'["\xff"]', b'{"a"}', b"{,}", b"[,]", b'{"a"::1}', b"[1e999999]", b"[-]", b"]", b'{"a":1]'),
]


@pytest.mark.parametrize("text", NO_DOCUMENTS)
def test_what_is_no_document_has_no_canonical_form(text: bytes) -> None:
    """RFC 8259 to the letter, Unicode characters only, numbers that PostgreSQL can hold; between good ones too."""
    assert canonical_document(text) is None
    assert canonical_documents(pa.array([b"1", text, b"[2.0]"], pa.binary())).to_pylist() == [b"1", None, b"[2]"]


def test_no_documents_at_all() -> None:
    """An empty column is an empty column."""
    assert canonical_documents(pa.array([], pa.binary())).to_pylist() == []


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        (rb'{"a":"2024-01-05T12:00:00.000Z","b":"00000000-0000-4000","c":"\u00e9 x","d":"v1.0"}', False),
        (rb'[1,-1,0.5,-0.5,10.25,"-0","1e5x"]', False),
        *(
            (text, True)
            for text in (b"[-0]", b"-0", b"[1, -0 ]", b"1e5", b"[-1E5]", b'{"a":1.5e-7}', b"[1.0]", b"-2.00")
        ),
        *(
            (text, True)
            for text in (b"[0.0001]", b"-0.00012", b'{"a":\n-0.0}', b"[1234567890123456]", b"[0.1234567890123456]")
        ),
    ],
)
def test_only_numbers_raise_doubts(text: bytes, doubtful: bool) -> None:
    """The exact path costs ten times the fast one; dates, keys and accents inside strings need none of it."""
    assert (re.search(DOUBTFUL.encode(), text) is not None) is doubtful
    assert canonical_document(text) == canonical_document_by_token(text)
