"""What pg_catalog says of columns: their types with modifiers, and what stands beside the type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from etl.model import PgType

SHORT_NAMES = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "char",
    "char": '"char"',  # the one-byte type of the system catalogs
}
NO_MODIFIER = -1
MODIFIER_OFFSET = 4  # VARHDRSZ: numeric, varchar and char count it in
INTERVAL_PRECISION = 0xFFFF  # of an interval's modifier; all bits set where it has none
FULL_PRECISION = 6  # timestamp(6) is timestamp

TABLES = (
    "select c.oid, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " where n.nspname = $1 and c.relname = any($2::text[]) and c.relkind in ('r', 'p', 'f')"
)
# A domain may stand on another one; what is stored is of the type under the last, with the modifier that this one has.
# So are the elements of an array (e the type that they are called by, z the one under it). A NOT NULL has an entry in
# pg_constraint from version 18 on.
_COLUMNS = f"""
with recursive tables as ({TABLES}), under (domain, type, modifier) as (
    select d.oid, d.typbasetype, d.typtypmod from pg_catalog.pg_type d where d.typtype = 'd'
  union all
    select u.domain, d.typbasetype, d.typtypmod from under u join pg_catalog.pg_type d on d.oid = u.type
    where d.typtype = 'd'
)
select t.relname as table, a.attname as name, a.attnotnull as not_null, a.attidentity::text as identity,
       a.attnotnull and exists (
           select from pg_catalog.pg_constraint n where n.conrelid = a.attrelid and n.contype = 'n'
           and n.conkey = array[a.attnum] and not n.convalidated) as not_null_of_new_rows,
       coalesce(m.typtype, w.typtype)::text as kind_of_type,
       a.attgenerated::text as generated, pg_catalog.pg_get_expr(f.adbin, f.adrelid) as expression,
       pg_catalog.format_type(a.atttypid, null) as full_type,
       case when a.attcollation <> y.typcollation then format(
            case when l.collisdeterministic and l.collnamespace <> 'pg_catalog'::regnamespace
                 then '"%s"."%s"' else '"%2$s"' end, l.collnamespace::regnamespace, l.collname) end as collation,
       case when not l.collisdeterministic then coalesce(
           to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale', l.collcollate) end as nondeterministic_locale,
       coalesce(z.typname, y.typname) as type,
       array(select b.enumlabel::text from pg_catalog.pg_enum b where b.enumtypid = coalesce(z.oid, y.oid)) as labels,
       coalesce(i.modifier, u.modifier, a.atttypmod) as modifier,
       e.oid is not null as is_array, case when i.domain is not null then e.typname end as element
from tables t
join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
left join pg_catalog.pg_collation l on l.oid = a.attcollation
join pg_catalog.pg_type w on w.oid = a.atttypid
left join pg_catalog.pg_type m on m.oid = w.typelem and m.typarray = w.oid
left join under u on u.domain = a.atttypid
join pg_catalog.pg_type y on y.oid = coalesce(u.type, a.atttypid)
left join pg_catalog.pg_type e on e.oid = y.typelem and e.typarray = y.oid
left join under i on i.domain = e.oid
left join pg_catalog.pg_type z on z.oid = coalesce(i.type, e.oid)
where y.typtype <> 'd' and z.typtype is distinct from 'd'
order by t.relname, a.attnum
"""


@dataclass(frozen=True, slots=True)
class Column:
    type: PgType
    not_null: bool
    not_null_of_new_rows: bool  # the NOT NULL is not validated
    identity: str  # as attidentity: d for BY DEFAULT, a for ALWAYS, '' for neither
    generated: str  # as attgenerated: s for stored, v for virtual, '' for neither
    expression: str | None  # of its default, or by which it is generated, in PostgreSQL's words
    full_type: str  # without modifiers, as a cast names it
    kind_of_type: str  # as typtype, of an array's elements: b for a base type, d for a domain, e for an enum
    collation: str | None  # quoted; with its schema where that tells it from the system's; None for its type's own
    nondeterministic_locale: str | None  # of a collation under which different texts may be the same

    @property
    def default(self) -> bool:
        """Whether it has one, whatever it is."""
        return self.expression is not None and not self.generated


async def read_types(target: asyncpg.Connection, schema: str, tables: Sequence[str]) -> dict[str, dict[str, PgType]]:
    """Table → column → type, for the tables that exist."""
    found = await read_columns(target, schema, tables)
    return {table: {name: column.type for name, column in columns.items()} for table, columns in found.items()}


async def read_columns(target: asyncpg.Connection, schema: str, tables: Sequence[str]) -> dict[str, dict[str, Column]]:
    """Table → column → what it is, for the tables that exist and have columns."""
    columns: dict[str, dict[str, Column]] = {}
    for row in await target.fetch(_COLUMNS, schema, list(tables)):
        labels = tuple(row["labels"])
        kind = PgType("text", labels=labels) if labels else type_of(row["type"], row["modifier"])
        if row["is_array"]:
            element = kind if row["element"] is None else PgType(row["element"], base=kind)
            kind = PgType(f"{kind}[]", base=element)
        columns.setdefault(row["table"], {})[row["name"]] = Column(
            kind,
            row["not_null"],
            row["not_null_of_new_rows"],
            row["identity"],
            row["generated"],
            row["expression"],
            row["full_type"],
            row["kind_of_type"],
            row["collation"],
            row["nondeterministic_locale"],
        )
    return columns


def type_of(name: str, modifier: int) -> PgType:
    """A type by its name in pg_type and its modifier (src/backend/utils/adt: ``*typmodin``)."""
    short = SHORT_NAMES.get(name, name)
    if modifier == NO_MODIFIER:
        return PgType(short)
    if short == "numeric":
        packed = modifier - MODIFIER_OFFSET
        return PgType(short, precision=packed >> 16 & 0xFFFF, scale=(packed & 0x7FF ^ 0x400) - 0x400)
    if short in ("bit", "varbit"):
        return PgType(short, length=modifier)
    if short in ("varchar", "char"):
        return PgType(short, length=modifier - MODIFIER_OFFSET)
    if short == "interval":  # the fields that it keeps stand in the upper half
        modifier &= INTERVAL_PRECISION
    if modifier in (FULL_PRECISION, INTERVAL_PRECISION):
        return PgType(short)
    return PgType(short, length=modifier)
