"""Large JSON texts, looked at in stretches: what is sure is good, and what is good is sure."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.transform.rows.json_vectors import _has_single_keys
from etl.transform.rows.large_json import is_sure
from tests.random_documents import changed, spelled


def judged(text: bytes) -> tuple[bool, bool]:
    """Whether orjson reads it, and whether no object of it repeats a key."""
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) < len(pairs)

    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False, False
    json.loads(text, object_pairs_hook=look)
    return True, not repeated


@given(st.integers(0, 1 << 32), st.sampled_from((2, 16, 40, 150)), st.sampled_from((0.0, 0.02)))
@settings(max_examples=200, deadline=None)
def test_stretches_say_what_the_whole_text_says(seed: int, stretch: int, odd: float) -> None:
    """A text that passes goes to the server unread, and a repeated key that passes is counted by nobody."""
    random = Random(seed)
    text = spelled(random, random.randrange(1, 6), odd).encode()
    if random.random() < 0.5:
        text = changed(text, random)
    data = np.frombuffer(text, np.uint8)
    assert (is_sure(data, None, stretch), is_sure(data, _has_single_keys, stretch)) == judged(text)


@pytest.mark.parametrize(
    "text",
    [
        b"[1,2,3,]",
        b"[,1,2,3]",
        b"[[,1,2,3]]",
        b'{"a":1,"b":[1,2],}',
        b"[1,2,3],[1,2,3]",
        b"[1,2,3] [1,2,3]",
        b"[[1,2,3},4,5]",
        b'[{"a":1,"b":2],{"a":1,"b":2}]',
        b'{"a":1,2,"b":3}',
        b'["a":1,"b":2]',
        b"[1,2,3",
        b"1,2,3]",
    ],
)
@pytest.mark.parametrize("stretch", [2, 4, 8])
def test_what_is_wrong_at_a_cut_is_not_hidden_by_the_brackets_put_there(text: bytes, stretch: int) -> None:
    """A stretch is read between brackets that are not its own."""
    assert not is_sure(np.frombuffer(text, np.uint8), None, stretch)
