"""A database the size and shape of Chinook (11 tables, about 15,600 rows): what a small application looks like.

Invariant: every foreign key holds. The rows are made up; the shape follows the Chinook sample database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import numpy as np

# name → (columns and constraints, rows); parents first
_TABLES: dict[str, tuple[str, int]] = {
    "Artist": ("ArtistId INTEGER PRIMARY KEY, Name NVARCHAR(120)", 275),
    "Album": (
        "AlbumId INTEGER PRIMARY KEY, Title NVARCHAR(160) NOT NULL, ArtistId INTEGER NOT NULL REFERENCES Artist",
        347,
    ),
    "Genre": ("GenreId INTEGER PRIMARY KEY, Name NVARCHAR(120)", 25),
    "MediaType": ("MediaTypeId INTEGER PRIMARY KEY, Name NVARCHAR(120)", 5),
    "Track": (
        "TrackId INTEGER PRIMARY KEY, Name NVARCHAR(200) NOT NULL, AlbumId INTEGER REFERENCES Album, "
        "MediaTypeId INTEGER NOT NULL REFERENCES MediaType, GenreId INTEGER REFERENCES Genre, "
        "Composer NVARCHAR(220), Milliseconds INTEGER NOT NULL, Bytes INTEGER, UnitPrice NUMERIC(10,2) NOT NULL",
        3_503,
    ),
    "Playlist": ("PlaylistId INTEGER PRIMARY KEY, Name NVARCHAR(120)", 18),
    "PlaylistTrack": (
        "PlaylistId INTEGER NOT NULL REFERENCES Playlist, TrackId INTEGER NOT NULL REFERENCES Track, "
        "PRIMARY KEY (PlaylistId, TrackId)",
        8_715,
    ),
    "Employee": (
        "EmployeeId INTEGER PRIMARY KEY, LastName NVARCHAR(20) NOT NULL, FirstName NVARCHAR(20) NOT NULL, "
        "Title NVARCHAR(30), ReportsTo INTEGER REFERENCES Employee, BirthDate DATETIME, Email NVARCHAR(60)",
        8,
    ),
    "Customer": (
        "CustomerId INTEGER PRIMARY KEY, FirstName NVARCHAR(40) NOT NULL, LastName NVARCHAR(20) NOT NULL, "
        "Country NVARCHAR(40), Email NVARCHAR(60) NOT NULL, SupportRepId INTEGER REFERENCES Employee",
        59,
    ),
    "Invoice": (
        "InvoiceId INTEGER PRIMARY KEY, CustomerId INTEGER NOT NULL REFERENCES Customer, "
        "InvoiceDate DATETIME NOT NULL, BillingCity NVARCHAR(40), Total NUMERIC(10,2) NOT NULL",
        412,
    ),
    "InvoiceLine": (
        "InvoiceLineId INTEGER PRIMARY KEY, InvoiceId INTEGER NOT NULL REFERENCES Invoice, "
        "TrackId INTEGER NOT NULL REFERENCES Track, UnitPrice NUMERIC(10,2) NOT NULL, Quantity INTEGER NOT NULL",
        2_240,
    ),
}
_INDEXES = {
    "Album": ("ArtistId",),
    "Track": ("AlbumId", "GenreId", "MediaTypeId"),
    "PlaylistTrack": ("TrackId",),
    "Employee": ("ReportsTo",),
    "Customer": ("SupportRepId",),
    "Invoice": ("CustomerId",),
    "InvoiceLine": ("InvoiceId", "TrackId"),
}
TOTAL_ROWS = sum(rows for _, rows in _TABLES.values())

Values = Callable[[int], tuple[object, ...]]


def write_tables(database: sqlite3.Connection, seed: int) -> None:
    """Creates and fills the 11 tables; the caller owns the transaction."""
    rng = np.random.default_rng([seed, 11])
    for name, (columns, rows) in _TABLES.items():
        database.execute(f"create table {name} ({columns})")
        values = _values(name, rng)
        marks = ", ".join("?" for _ in values(0))
        database.executemany(f"insert into {name} values ({marks})", (values(row) for row in range(rows)))
    for name, columns_of in _INDEXES.items():
        for column in columns_of:
            database.execute(f"create index IFK_{name}{column} on {name} ({column})")


def _values(name: str, rng: np.random.Generator) -> Values:
    def one_of(parent: str) -> int:
        return int(rng.integers(1, _TABLES[parent][1] + 1))

    def date() -> str:
        return f"20{rng.integers(10, 25):02}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02} 00:00:00"

    tracks = _TABLES["Track"][1]
    makers: dict[str, Values] = {
        "Artist": lambda row: (row + 1, f"Artist Ñ° {row}"),
        "Album": lambda row: (row + 1, f"Album {row}: Live", one_of("Artist")),
        "Track": lambda row: (
            row + 1,
            f"Track {row} – “Été”",
            one_of("Album"),
            one_of("MediaType"),
            one_of("Genre"),
            None if row % 4 else f"Composer {row % 90}",
            int(rng.integers(1_000, 600_000)),
            int(rng.integers(38_000, 10**9)),
            0.99 if row % 20 else 1.99,
        ),
        # distinct pairs: 8,715 of the 18 × 3,503 there are, in steps that no factor of them divides
        "PlaylistTrack": lambda row: (row * 7 % 18 + 1, row * 7 // 18 % tracks + 1),
        "Employee": lambda row: (
            row + 1,
            f"Last {row}",
            f"First {row}",
            "Agent",
            1 if row else None,
            date(),
            f"e{row}@example.org",
        ),
        "Customer": lambda row: (
            row + 1,
            f"First {row}",
            f"Last {row}",
            "Österreich",
            f"c{row}@example.org",
            one_of("Employee"),
        ),
        "Invoice": lambda row: (row + 1, one_of("Customer"), date(), "Köln", int(rng.integers(99, 2_600)) / 100),
        "InvoiceLine": lambda row: (row + 1, one_of("Invoice"), one_of("Track"), 0.99, 1),
    }
    return makers.get(name, lambda row: (row + 1, f"{name} {row}"))
