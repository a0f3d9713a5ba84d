"""Short scalars of JSON, proven eight bytes at once: as the pattern proves them."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.verify.documents.respelling import SCALAR
from etl.verify.documents.short_scalars import LONGEST, are_canonical

NEAR = st.text("0123456789.-+eE/:tfn", min_size=1, max_size=LONGEST)
WORDS = st.sampled_from(["true", "false", "null", "nul", "truE", "falsee", "0", "00", "0.", ".0", "0.0", "0.5", "1.50"])
ANY = st.binary(min_size=1, max_size=LONGEST).filter(lambda text: 0 not in text)  # no JSON text holds a NUL


@given(st.lists(NEAR.map(str.encode) | WORDS.map(str.encode) | ANY, min_size=1, max_size=40))
@settings(max_examples=600, deadline=None)
def test_a_short_scalar_is_canonical_exactly_where_the_pattern_says_so(texts: list[bytes]) -> None:
    """One wrong yes, and two documents that differ would be called equal."""
    words = np.array([int.from_bytes(text, "little") for text in texts], np.uint64)
    found = are_canonical(words, np.array(list(map(len, texts)), np.int64))
    pattern = re.compile(SCALAR.replace("$", r"\Z").encode())
    for text, proven in zip(texts, found.tolist(), strict=True):
        assert proven == (pattern.match(text) is not None and not text.startswith(b"-")), text


def test_every_number_of_up_to_four_characters_is_judged_as_the_pattern_does() -> None:
    """All of them: no sample can miss the one that carries into its neighbour."""
    letters = b"0159./:-"
    texts = [b""]
    for _ in range(4):
        texts = [text + bytes([letter]) for text in texts for letter in letters] + texts
    texts = [text for text in set(texts) if text]
    words = np.array([int.from_bytes(text, "little") for text in texts], np.uint64)
    found = are_canonical(words, np.array(list(map(len, texts)), np.int64))
    pattern = re.compile(SCALAR.replace("$", r"\Z").encode())
    assert found.tolist() == [pattern.match(text) is not None and text[:1] != b"-" for text in texts]
