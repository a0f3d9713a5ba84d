"""What pg_catalog says of indexes, and of the keys and UNIQUE constraints that stand on them.

Invariant: one query, whatever the number of tables; and everything that makes one index act otherwise than another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from etl.verify.schema.catalog_columns import TABLES

# indoption: 1 is DESC, 2 is NULLS FIRST; to_jsonb: NULLS NOT DISTINCT is known from version 15 on, WITHOUT OVERLAPS
# from 18 on.
_INDEXES = f"""
with tables as ({TABLES})
select t.relname as table, i.relname as name, x.indisunique as unique, m.amname as method,
       x.indisvalid and x.indislive as valid, x.indisready as ready,
       pg_catalog.pg_get_expr(x.indpred, x.indrelid) as predicate,
       coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false) as nulls_not_distinct,
       c.contype::text as constraint, coalesce(c.condeferrable, false) as deferrable,
       coalesce(c.condeferred, false) as deferred,
       coalesce((to_jsonb(c) ->> 'conperiod')::boolean, false) as without_overlaps,
       (select pg_catalog.json_agg(pg_catalog.json_build_object(
            'column', a.attname,
            'sql', pg_catalog.pg_get_indexdef(x.indexrelid, k, false),
            'descending', x.indoption[k - 1] & 1 = 1,
            'nulls_first', x.indoption[k - 1] & 2 = 2,
            'collation', nullif(x.indcollation[k - 1], 0)::regcollation::text,
            'is_own_collation', x.indcollation[k - 1] = coalesce(a.attcollation, 0),
            'operator_class', case when not o.opcdefault then o.opcname end) order by k)
        from pg_catalog.generate_series(1, x.indnkeyatts) k
        left join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = x.indkey[k - 1] and a.attnum > 0
        left join pg_catalog.pg_opclass o on o.oid = x.indclass[k - 1]) as terms,
       array(select a.attname::text from pg_catalog.generate_series(x.indnkeyatts + 1, x.indnatts) k
             join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = x.indkey[k - 1] order by k) as included
from tables t
join pg_catalog.pg_index x on x.indrelid = t.oid
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_am m on m.oid = i.relam
left join pg_catalog.pg_constraint c on c.conindid = x.indexrelid and c.contype in ('p', 'u', 'x')
order by t.relname, i.relname
"""


@dataclass(frozen=True, slots=True)
class IndexTerm:
    """A column of an index; ``column`` is None for an expression."""

    column: str | None
    sql: str  # in PostgreSQL's words, without what follows
    descending: bool
    nulls_first: bool
    collation: str | None  # quoted as need be
    is_own_collation: bool  # the one that the column has outside of the index
    operator_class: str | None  # None for the default one of the type


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    unique: bool
    method: str  # btree, hash …
    valid: bool
    ready: bool  # written to by every INSERT
    predicate: str | None
    nulls_not_distinct: bool
    constraint: str | None  # as contype: p for a primary key, u, x
    deferrable: bool
    deferred: bool
    without_overlaps: bool
    terms: tuple[IndexTerm, ...]
    included: tuple[str, ...]


async def read_indexes(target: asyncpg.Connection, schema: str, tables: Sequence[str]) -> dict[str, list[Index]]:
    """Table → its indexes, by name, for the tables that have any."""
    indexes: dict[str, list[Index]] = {}
    for row in await target.fetch(_INDEXES, schema, list(tables)):
        values = dict(row)
        terms = tuple(IndexTerm(**term) for term in json.loads(values.pop("terms")))
        included = tuple(values.pop("included"))
        indexes.setdefault(values.pop("table"), []).append(Index(terms=terms, included=included, **values))
    return indexes
