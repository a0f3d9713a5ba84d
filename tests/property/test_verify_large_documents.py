"""Large documents: cut into stretches and put together again, they are what the specification writes."""

from __future__ import annotations

from random import Random

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.verify.document_tokens import canonical_document_by_token
from etl.verify.large_documents import canonical_large_document

KEYS = (
    '"a"',
    '"b"',
    '"Z"',
    '"é"',
    '"😀"',
    '"ab"',
    '"a b"',
    '"a\\"b"',
    '"a!"',
    '"a#"',
    '"\\u0061"',
    '"{"',
    '""',
    '"\\\\"',
    '"\\n"',
)
SCALARS = (
    *("true", "false", "null", "0", "-0", "7", "-12", "1.0", "1.00", "2.50", "1e3", "-1.5E-7", "0.0001", "-0.0"),
    *("12345678901234567890.5", "0.1234567890123456789", "9007199254740993", '"1.0"', '"-0, 1e5"', '"\\u00e9\\/"'),
    *('""', '"данные 🚀"', '"], ["', '"{,}"', '"a\\\\"', '"\\\\\\""', '"\\ud83d\\ude00"', '"' + "x" * 60 + '"'),
)
ODD = (
    "1.0:",
    "01",
    "1.0.0",
    "--1",
    '"\\ud800"',
    "tru",
    "[1}",
    ",",
    "]",
    "}",
    '"',
    "\\",
    ":",
    "{1.0:2}",
    '{"a" 1}',
    "[1 2]",
    "1e999999",
    '"\x01"',
)


def spelled(random: Random, depth: int, odd: float) -> str:
    """A document of any shape; with ``odd`` more than 0 perhaps none."""
    if random.random() < odd:
        return random.choice(ODD)
    kind = random.random()
    if depth == 0 or kind < 0.3:
        return random.choice(SCALARS)
    comma, colon = random.choice(((",", ":"), (", ", ": "), (" ,\n", " :\t")))
    items = [spelled(random, depth - 1, odd) for _ in range(random.choice((0, 1, 3, 12)))]
    if kind < 0.6:
        return "[" + comma.join(items) + "]"
    return "{" + comma.join(f"{random.choice(KEYS)}{colon}{item}" for item in items) + "}"


@given(st.integers(0, 1 << 32), st.sampled_from((16, 40, 150)), st.sampled_from((0.0, 0.0, 0.02)))
@settings(max_examples=200, deadline=None)
def test_a_document_in_stretches_is_the_one_that_the_specification_writes(seed: int, stretch: int, odd: float) -> None:
    """Wherever the cuts fall; and what is no document is none."""
    random = Random(seed)
    text = spelled(random, random.randrange(1, 6), odd).encode()
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
