"""Documents of whole columns, respelled by their shapes: as the specification and as PostgreSQL spell them."""

from __future__ import annotations

from random import Random
from typing import Any

import asyncpg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.verify.documents.canonical import canonical_document
from etl.verify.documents.document_tokens import canonical_document_by_token
from etl.verify.documents.respelling import respell

SCALARS = (
    *("true", "false", "null", "0", "7", "-12", "123456", "2.5", "-0.25", "12345678901234567890.5", "0.000001"),
    *('"x"', '""', '"данные 🚀"', '", "', '": "', '"{\\"a\\": 1}"', '"a\\\\b"', '"\\\\"', '"line\\nbreak"', '"[1, 2]"'),
)
ODD_SCALARS = ("1.0", "-0", "1e3", "2.50", '"\\u00e9"', '"\\/"', '"\\u001f"', "[1, 2, 3]", "{}", "[]", '{"a": 1}')
KEYS = ('"a"', '"b"', '"Z"', '"é"', '"ab"', '"zz"', '"a b"', '"key, with: marks"', '"a\\"b"', '"😀"')


def template(random: Random, depth: int = 0) -> Any:
    """A document with None where its scalars go; keys are spelled already."""
    kind = random.random()
    if depth > 2 or kind < 0.4 * depth:
        return None
    if kind < 0.8:
        return {key: template(random, depth + 1) for key in random.sample(KEYS, random.randrange(5))}
    return [template(random, depth + 1) for _ in range(random.randrange(3))]


def spelled(shape: Any, random: Random, odd: float, comma: str, colon: str) -> str:
    if shape is None:
        return random.choice(ODD_SCALARS if random.random() < odd else SCALARS)
    if isinstance(shape, dict):
        members = (f"{key}{colon}{spelled(value, random, odd, comma, colon)}" for key, value in shape.items())
        return "{" + comma.join(members) + "}"
    return "[" + comma.join(spelled(value, random, odd, comma, colon) for value in shape) + "]"


def documents(random: Random, count: int = 60) -> list[bytes]:
    """A column that a few pieces of code have written, now and then with an odd scalar."""
    shapes = [template(random) for _ in range(random.choice((1, 1, 2, 5)))]
    styles = random.choices(((", ", ": "), (",", ":"), (" , ", " :"), (",  ", ":")), k=len(shapes))
    odd = random.choice((0, 0, 0.01, 0.2))
    return [
        spelled(shapes[which], random, odd, *styles[which]).encode()
        for which in random.choices(range(len(shapes)), k=count)
    ]


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_a_respelled_document_is_the_one_that_the_specification_writes(random: Random) -> None:
    """Whatever shapes the column has: nothing may depend on which path a document took."""
    texts = documents(random)
    respelled = respell(pa.array(texts, pa.binary()))
    if respelled is not None:
        assert respelled.canonical.to_pylist() == [canonical_document_by_token(text) for text in texts]
        exact = [canonical_document(sent[1:]) for sent in respelled.jsonb.to_pylist()]
        assert exact == respelled.canonical.to_pylist()


NO_DOCUMENTS = [
    b'{"a": 1,}',
    b'{"a": 01}',
    b'{"a": +1}',
    b'{"a": "x"}"',
    b'{"a": tru}',
    b'{"a": 1}}',
    b'{"a": }',
    b'{"a" 1}',
]
NO_DOCUMENTS += [
    b'{"a": "\xff"}',
    b'{"a": "\n"}',
    b'{"a": "\x00"}',
    b'{"a": "\\x"}',
    b'{"a": "x\\"}',
    b'{"a": 1 2}',
    b"",
    b"\\",
]


@pytest.mark.parametrize("text", NO_DOCUMENTS)
@pytest.mark.parametrize("others", [b'{"a": 1}', b'{"a": "x"}', b'{"a": true}'])
def test_what_is_no_document_is_not_respelled(text: bytes, others: bytes) -> None:
    """It must get a length that no field has, and a shape that takes it in would give it one that some field has."""
    for texts in ([others] * 40 + [text] + [others] * 40, [text] + [others] * 40, [others] * 40 + [text]):
        assert respell(pa.array(texts, pa.binary())) is None


async def test_jsonb_is_sent_as_it_was_foretold(database_dsn: str) -> None:
    """Equal bytes are what makes documents cheap: a wrong forecast costs three times the work, each time."""
    foretold = 0
    connection = await asyncpg.connect(database_dsn)
    try:
        for seed in range(60):
            texts = documents(Random(seed))
            respelled = respell(pa.array(texts, pa.binary()))
            if respelled is not None:
                listed = [text.decode() for text in texts]
                found = await connection.fetch("select jsonb_send(t::jsonb) as sent from unnest($1::text[]) t", listed)
                assert respelled.jsonb.to_pylist() == [row["sent"] for row in found], seed
                foretold += 1
    finally:
        await connection.close()
    assert foretold > 15
