"""A run that stands still before a key is built, for as long as the test holds a lock."""

from __future__ import annotations

PAUSE = 4711  # the number of the advisory lock, as pg_locks.objid has it


def pause_before(key: str) -> str:
    """SQL for the target's database: whoever adds the constraint of that name waits until the lock is free."""
    return f"""
create function public.pauses() returns event_trigger language plpgsql as $$
begin
    if pg_catalog.current_query() like '%{key}%' then perform pg_catalog.pg_advisory_xact_lock({PAUSE}); end if;
end $$;
create event trigger pauses on ddl_command_start when tag in ('ALTER TABLE') execute function public.pauses();
"""
