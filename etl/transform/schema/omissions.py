"""What of a plan the user has left out: ``--no-indexes``.

Invariant: what keeps values apart stays: primary keys, UNIQUE constraints and unique indexes are no speed-up.
"""

from __future__ import annotations

from dataclasses import replace

from etl.model import Plan


def without_plain_indexes(plan: Plan) -> Plan:
    """The plan without the indexes that keep nothing apart; a note names them."""
    names = [index.name for table in plan.tables for index in table.indexes if not (index.unique or index.constraint)]
    if not names:
        return plan
    tables = tuple(
        replace(table, indexes=tuple(index for index in table.indexes if index.unique or index.constraint))
        for table in plan.tables
    )
    note = f"--no-indexes leaves out {len(names):,} of them: {', '.join(names)}"
    return replace(plan, tables=tables, notes=(*plan.notes, note))
