"""Verification tells which documents repeat a key, as the coercion rule ``json-duplicate-keys`` has it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.verify.documents.canonical import canonical_documents
from etl.verify.repeated_keys import repeated_keys

REPEATING = [
    b'{"a": 1, "a": 1}',
    b'[{"x": {"k": ":", "k": "::"}}]',
    rb'{"\u003a": 1, ":": 2}',
    rb'{"a": "\u003a", "a": 1}',
    b'{"a": 1, "\\u0061": 2}',
]
SINGLE = [
    b'{"a": 1, "b": {"a": 1}}',
    b'{"a:": "::", "b": [":", {"a": ":"}]}',
    rb'{"a": "\\u003a", "b": 1}',
    rb'{"a": "\u003A\u003a", ":": 2}',
    b"[]",
    b'"::"',
    b"12",
]


def found(documents: list[bytes]) -> list[int]:
    texts = pa.array(documents, pa.binary())
    return repeated_keys(texts, canonical_documents(texts))


@pytest.mark.parametrize("document", REPEATING)
def test_a_document_that_repeats_a_key_is_told(document: bytes) -> None:
    """jsonb drops all but the last: a user must learn of it."""
    assert found([document]) == [0]


@pytest.mark.parametrize("document", SINGLE)
def test_a_document_with_single_keys_is_not(document: bytes) -> None:
    """A rule that is counted where it was not at work makes every count worthless."""
    assert found([document]) == []


def test_the_places_are_told_among_others_and_in_slices() -> None:
    """A sample names the row."""
    documents = [SINGLE[0], REPEATING[0], SINGLE[3], REPEATING[3], SINGLE[1]]
    assert found(documents) == [1, 3]
    texts = pa.array(documents, pa.binary())
    assert repeated_keys(texts[1:], canonical_documents(texts)[1:]) == [0, 2]


_KEYS = st.text(alphabet='a:\\"é', max_size=2)
_VALUES: Any = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a:\\"', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(_KEYS, inner), max_size=3).map(tuple),
    max_leaves=8,
)


def spelled(value: Any, escape: bool) -> str:
    if isinstance(value, tuple):
        return "{" + ",".join(f"{word(key, escape)}:{spelled(item, escape)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(spelled(item, escape) for item in value) + "]"
    return word(value, escape) if isinstance(value, str) else json.dumps(value)


def word(text: str, escape: bool) -> str:
    return json.dumps(text).replace(":", "\\u003a") if escape else json.dumps(text)


def repeats(value: Any) -> bool:
    if isinstance(value, tuple):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(repeats(item) for _, item in value)
    return isinstance(value, list) and any(map(repeats, value))


@given(st.lists(st.tuples(_VALUES, st.booleans()), max_size=6))
def test_random_documents_are_told_right(drawn: list[tuple[Any, bool]]) -> None:
    """The generator knows which keys it wrote twice."""
    documents = [spelled(value, escape).encode() for value, escape in drawn]
    assert found(documents) == [place for place, (value, _) in enumerate(drawn) if repeats(value)]


def test_what_is_no_text_repeats_nothing() -> None:
    """Numbers and SQLite's binary JSON have a canonical form, and no text whose colons could be counted."""
    canonical = pa.array([b'{"a":1}', b"5", b'{"a":1}'], pa.binary())
    assert repeated_keys(pa.array([None, None, b'{"a": 1, "a": 1}'], pa.binary()), canonical) == [2]
