"""The rows of views on both sides: before a view is kept, and whenever a verification comes back to it.

Invariant: a view is compared as a table is, by the same rules, with the types that the plan gives it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import asyncpg

from etl.errors import EtlError, TargetError
from etl.load.connect import guarded, named_errors
from etl.model import Difference, Plan, VerifiedTable, ViewPlan
from etl.phases.run import Run
from etl.transform.schema.views import with_views
from etl.verify.compare import refuse_unknown_types, verify_table
from etl.verify.schema.view_objects import read_view_names

NO_RIGHT = "42501"  # insufficient_privilege: of the role, and no fault of the view's
FULLY = frozenset({"full", "digest"})  # the ways of verification that look at every value


async def verify_view(run: Run, view: ViewPlan, schema: str) -> VerifiedTable:
    """Compare every row. Raises EtlError where a side cannot show the view."""
    refuse_unknown_types(view.table)
    async with run.snapshot.reader() as reader, run.connections.borrow() as connection:
        work = verify_table(reader.connection, connection, view.table, schema, lambda *_: None)
        with named_errors(f"view {view.name}"):  # its query may fail on rows that SQLite takes
            return await guarded(connection, work)


async def with_views_there(
    target: asyncpg.Connection, plan: Plan, wanted: Collection[str] | None
) -> tuple[Plan, tuple[Difference, ...]]:
    """The plan with the views that a later verification compares, and a difference for each that is missing.

    Those are the ``wanted`` ones (by target name, as an earlier run has recorded them); where nobody knows (None),
    every view of the plan that is there. Of these the rows alone are compared: their queries may be another's work.
    """
    there, planned = await read_view_names(target, plan.schema), with_views(plan).views
    names = there if wanted is None else frozenset(wanted)
    known = frozenset(view.name for view in planned)
    missing = () if wanted is None else sorted(names - (there & known))
    absent = [Difference(name, "object", f"view {name}", expected="a view", actual="nothing") for name in missing]
    views = (view for view in planned if view.name in names & there)
    known_views = (view if wanted is not None else replace(view, sql="") for view in views)
    return replace(plan, views=tuple(known_views)), tuple(absent)


async def compare_views(run: Run, plan: Plan) -> tuple[Difference, ...]:
    """The rows in which the views of the plan differ, the first of each, and the views that the target cannot show."""
    differences: list[Difference] = []
    for view in plan.views if run.options.verify in FULLY and not run.options.schema_only else ():
        try:
            differences += (await verify_view(run, view, plan.schema)).differences
        except TargetError as error:
            if error.sqlstate in (None, NO_RIGHT):
                raise
            shown = error.message
            differences.append(
                Difference(view.source.name, "object", f"view {view.name}", expected="rows", actual=shown)
            )
        except EtlError:
            continue  # SQLite itself cannot show it any more
    return tuple(differences)
