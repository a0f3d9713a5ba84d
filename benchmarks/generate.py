"""Makes the SQLite databases that everything is measured on.

Invariant: the same flags give the same rows, on every machine; a finished database is never changed, and an
unfinished one never carries its final name.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import chinook, dirt
from benchmarks.schema import TABLES, Table

SEED = 20240229
FORMAT = 1  # part of the file name: raise it when the rows change
_BATCH_ROWS = 50_000

_EPOCH_2015 = np.datetime64("2015-01-01T00:00:00", "us")
_TEN_YEARS_US = 10 * 365 * 86_400 * 1_000_000
_VOCABULARY = (
    "alpha beta gamma delta river stone cloud window paper signal orange winter market garden bridge "
    "naïve café Zürich señor 東京 данные Ελλάδα résumé — “quoted” line, it's ok; a\\b 50% 🚀 tab\there"
)
_WORDS = _VOCABULARY.split()
_STATUSES = ("new", "open", "in progress", "waiting", "closed", "archived")
_LANGUAGES = ("en", "de", "fr", "pt-BR", "ja")

Row = tuple[Any, ...]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A generated database. ``dirty`` is the share of rows that hold one odd value."""

    path: Path
    profile: str  # main | chinook
    nominal_rows: int
    dirty: float
    source_bytes: int


def default_folder() -> Path:
    """A folder of our own on the RAM disk when there is one, else in the temp folder; never in the repository."""
    shared_memory = Path("/dev/shm")  # noqa: S108 - a measurement of a database should not be one of a disk
    writable = shared_memory.is_dir() and os.access(shared_memory, os.W_OK)
    return (shared_memory if writable else Path(tempfile.gettempdir())) / "etl-benchmarks"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for one measurement, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="etl-benchmark-") as folder:
        yield Path(folder)


def make_dataset(
    folder: Path, nominal_rows: int, *, profile: str = "main", dirty: float = 0.0, seed: int = SEED
) -> Dataset:
    """The dataset for these flags, generated unless the folder has it already."""
    rows = chinook.TOTAL_ROWS if profile == "chinook" else nominal_rows
    name = f"{profile}-{rows}-dirty{dirty:g}-seed{seed}-v{FORMAT}.db"
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
        unfinished.unlink(missing_ok=True)
        write = chinook.write_tables if profile == "chinook" else _write_main(rows, dirty)
        _write_database(unfinished, lambda db: write(db, seed))
        unfinished.replace(path)
    return Dataset(path, profile, rows, dirty, path.stat().st_size)


def _write_database(path: Path, write: Callable[[sqlite3.Connection], None]) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("pragma page_size = 4096")
        database.execute("pragma journal_mode = off")
        database.execute("pragma synchronous = off")
        database.execute("begin")
        write(database)
        database.execute("commit")
        database.execute("pragma journal_mode = delete")
    finally:
        database.close()


def _write_main(nominal_rows: int, dirty: float) -> Callable[[sqlite3.Connection, int], None]:
    def write(database: sqlite3.Connection, seed: int) -> None:
        for number, table in enumerate(TABLES):
            _write_table(database, table, nominal_rows, dirty, np.random.default_rng([seed, number]))
        for table in TABLES:
            for columns in table.indexes:
                name = f"{table.name}_{columns.replace(', ', '_')}"
                database.execute(f"create index {name} on {table.name} ({columns})")

    return write


def _write_table(
    database: sqlite3.Connection, table: Table, nominal_rows: int, dirty: float, rng: np.random.Generator
) -> None:
    database.execute(table.sqlite_ddl())
    marks = ", ".join("?" for _ in table.columns)
    insert = f"insert into {table.name} values ({marks})"
    rows = table.rows(nominal_rows)
    for first in range(0, rows, _BATCH_ROWS):
        ids = np.arange(first + 1, min(first + _BATCH_ROWS, rows) + 1)
        batch: Iterator[Row] = _ROWS[table.name](rng, ids, nominal_rows)
        if dirty:
            batch = dirt.soil_rows(table, batch, dirty, rng)
        database.executemany(insert, batch)


def _metrics(rng: np.random.Generator, ids: Integers, nominal_rows: int) -> Iterator[Row]:
    count = len(ids)
    values = np.round(rng.normal(20, 7, count), 4)
    return zip(
        ids.tolist(),
        rng.integers(1, 500, count).tolist(),
        _with_nulls(rng, values.tolist(), 0.02),
        _timestamps(rng, count, "s"),
        strict=True,
    )


