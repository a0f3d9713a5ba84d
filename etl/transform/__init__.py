"""Stage 2: decide and convert. Nothing here does I/O."""
