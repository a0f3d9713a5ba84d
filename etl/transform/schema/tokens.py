"""Cut SQLite's SQL text into tokens, which is all that its CREATE statements need to be followed.

Invariant: every character of the text is in one token, or in the spaces and comments between two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TOKEN = re.compile(
    r"""(?P<space>[ \t\n\f\r]+|--[^\n]*|/\*.*?(?:\*/|$))
      | (?P<string>'(?:[^']|'')*')
      | (?P<blob>[xX]'[0-9a-fA-F]*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^]]*\])
      | (?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?\w*)
      | (?P<word>(?:[^\W\d]|[^\x00-\x7f])(?:[\w$]|[^\x00-\x7f])*)
      | (?P<sign>\|\||->>|->|<<|>>|<=|>=|==|!=|<>|[^\w\s])""",
    re.VERBOSE | re.DOTALL,
)


class UnreadableDefinition(Exception):  # noqa: N818 - nothing has failed: the text is reported as it is
    """The text is not what the scanner knows."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # string, blob, quoted, number, word, sign
    text: str
    start: int  # offsets in the whole text
    end: int

    @property
    def keyword(self) -> str:
        """The word in upper case; '' for everything else, a quoted name included."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """The token as an identifier, without its quotes."""
        if self.kind == "word":
            return self.text
        inner, mark = self.text[1:-1], self.text[-1]
        return inner if mark == "]" else inner.replace(mark * 2, mark)


def tokens_of(sql: str) -> Iterator[Token]:
    """SQLite's tokens without spaces and comments. Raises UnreadableDefinition."""
    place = 0
    while place < len(sql):
        match = TOKEN.match(sql, place)
        if match is None or match.lastgroup is None:
            raise UnreadableDefinition(f"unexpected {sql[place]!r}")
        place = match.end()
        if match.lastgroup != "space":
            yield Token(match.lastgroup, match[0], match.start(), match.end())


def matching(tokens: Sequence[Token], opening: int) -> int:
    """The index of the parenthesis that closes the one at ``opening``."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index
    raise UnreadableDefinition("a parenthesis is not closed")


def split_at_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    """The parts between the commas outside of parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def text_of(sql: str, tokens: Sequence[Token]) -> str:
    """The text as written, from the first of the tokens to the last."""
    return sql[tokens[0].start : tokens[-1].end] if tokens else ""
