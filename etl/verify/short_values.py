"""Values as a report of differences needs them: whole when they are short, else their beginning, length and hashes.

Invariant: two short forms are equal only when the values are, so that what differs is told by them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import xxhash

SHORT_BYTES = 1 << 16
HEAD_BYTES = 400  # more than any report shows of a value
BLOCK_BYTES = 1 << 12  # whose hash tells where two values differ
HASH_BYTES = 8
SHOWN_DIGITS = 16  # of the 64


@dataclass(frozen=True, slots=True)
class LongValue:
    """A value of more than `SHORT_BYTES`; its bytes are gone."""

    head: bytes
    length: int  # bytes
    sha256: bytes
    blocks: bytes  # the hash of each block, `HASH_BYTES` each

    def __str__(self) -> str:
        return f"({self.length:,} bytes, SHA-256 {self.sha256.hex()[:SHOWN_DIGITS]}…)"


Payload = bytes | LongValue


def head_of(value: LongValue, *, is_text: bool) -> bytes:
    """The beginning of a value; of a text no part of a character."""
    return value.head.decode(errors="ignore").encode() if is_text else value.head


def shortened(value: bytes | memoryview) -> Payload:
    """The value itself when it is short."""
    if len(value) <= SHORT_BYTES:
        return bytes(value)
    blocks = (value[start : start + BLOCK_BYTES] for start in range(0, len(value), BLOCK_BYTES))
    hashes = b"".join(map(xxhash.xxh3_64_digest, blocks))
    return LongValue(bytes(value[:HEAD_BYTES]), len(value), sha256(value).digest(), hashes)


def first_other_block(left: LongValue, right: LongValue) -> int:
    """The number, from 0, of the first block in which two different values differ."""
    blocks = max(len(left.blocks), len(right.blocks)) // HASH_BYTES
    at = ((number * HASH_BYTES, (number + 1) * HASH_BYTES) for number in range(blocks))
    return next(number for number, (start, end) in enumerate(at) if left.blocks[start:end] != right.blocks[start:end])
