"""Take away what runs that ended in the middle have left in a target: all that ``etl clean`` does.

Invariant: only staging schemas whose run is over are dropped; a run that is at work keeps its own.
"""

from __future__ import annotations

from etl.load.address import parse_address
from etl.load.leftovers import Leftover, drop_leftover, find_leftovers
from etl.load.session import open_session


async def clean(dsn: str) -> list[Leftover]:
    """Drop every staging schema without a run; returns what they were."""
    async with open_session(parse_address(dsn), 1) as session:
        leftovers = await find_leftovers(session.control)
        for leftover in leftovers:
            await drop_leftover(session.control, leftover)
    return leftovers
