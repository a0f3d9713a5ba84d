"""Whether the target's schema objects are what was promised: as pg_catalog tells them, held against plan or report.

`objects.py` holds them against the plan of a migration, `kept_definitions.py` against what a report has kept, and
`definitions.py` reads what a report keeps.
"""
