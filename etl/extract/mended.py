"""Read reject files back, after somebody has mended the rows in them (docs/rejects.md).

Invariant: every line of every file is in exactly one page, or the whole is refused with the file and the line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from etl.errors import UsageError, writing
from etl.extract.cursor import split_cells
from etl.model import SourcePage, SourceTable

PAGE_ROWS = 1_000


def reject_files(folder: Path) -> list[Path]:
    """The reject files in ``folder``; raises UsageError when there is none."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UsageError(f"{folder}: holds no rejected rows (*.jsonl)", "name the folder that --rejects named")
    return files


def table_of(file: Path) -> str:
    """The source table whose rows are in the file: its first line says."""
    for line, row in numbered_rows(file):
        return str(field(row, "table", file, line))
    raise UsageError(f"{file}: is empty", "delete it")


def read_mended(file: Path, table: SourceTable) -> Iterator[SourcePage]:
    """The rows of a reject file as pages of its table; raises UsageError for what is no row of it."""
    rows = numbered_rows(file)
    number = 0
    while chunk := list(itertools.islice(rows, PAGE_ROWS)):
        for line, row in chunk:
            if row.get("table") != table.name:
                raise UsageError(f"{file}:{line}: is a row of another table", f"keep only rows of {table.name} in it")
        cells = [[cell_of(row, column.name, file, line) for line, row in chunk] for column in table.columns]
        keys = pa.array([str(row.get("key", f"line {line}")) for line, row in chunk])
        yield SourcePage(
            number, len(chunk), tuple(map(split_cells, cells)), ("rejected",), (keys,), file.stat().st_size
        )
        number += 1


def numbered_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise UsageError(f"{file}:{number}: is not JSON: {error}", "one JSON object a line") from error
            if not isinstance(row, dict):
                raise UsageError(f"{file}:{number}: is not a JSON object", "one JSON object a line")
            yield number, row


def cell_of(row: dict[str, Any], column: str, file: Path, line: int) -> int | float | str | bytes | None:
    """One value: {"class": …, "value": …} as it was written, or a bare JSON number, text or null."""
    value = field(field(row, "values", file, line), column, file, line)
    if not isinstance(value, dict):
        if value is None or (isinstance(value, int | float | str) and not isinstance(value, bool)):
            return value
        raise UsageError(f"{file}:{line}: {column}: is no number, text or null", 'write {"class": …, "value": …}')
    storage, text = value.get("class"), value.get("value")
    try:
        return typed(str(storage), text)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{file}:{line}: {column}: {text!r} is no value of class {storage!r}",
            "classes: null, integer, real, text, text/hex, blob (hexadecimal digits)",
        ) from error


def typed(storage: str, text: Any) -> int | float | str | bytes | None:
    match storage:
        case "null":
            return None
        case "integer":
            return int(text)
        case "real":
            return float(text)
        case "text" if isinstance(text, str):
            return text
        case "text/hex":
            return bytes.fromhex(text).decode("utf-8", "surrogateescape")
        case "blob":
            return bytes.fromhex(text)
        case _:
            raise ValueError(storage)


def field(row: Any, name: str, file: Path, line: int) -> Any:
    if not isinstance(row, dict) or name not in row:
        raise UsageError(f"{file}:{line}: {name!r} is missing", "a row has table, key and values of every column")
    return row[name]


def mark_loaded(files: Sequence[Path]) -> None:
    """So that nobody loads them twice. Raises WritingError."""
    for file in files:
        with writing("--from-rejects", file):
            file.rename(file.with_name(file.name + ".loaded"))
