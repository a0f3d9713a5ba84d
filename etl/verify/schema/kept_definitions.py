"""The definitions of the application's own tables as a report keeps them, and whether they still are what they were.

A report is read years later, and by then the server may be of another version, which prints the same definition in
other words. So what is kept are the facts of the catalog: names, types, flags. Only expressions are texts, and where
two of them are not the same letters, the server of today is asked what it makes of both.

Invariant: nothing is executed and nothing is written. What a later etl keeps besides does not disturb an older report:
only the facts that a report has are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from etl.model import Difference, Plan
from etl.verify.readings import quoted
from etl.verify.schema.collation_clauses import collations_in
from etl.verify.schema.kept_facts import DEFINITIONS

Kept = Mapping[str, Sequence[Mapping[str, Any]]]  # source's name of a table → its things: kind, name, shown, facts
EXPRESSIONS = frozenset(  # facts that are SQL
    {"expression", "predicate", "when", "terms", "policy_conditions", "domain_checks"}
)
STRENGTHENED = {  # (kind, fact): what the owner may have made of it since, on whole rows and without harm to any
    ("constraint", "validated"): (False, True),
    ("constraint", "enabled"): (False, True),
    ("column", "not_null"): ("not valid", "yes"),
    ("index", "valid"): (False, True),
}
NOTHING = "nothing"
_VALIDATED = """
select c.relname::text as table, k.conname::text as name
from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = any($2::text[]) and k.contype = 'f' and k.convalidated
"""


async def keep_definitions(target: asyncpg.Connection, plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """What the catalog has for the filled tables of ``plan``, as plain values by the source's names of the tables."""
    sources = {table.name: table.source.name for table in plan.filled.tables}
    kept: dict[str, list[dict[str, Any]]] = {source: [] for source in sources.values()}
    for row in await target.fetch(DEFINITIONS, plan.schema, list(sources)):
        thing = {"kind": row["kind"], "name": row["name"], "shown": row["shown"], "facts": json.loads(row["facts"])}
        kept[sources[row["table"]]].append(thing)
    return kept


async def compare_kept(target: asyncpg.Connection, plan: Plan, kept: Kept) -> tuple[Difference, ...]:
    """What is not as it was in the filled tables of ``plan`` that ``kept`` tells of; one ``object`` each.

    A constraint that was not valid and has been validated since is none.
    """
    now = await keep_definitions(target, plan)
    found: list[Difference] = []
    for table in plan.filled.tables:
        before, after = _by_place(kept.get(table.source.name, ())), _by_place(now[table.source.name])
        rows = f"{quoted(plan.schema)}.{quoted(table.name)}"
        for place in sorted(before.keys() | after.keys()):
            expected, actual = before.get(place), after.get(place)
            if expected and actual and not (different := await _different(target, rows, expected, actual)):
                continue
            texts = [one["shown"] if one else NOTHING for one in (expected, actual)]
            if expected and actual and texts[0] == texts[1]:  # what the server's words do not show
                texts = [f"{one['shown']} ({_say(one['facts'], different)})" for one in (expected, actual)]
            found.append(Difference(table.source.name, "object", " ".join(place), expected=texts[0], actual=texts[1]))
    return tuple(found)


async def with_validated(target: asyncpg.Connection, plan: Plan) -> Plan:
    """The plan, with its foreign keys that were left NOT VALID and have been validated since as valid ones."""
    waiting = {table.name for table in plan.tables if any(not key.validated for key in table.foreign_keys)}
    if not waiting:
        return plan
    rows = await target.fetch(_VALIDATED, plan.schema, list(waiting))
    validated = {(row["table"], row["name"]) for row in rows}
    return replace(
        plan,
        tables=tuple(
            replace(
                table,
                foreign_keys=tuple(
                    replace(key, validated=key.validated or (table.name, key.name) in validated)
                    for key in table.foreign_keys
                ),
            )
            for table in plan.tables
        ),
    )


def _by_place(things: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(thing["kind"], thing["name"]): thing for thing in things}


def _say(facts: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {facts.get(name)}" for name in names)


async def _different(
    target: asyncpg.Connection, rows: str, expected: Mapping[str, Any], actual: Mapping[str, Any]
) -> list[str]:
    """The names of the facts that are not as they were."""
    kind, now = expected["kind"], actual["facts"]
    different = []
    for name, value in expected["facts"].items():
        found = now.get(name)
        if value == found or STRENGTHENED.get((kind, name)) == (value, found):
            continue
        if name in EXPRESSIONS and value and found:
            if name == "domain_checks":
                type_name, source = "", f"(select null::{now['domain_over'][0]} as value offset 0) as d"
            else:
                type_name, source = now["type"] if kind == "column" else "", f"only {rows}"
            if all([await _mean_the_same(target, source, *pair, type_name) for pair in _pairs(value, found)]):
                continue
        different.append(name)
    return different


def _pairs(value: Any, found: Any) -> Iterator[tuple[str, str]]:
    """Each expression beside the one that is there now; a pair that is never the same where their numbers differ."""
    values, founds = ([one] if isinstance(one, str) else list(one) for one in (value, found))
    return zip(values, founds, strict=True) if len(values) == len(founds) else iter([("", "")])


async def _mean_the_same(target: asyncpg.Connection, rows: str, text: str, found: str, type_name: str) -> bool:
    """Whether the server makes the same of both: EXPLAIN parses them, gives them types and prints them.

    ``rows`` is what stands behind FROM: the table, or of a domain a row with its VALUE.
    """
    if text == found != "":
        return True
    if collations_in(text) != collations_in(found):  # which EXPLAIN does not print
        return False
    printed = []
    for one in (text, found):
        cast = f"::{type_name}" if type_name else ""
        query = f"select ({one}){cast} from {rows} as new, {rows} as old"  # a trigger's rows
        plain = f"select ({one}){cast} from {rows}"
        try:
            printed.append(await _explained(target, plain) or await _explained(target, query))
        except asyncpg.PostgresError:
            return False
    return printed[0] == printed[1] is not None


async def _explained(target: asyncpg.Connection, query: str) -> list[str] | None:
    """What the server prints for the query's column; None where it cannot read it."""
    try:
        async with target.transaction():  # inside a running one a savepoint
            explained = await target.fetchval(f"explain (verbose, costs off, format json) {query}")
    except asyncpg.PostgresError:
        return None
    output: list[str] = json.loads(explained)[0]["Plan"]["Output"]
    return output
