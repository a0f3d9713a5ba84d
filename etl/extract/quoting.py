"""Strings, quoted names and comments in SQLite's SQL text: what must be blanked before a keyword can be looked for."""

from __future__ import annotations

import re

QUOTED = re.compile(r"""--[^\n]*|/\*.*?(?:\*/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^]]*\]""", re.DOTALL)
