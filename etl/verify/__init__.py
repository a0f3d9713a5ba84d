"""Stage 4: read both sides again and compare. Nothing here is shared with the other stages."""
