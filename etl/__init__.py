"""etl moves SQLite databases into PostgreSQL and proves that nothing was lost."""

__version__ = "0.1.0"
