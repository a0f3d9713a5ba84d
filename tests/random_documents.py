"""JSON documents of any shape and spelling, and texts that are nearly some."""

from __future__ import annotations

from random import Random

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


def changed(text: bytes, random: Random) -> bytes:
    """The text with a byte less or more, at one or two places."""
    changed = bytearray(text)
    for _ in range(random.randrange(1, 3)):
        place = random.randrange(len(changed) + 1)
        if random.random() < 0.5:
            del changed[place : place + 1]
        else:
            changed.insert(place, random.choice(b'{}[],:"\\ 0-1e.'))
    return bytes(changed)
