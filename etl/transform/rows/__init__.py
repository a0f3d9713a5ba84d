"""What a table's values become in PostgreSQL.

``columns.py`` converts whole columns by vector rules; ``values.py`` is the specification, and converts the odd cells.
"""
