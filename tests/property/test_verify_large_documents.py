"""Large documents: cut into stretches and put together again, they are what the specification writes."""

from __future__ import annotations

from random import Random

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.verify.documents.document_tokens import canonical_document_by_token
from etl.verify.documents.large_documents import canonical_large_document
from tests.random_documents import changed, spelled


@given(st.integers(0, 1 << 32), st.sampled_from((16, 40, 150)), st.sampled_from((0.0, 0.0, 0.02)))
@settings(max_examples=200, deadline=None)
def test_a_document_in_stretches_is_the_one_that_the_specification_writes(seed: int, stretch: int, odd: float) -> None:
    """Wherever the cuts fall; and what is no document is none."""
    random = Random(seed)
    text = spelled(random, random.randrange(1, 6), odd).encode()
    if random.random() < 0.2:
        text = changed(text, random)
    assert canonical_large_document(text, stretch) == canonical_document_by_token(text)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 3000 + b"1.0,2" + b"]" * 3000,
        b'{"a":' * 400 + b'{"b":1,"a":2}' + b',"a":3}' * 400,
        b'["' + b'x,{"'.replace(b'"', b"'") * 40 + b'", 1.0]',
        b'"' + b"e1,0" * 40 + b'"',
        b" [ ] ",
        b"",
        b" ",
        b"1,2",
        b"[1],[2]",
        b'{"a":[1,2,3,4,5,6,7,8,9],"b"}',
        b'{"a":[1,2,3,4,5,6,7,8,9],"b":}',
        b"[[1,2,3,4,5,6,7,8,9],]",
        b"[[1,2,3,4,5,6,7,8,9] [1,2,3,4,5,6,7,8,9]]",
        b"[,[1,2,3,4,5,6,7,8,9]]",
        b"[[1,2,3,4,5,6,7,8,9]}",
        b"[[1,2,3,4,5,6,7,8,9]",
        b"[1,2,3,4,5,6,7,8,9]]",
    ],
)
@pytest.mark.parametrize("stretch", [4, 16])
def test_what_reaches_over_a_cut_is_looked_at_as_closely_as_the_rest(text: bytes, stretch: int) -> None:
    """Brackets and commas there are seen by no parser but this one."""
    assert canonical_large_document(text, stretch) == canonical_document_by_token(text)


async def test_what_jsonb_makes_of_a_document_is_the_same_document(database_dsn: str) -> None:
    """Its order of keys, its spaces, its escapes and its last of equal keys; every digit but the zeros at the end."""
    texts = [spelled(Random(seed), 5, 0.0) for seed in range(150)]
    connection = await asyncpg.connect(database_dsn)
    try:
        found = await connection.fetch("select t::jsonb::text as sent from unnest($1::text[]) t", texts)
    finally:
        await connection.close()
    wanted = [canonical_document_by_token(text.encode()) for text in texts]
    assert [canonical_large_document(row["sent"].encode(), 40) for row in found] == wanted
