"""What a table shall be in PostgreSQL: names, types, keys, expressions, and the DDL that says so.

``plan.py`` decides, ``ddl.py`` renders, ``describe.py`` tells a person.
"""
