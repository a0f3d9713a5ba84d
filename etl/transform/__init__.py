"""Stage 2: decide (``schema/``) and convert (``rows/``). Nothing here does I/O."""
