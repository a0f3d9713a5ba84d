"""Stage 3: write PostgreSQL. Nothing here looks at a value."""