def _events(rng: np.random.Generator, ids: Integers, nominal_rows: int) -> Iterator[Row]:
    count = len(ids)
    created = _instants(rng, count)
    amounts = rng.integers(-500_000, 99_999_999, count) / 100
    return zip(
        ids.tolist(),
        rng.integers(1, max(2, nominal_rows // 30), count).tolist(),
        _with_nulls(rng, (rng.random(count) * 100).tolist(), 0.1),
        _with_nulls(rng, amounts.tolist(), 0.1),
        rng.integers(0, 2, count).tolist(),
        _iso(created, "us"),
        _with_nulls(rng, np.datetime_as_string(created.astype("datetime64[D]")).tolist(), 0.1),
        [_STATUSES[i] for i in rng.integers(0, len(_STATUSES), count).tolist()],
        _with_nulls(rng, _phrases(rng, count, 10, 30), 0.05),
        _with_nulls(rng, _json(rng, count), 0.05),
        _with_nulls(rng, _uuids(rng, count), 0.05),
        _with_nulls(rng, _phrases(rng, count, 0, 40), 0.8),
        strict=True,
    )


def _documents(rng: np.random.Generator, ids: Integers, nominal_rows: int) -> Iterator[Row]:
    count = len(ids)
    return zip(
        ids.tolist(),
        _phrases(rng, count, 8, 24),
        _phrases(rng, count, 20, 70),
        _phrases(rng, count, 50, 400),
        _with_nulls(rng, [_LANGUAGES[i] for i in rng.integers(0, len(_LANGUAGES), count).tolist()], 0.1),
        _with_nulls(rng, _timestamps(rng, count, "us"), 0.1),
        strict=True,
    )


def _attachments(rng: np.random.Generator, ids: Integers, nominal_rows: int) -> Iterator[Row]:
    count = len(ids)
    documents = next(table for table in TABLES if table.name == "documents").rows(nominal_rows)
    sizes = rng.integers(0, 1_200, count).tolist()
    return zip(
        ids.tolist(),
        rng.integers(1, documents + 1, count).tolist(),
        [f"attachment-{number}.bin" for number in ids.tolist()],
        sizes,
        [rng.bytes(size) for size in sizes],
        strict=True,
    )


_ROWS: dict[str, Callable[[np.random.Generator, Integers, int], Iterator[Row]]] = {
    "metrics": _metrics,
    "events": _events,
    "documents": _documents,
    "attachments": _attachments,
}


def _with_nulls(rng: np.random.Generator, values: list[Any], share: float) -> list[Any]:
    for place in np.flatnonzero(rng.random(len(values)) < share).tolist():
        values[place] = None
    return values


def _instants(rng: np.random.Generator, count: int) -> npt.NDArray[np.datetime64]:
    return _EPOCH_2015 + rng.integers(0, _TEN_YEARS_US, count).astype("timedelta64[us]")


def _timestamps(rng: np.random.Generator, count: int, unit: str) -> list[str]:
    return _iso(_instants(rng, count), unit)


def _iso(instants: npt.NDArray[np.datetime64], unit: str) -> list[str]:
    """``YYYY-MM-DD HH:MM:SS[.ffffff]``: numpy writes a T where applications write a space."""
    texts = np.datetime_as_string(instants, unit=unit)  # type: ignore[call-overload]
    letters = texts.view(np.uint32).reshape(len(texts), -1)
    letters[:, 10] = ord(" ")
    return letters.reshape(-1).view(texts.dtype).tolist()  # type: ignore[no-any-return]


def _phrases(rng: np.random.Generator, count: int, least: int, most: int) -> list[str]:
    """Windows into one long text: cheap to make, and every one different."""
    words = rng.integers(0, len(_WORDS), 20_000).tolist()
    text = " ".join(_WORDS[word] for word in words)
    starts = rng.integers(0, len(text) - most, count).tolist()
    lengths = rng.integers(least, most + 1, count).tolist()
    return [text[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def _json(rng: np.random.Generator, count: int) -> list[str]:
    numbers = rng.integers(0, 1_000_000, count).tolist()
    labels = [json.dumps(word, ensure_ascii=False) for word in _WORDS]
    picks = rng.integers(0, len(labels), count).tolist()
    return [
        f'{{"n": {n}, "ok": {"true" if n % 2 else "false"}, "label": {labels[pick]}, "x": 2.5}}'
        for n, pick in zip(numbers, picks, strict=True)
    ]


def _uuids(rng: np.random.Generator, count: int) -> list[str]:
    digits = rng.bytes(16 * count).hex()
    starts = range(0, 32 * count, 32)
    return [
        f"{digits[s : s + 8]}-{digits[s + 8 : s + 12]}-{digits[s + 12 : s + 16]}"
        f"-{digits[s + 16 : s + 20]}-{digits[s + 20 : s + 32]}"
        for s in starts
    ]
