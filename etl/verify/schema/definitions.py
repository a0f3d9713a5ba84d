"""The definitions of the application's own tables before and after they were filled: they must be the same.

Invariant: the catalog's own words are compared (pg_get_constraintdef and the like), for everything that a fill may take
away and put back, and for what stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from etl.model import Difference, Plan

Definitions = Mapping[tuple[str, str, str], str]  # (table, kind, name) → definition with its state

# Foreign keys of others onto these tables are theirs too; so are the triggers of their partitions.
_DEFINITIONS = """
with tables as (
    select c.oid, c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = any($2::text[]) and c.relkind in ('r', 'p')
), parts as (
    select t.name, coalesce(p.relid, t.oid) as oid from tables t left join pg_partition_tree(t.oid) p on true
)
select t.name as table, 'column' as kind, a.attname::text as name,
       concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
                 nullif(a.attidentity::text, ''), nullif(a.attgenerated::text, ''),
                 pg_catalog.pg_get_expr(f.adbin, f.adrelid),
                 case when a.attcollation <> y.typcollation then 'collate ' || a.attcollation::regcollation end)
           as definition
from tables t join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type y on y.oid = a.atttypid
left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
union all
select t.name, 'constraint', k.conrelid::regclass || '.' || k.conname,
       concat_ws(' ', pg_catalog.pg_get_constraintdef(k.oid), case when not k.convalidated then 'not validated' end,
                 case when exists (select from pg_catalog.pg_trigger g where g.tgconstraint = k.oid
                                   and g.tgenabled not in ('O', 'A')) then 'triggers disabled' end,
                 pg_catalog.obj_description(k.oid, 'pg_constraint'))
from tables t join pg_catalog.pg_constraint k on k.conrelid = t.oid or (k.confrelid = t.oid and k.conparentid = 0)
union all
select t.name, 'index', i.relname::text,
       concat_ws(' ', pg_catalog.pg_get_indexdef(x.indexrelid), case when not x.indisvalid then 'not valid' end,
                 case when x.indisclustered then 'clustered' end,
                 case when x.indisreplident then 'replica identity' end,
                 i.reltablespace::text, pg_catalog.obj_description(i.oid, 'pg_class'))
from tables t join pg_catalog.pg_index x on x.indrelid = t.oid join pg_catalog.pg_class i on i.oid = x.indexrelid
union all
select p.name, 'trigger', g.tgrelid::regclass || '.' || g.tgname,
       concat_ws(' ', g.tgenabled::text, pg_catalog.pg_get_triggerdef(g.oid))
from parts p join pg_catalog.pg_trigger g on g.tgrelid = p.oid and not g.tgisinternal
"""


async def read_definitions(target: asyncpg.Connection, schema: str, tables: Sequence[str]) -> Definitions:
    """Columns, constraints, indexes and triggers of these tables, as they are now on this connection."""
    rows = await target.fetch(_DEFINITIONS, schema, list(tables))
    return {(row["table"], row["kind"], row["name"]): row["definition"] for row in rows}


def compare_definitions(plan: Plan, before: Definitions, after: Definitions) -> tuple[Difference, ...]:
    """What is not as it was, by the source's names of the tables.

    A foreign key that the plan has as NOT VALID may have lost its validity, and nothing else.
    """
    weakened = {key.name for table in plan.tables for key in table.foreign_keys if not key.validated}

    def shown(definitions: Definitions, place: tuple[str, str, str]) -> str | None:
        text = definitions.get(place)
        if text is not None and place[2].rpartition(".")[2].strip('"') in weakened:
            return text.replace(" NOT VALID", "").replace(" not validated", "")
        return text

    sources = {table.name: table.source.name for table in plan.tables}
    return tuple(
        Difference(
            sources.get(table, table),
            "object",
            f"{kind} {name}",
            expected=before.get((table, kind, name), "nothing"),
            actual=after.get((table, kind, name), "nothing"),
        )
        for table, kind, name in sorted(before.keys() | after.keys())
        if shown(before, (table, kind, name)) != shown(after, (table, kind, name))
    )
