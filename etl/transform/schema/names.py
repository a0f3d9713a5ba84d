"""Names in the target: kept as they are where PostgreSQL allows it, else changed in one visible way.

Invariant: two different source names of one namespace never get the same target name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from etl.model.folding import fold as fold  # the modules beside this one have it from here, with all about names

MAX_NAME_BYTES = 63  # NAMEDATALEN - 1; PostgreSQL itself cuts longer names with only a NOTICE
SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
HASH_DIGITS = 8


class Namespace:
    """The names taken so far in one namespace of the target: a table's columns, a schema's relations."""

    def __init__(self, taken: Iterable[str] = (), *, lowercase: bool = False) -> None:
        self.taken = set(taken)
        self.lowercase = lowercase

    def take(self, wanted: str) -> str:
        """``wanted`` shortened to 63 bytes, an underscore for no name at all; with a suffix when it is taken."""
        wanted = (fold(wanted) if self.lowercase else wanted) or "_"
        name = fit(wanted)
        number = 1
        while name in self.taken:
            name = fit(f"{wanted}_{number}")
            number += 1
        self.taken.add(name)
        return name


def is_allowed(name: str) -> bool:
    """Whether a relation may be called so."""
    return bool(name) and name == fit(name)


def column_names(names: Iterable[str], *, lowercase: bool = False) -> tuple[str, ...]:
    """The target names of a table's columns, in their order; system columns and empty names get a suffix."""
    listed = [fold(name) if lowercase else name for name in names]
    allowed = [name for name in listed if name == allowed_column(name)]
    namespace = Namespace(allowed)  # a name that may stay is not taken away by one that may not
    return tuple(name if name == allowed_column(name) else namespace.take(allowed_column(name)) for name in listed)


def allowed_column(name: str) -> str:
    """The name, or the nearest one that PostgreSQL allows for a column."""
    return f"{name}_" if name in SYSTEM_COLUMNS or not name else fit(name)


def fit(name: str) -> str:
    """The name in at most 63 bytes: where it is longer, its beginning and a hash of the whole."""
    encoded = name.encode()
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:HASH_DIGITS]
    return encoded[: MAX_NAME_BYTES - HASH_DIGITS - 1].decode(errors="ignore") + "_" + digest


def quote(name: str) -> str:
    """The name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """The text as a string constant (standard_conforming_strings is on)."""
    return "'" + text.replace("'", "''") + "'"
