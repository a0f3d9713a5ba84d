"""A small application that keeps terminal sessions: for one user on SQLite, for many on PostgreSQL."""
