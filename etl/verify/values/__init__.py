"""What the target must hold for a value of the source: the specification, and the same for whole columns at once.

`equivalents.py` says it value by value; `expected.py` builds what PostgreSQL must send for a column. `wire.py` has the
binary formats, `kinds.py` what stands behind a type, `read_as.py` which reading has a meaning for which type.
"""
