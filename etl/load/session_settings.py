"""The settings under which every connection of a run works, as far as its server knows them."""

from __future__ import annotations

import os

import asyncpg

from etl.load.address import TargetAddress

SETTINGS = {  # by their names in small letters
    "timezone": "UTC",
    # what the role or the database may have set otherwise, and what our statements are not written for
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "xmloption": "content",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "search_path": "pg_catalog",
    "client_min_messages": "error",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",  # from 14
    "transaction_timeout": "0",  # from 17
    "default_toast_compression": "lz4",  # from 14, where built with it
    "maintenance_work_mem": "256MB",
    "lc_monetary": "C",  # money is sent with a point
    "row_security": "off",  # a policy that would hide rows is an error instead
}


def settings_sql(address: TargetAddress, at_once: int = 1) -> str:
    """The statement that sets them; ``at_once`` is how many connections build indexes at the same time.

    Builds that run beside one another have no use for helpers of their own where together they have the cores: each
    would write its sort to disk for them, a quarter more work. Of a server elsewhere we do not know the cores.
    """
    wanted = ", ".join(f"('{name}', '{value}')" for name, value in SETTINGS.items())
    helpers = (
        f"least(setting::int, {helpers_each(os.cpu_count() or 1, at_once)})::text" if address.is_local else "setting"
    )
    return (
        "select set_config(p.name, coalesce(want, "
        f"case p.name when 'max_parallel_maintenance_workers' then {helpers} end), false)"
        f" from (values {wanted}, ('max_parallel_maintenance_workers', null)) as s(name, want)"
        " join pg_catalog.pg_settings p on lower(p.name) = s.name"
        " where want is distinct from 'lz4' or 'lz4' = any(enumvals)"
    )


def helpers_each(cores: int, at_once: int) -> int:
    """How many processes may help each of so many builds, so that all of them have a core."""
    return max(0, cores // at_once - 1)


async def apply_settings(connection: asyncpg.Connection, address: TargetAddress, at_once: int = 1) -> None:
    """Put the connection under the run's settings."""
    await connection.execute(settings_sql(address, at_once))
