"""The values of a unique key as PostgreSQL compares them, a digest a row; how long the entries of an index get.

Invariant: rows of one digest are the same to the index. Rows of different digests are different to it where
``is_exact`` says so; elsewhere only the server can tell.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from etl.model import NOCASE_COLLATION, ColumnPlan, IndexPlan, PgType, TablePlan
from etl.repeated_digests import Digests
from etl.table_keys import bare, doubtful_keys, quoted
from etl.transform.rows.arrow_types import underlying
from etl.transform.rows.buffers import ByteMatrix, Rows, as_binary, cell_bytes, cell_offsets, valid_mask

# of these, equality is that of the values in their arrays, once _canonical has seen them
EXACT = frozenset(
    "smallint integer bigint real numeric boolean date timestamp timestamptz time text varchar char uuid bytea".split()  # noqa: SIM905
) | {"double precision"}
_FOLDED = re.compile(r'lower\((.*) collate "C"\)')
_DIGEST_BYTES = 16


def term_columns(table: TablePlan, index: IndexPlan) -> list[tuple[ColumnPlan, bool]] | None:
    """The column of each term, and whether its ASCII letters are folded; None where a term is any other expression."""
    by_name = {quoted(column.name): column for column in table.columns}
    terms: list[tuple[ColumnPlan, bool]] = []
    for term in map(bare, index.terms):
        folded = _FOLDED.fullmatch(term)
        column = by_name.get(folded[1] if folded else term)
        if column is None:
            return None
        terms.append((column, folded is not None))
    return terms


def is_exact(table: TablePlan, index: IndexPlan, beyond_ascii: Collection[str] = ()) -> bool:
    """Whether rows of different digests are different to the index.

    ``beyond_ascii``: the columns under NOCASE_COLLATION that hold more than printable ASCII. Of that the collation
    keeps apart whatever SQLite's NOCASE does.
    """
    terms = term_columns(table, index)
    return terms is not None and all(
        _is_exact(column.type) and not (column.collation == NOCASE_COLLATION and column.name in beyond_ascii)
        for column, _ in terms
    )


def is_left_to_server(table: TablePlan) -> bool:
    """Whether a unique key of the table may take different values of the source for the same by rules of the server."""
    columns = [column.name for column in table.columns]
    return any(not is_exact(table, index, columns) for index in doubtful_keys(table, ()))


def is_plain(array: pa.Array) -> bool:
    """Whether all texts are of printable ASCII; a control character means nothing to ICU."""
    return bool(pc.all(pc.match_substring_regex(array, r"\A[ -~]*\z"), min_count=0).as_py())


def _is_exact(type: PgType) -> bool:  # noqa: A002
    known = underlying(type)
    temporal = known.name.startswith(("time", "date"))
    return known.name in EXACT and not known.labels and not (temporal and known.length is not None)


def key_digests(terms: list[tuple[ColumnPlan, bool]], arrays: Mapping[str, pa.Array]) -> tuple[Digests, Rows]:
    """The digests of the rows of a page without a NULL in the key, and which rows these are.

    ``arrays``: by target column, the values as the load would write them.
    """
    found = [arrays[column.name] for column, _ in terms]
    valid = np.logical_and.reduce([valid_mask(array) for array in found])
    rows: Rows = np.flatnonzero(valid)
    kept = found if len(rows) == len(valid) else [array.take(pa.array(rows)) for array in found]
    parts = [
        _digests(_canonical(array, underlying(column.type), folded))
        for array, (column, folded) in zip(kept, terms, strict=True)
    ]
    digests = parts[0] if len(parts) == 1 else _hashed(np.concatenate(parts, axis=1))
    return digests.view(np.uint64).reshape(-1, 2), rows


def _canonical(array: pa.Array, type: PgType, folded: bool) -> pa.Array:  # noqa: A002
    """The values so that equal ones have equal bytes."""
    if pa.types.is_floating(array.type):
        return pc.add(array, pa.scalar(0.0, array.type))  # -0.0 is 0.0
    if type.name == "char":
        array = pc.utf8_rtrim(array, " ")  # blanks at the end mean nothing
    if type.name == "numeric" and pa.types.is_string(array.type):
        return pa.array([_digits_of(text) for text in array.to_pylist()], pa.binary())
    return pc.ascii_lower(array) if folded else array


def _digits_of(text: str) -> bytes:
    """1.50, 1.5 and 15e-1 are one number."""
    sign, digits, exponent = Decimal(text).as_tuple()
    shown = "".join(map(str, digits)).lstrip("0")
    short = shown.rstrip("0")
    if isinstance(exponent, str) or not short:
        return str(exponent if isinstance(exponent, str) else 0).encode()
    return f"{sign}{short}e{exponent + len(shown) - len(short)}".encode()


def _digests(array: pa.Array) -> ByteMatrix:
    """16 bytes a cell: the value itself where it has no more, else its XXH3-128."""
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        cells = as_binary(array)
        offsets, content = cell_offsets(cells).tolist(), cell_bytes(cells).data
        hashes = [xxhash.xxh3_128_digest(content[first:last]) for first, last in pairwise(offsets)]
        return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, _DIGEST_BYTES)
    width = array.type.bit_width // 8
    data = array.buffers()[1]
    digests = np.zeros((len(array), _DIGEST_BYTES), np.uint8)
    if data is not None and len(array):
        raw = np.frombuffer(data, np.uint8)[array.offset * width : (array.offset + len(array)) * width]
        digests[:, :width] = raw.reshape(-1, width)
    return digests


def _hashed(cells: npt.NDArray[np.uint8]) -> ByteMatrix:
    width, content = cells.shape[1], np.ascontiguousarray(cells).reshape(-1).data
    hashes = [xxhash.xxh3_128_digest(content[first : first + width]) for first in range(0, len(content), width)]
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, _DIGEST_BYTES)
