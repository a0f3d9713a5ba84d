"""Stage 1: read SQLite as it is. Nothing here decides or converts."""
