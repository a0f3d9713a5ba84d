"""SQLite's strftime formats as the templates of PostgreSQL's to_char.

Invariant: what has no counterpart is refused; every other character of a format stands in quotes.
"""

from __future__ import annotations

import re

from etl.transform.schema.names import quote_text
from etl.transform.schema.syntax import Untranslatable

FORMAT_PARTS = {
    "%Y": "YYYY", "%m": "MM", "%d": "DD", "%H": "HH24", "%M": "MI", "%S": "SS", "%f": "SS.MS",
}  # fmt: skip


def time_template(sqlite_format: str) -> str:
    """The template as a string constant. Raises Untranslatable."""
    parts = re.findall(r"%.|[^%]+", sqlite_format, re.DOTALL)
    unknown = [part for part in parts if part.startswith("%") and part not in FORMAT_PARTS]
    if unknown or "".join(parts) != sqlite_format or '"' in sqlite_format or "\\" in sqlite_format:
        raise Untranslatable(f"the time format {sqlite_format!r} is not translated")
    template = "".join(FORMAT_PARTS.get(part) or re.sub(r"([A-Za-z']+)", r'"\1"', part) for part in parts)
    return quote_text(template)
