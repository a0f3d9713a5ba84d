"""What a view may be made of: each construct shows the same rows on both sides, over rows of edges."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fix_command import EtlCommand
from tests.fix_server import rows_of
from tests.fix_source import MakeSource

TABLES = """
create table item (id integer primary key, kind text, name text, n int, price decimal(8,2), weight real, flag boolean,
                   doc jsonb, day date);
create table part (id integer primary key, item_id int, kind text, note varchar(9), n int);
create table tree (id integer primary key, parent int, label text);
create table loose (kind text, n int);
"""
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "item": [
        (1, "a", "Ada", 3, 9.99, 0.5, 1, '{"s":"x","n":5,"t":true,"z":null,"l":[1,"two",{"k":"v"}]}', "2024-02-29"),
        (2, "a", "", -7, 0, -2.5, 0, '{"s":"5","l":[]}', "0001-01-01"),
        (3, "b", "É", None, -19.5, 1e300, None, '"x"', None),
        (4, "b", None, 0, None, None, 1, "[7,8]", "9999-12-31"),
        (5, None, "10", 2**40, 100000.25, 2.5, 0, '{"s":{"x":1},"odd key":"q","n":"5"}', "1999-12-31"),
        (7, "B", "9", 3, 9.99, -0.4, 1, "5", "2024-02-29"),
        (9, "", "a'b%", -5, 0.07, 4503599627370497.0, None, None, "2000-01-01"),
    ],
    "part": [(1, 1, "a", "one", 1), (2, 1, "b", None, 2), (3, 2, None, "", -3), (4, 99, "c", "é", 4),
             (5, None, "a", "x", 1)],
    "tree": [(1, None, "root"), (2, 1, "left"), (3, 1, "Right"), (4, 2, "leaf"), (5, 4, "")],
    "loose": [("x", 1), ("x", 1), ("y", None)],
}  # fmt: skip
TRANSLATED = {
    "natural": "select * from item natural join (select kind, n as m from part)",
    "natural_left": "select * from part natural left join loose",
    "natural_of_none": "select * from tree natural join loose",
    "set_operations": "select id from item intersect select n from part except select 2 order by 1",
    "by_using": "select id, kind, item.n, part.n as m, part.* from item join part using (id, kind)",
    "right_join": "select i.id, p.id as part, p.note from item i right join part p on p.item_id = i.id",
    "full_join": "select i.name, p.note from item i full outer join part p on p.item_id = i.id",
    "full_using": "select kind, i.id as i, p.id as p from item i full join part p using (kind)",
    "right_using_all": "select * from part right join loose using (n)",
    "ordered_union": "select kind, n from item union select kind, n from part order by 2 desc, kind limit 4",
    "ordered_by_name": "select name as x from item union all select note from part order by x limit 3 offset 1",
    "numbered": "select id, row_number() over (partition by kind order by n) as r from item",
    "numbered_by_nothing": "select label, row_number() over () as r from tree",
    "ranked": "select id, rank() over (order by n) r, dense_rank() over (order by n desc) d,"
    " percent_rank() over (order by kind) p, cume_dist() over (order by flag) c from item",
    "neighbours": "select id, lag(name) over w a, lead(n, 2, -1) over w b, lag(flag, 1, 0) over w c,"
    " first_value(price) over w d, rank() over w r from item window w as (order by kind desc)",
    "framed": "select id, last_value(id) over (order by n, id) d, nth_value(name, 2) over (order by id desc) e,"
    " first_value(price) over (partition by flag order by day, id) c,"
    " last_value(n) over (order by id rows between current row and 1 following) f from item",
    "tiles": "select id, ntile(3) over (order by price desc) as t from item",
    "running": "select id, sum(n) over (order by id) s, count(*) over (partition by kind) c, max(name) over () m,"
    " min(day) over (order by id rows between 1 preceding and 1 following) d, avg(n) over (order by kind) a,"
    " sum(n) over (order by n, id rows between unbounded preceding and current row) u,"
    " count(n) filter (where n > 0) over (order by id groups 1 preceding) g from item",
    "named_window": "select id, sum(n) over w s, rank() over w r from item window w as (partition by kind order by n)",
    "ranked_groups": "select kind, count(*) c, rank() over (order by count(*) desc) r,"
    " row_number() over (order by count(*), kind) n from item group by kind",
    "first_of_each": "select kind, id from (select kind, id, row_number() over (partition by kind order by n desc, id)"
    " r from item) where r = 1",
    "counted": "with recursive c(x) as (select 1 union all select x + 1 from c where x < 5) select x, x * x as sq"
    " from c",
    "lazily": "with c(x) as (select 1 union all select x + 1 from c) select x from c limit 4",
    "paths": "with recursive up(id, path, depth) as (select id, label, 0 from tree where parent is null union all"
    " select t.id, path || '/' || label, depth + 1 from up join tree t on t.parent = up.id) select * from up",
    "reached": "with recursive r(id) as (select 4 union select parent from tree join r using (id) where parent is"
    " not null)"
    " select id from r order by id",
    "named_columns": "with t(a, b) as (select kind, count(*) from part group by kind) select a, b from t where b > 1",
    "gathered": "select kind, group_concat(name) as names, group_concat(n, '; ') ns, group_concat(flag, '') f from"
    " item"
    " group by kind",
    "gathered_in_order": "select group_concat(label, ' > ') as l from (select label from tree order by label desc)",
    "gathered_none": "select group_concat(name, '') as x from item where id > 100",
    "rounded": "select id, round(weight) w, round(n) n, round(n, 2) m, round(price, 2) p, round(price) q,"
    " round(flag) f from item",
    "rounded_average": "select kind, round(avg(n), 2) a from item where n is not null group by kind",
    "printed": "select id, printf('%d-%05d-%s|%5d|%-6d|%8s|%-4s|%%', n, n, name, n, n, name, kind) as p,"
    " format('%.2f/%10.3f/%.1f', price, price, id) f, printf('%06.2f', price) z, printf('none') c from item",
    "documents": "select id, json_extract(doc, '$.s') s, doc ->> 'z' z, doc ->> '$.l[1]' l, doc ->> '$.t' t,"
    " json_extract(doc, '$.\"odd key\"') o, doc ->> '$.l[2].k' k from item where id <> 5",
    "inside": "select id, doc -> 'l' as l, doc -> '$.l[0]' as first, doc -> 0 as zero,"
    " doc -> 'n' as n, doc -> 'z' z from item",
    "lengths": "select id, json_array_length(doc) a, json_array_length(doc, '$.l') b from item"
    " where json_valid(doc) or doc is null",
    "found_by": "select id from item where json_extract(doc, '$.s') = '5' or doc ->> '$.n' in ('5', 'x')"
    " or json_type(doc) = 'array' or json_extract(doc, '$') = 'x'",
    "not_found_by": "select id, doc ->> 's' <> 'x' as other, doc ->> 'z' is null as none,"
    " json_type(doc, '$.l') = 'array' as l from item",
    "with_a_word": "select id, coalesce(doc ->> 's', 'none') s, lower(doc ->> '$.s') l, '<' || (doc ->> 'n') || '>' m"
    " from item where id < 5",
    "by_document": "select doc ->> 's' as s, count(*) c from item where id <> 5 group by doc ->> 's'",
    "sums": "select kind, sum(price) s, total(price) t, avg(price) a from item group by kind",
}
LISTED = {
    "last_of_equals": ("select last_value(id) over (order by n) as x from item", "equal in the order of its window"),
    "two_windows": (
        "select lag(id) over (order by kind) as x, lag(id) over (order by flag) as y from item",
        "numbered as SQLite finds them",
    ),
    "tied": ("select kind, row_number() over (order by kind) as r from loose", "numbered as SQLite finds them"),
    "gathered_loose": ("select group_concat(kind) as k from loose", "gathers the rows is not known"),
    "gathered_once": ("select group_concat(distinct kind) as k from item", "DISTINCT or ORDER BY is not translated"),
    "moving": ("select sum(weight) over (order by id rows 1 preceding) as s from item", "in another order"),
    "binary_digits": ("select printf('%x', n) as x from item", "the format '%x' is not translated"),
    "of_text": ("select json_extract(name, '$.a') as x from item", "--cast item.name=jsonb"),
    "numbers_inside": ("select id from item where doc ->> 'n' > 3", "another order"),
    "from_the_end": ("select doc ->> '$.l[#-1]' as x from item", "the path $.l[#-1] is not translated"),
    "by_what_is_inside": ("select id from item order by doc ->> 's'", "another order"),
    "type_shown": ("select json_type(doc, '$.s') as x from item", "does not keep how a number was written"),
    "by_type": ("select id from item order by json_type(doc, '$.s')", "another order"),
    "types_counted": ("select count(*) as c from item group by json_type(doc, '$.s')", "how a number was written"),
    "types_told_apart": ("select count(distinct json_type(doc)) as c from item", "told apart otherwise"),
    "values_told_apart": ("select count(distinct doc ->> 's') as c from item", "told apart otherwise"),
    "recursive_twice": (
        "with recursive c(x) as (select 1 union all select x + 1 from c where x < 3 union all select x from"
        " c where x > 9)"
        " select x from c",
        "the recursion of c is not translated",
    ),
    "local_time": ("select datetime(day, 'localtime') as x from item", "the zone of the machine that SQLite runs on"),
    "now_shown": ("select datetime('now') as x from item", "as the DEFAULT of a column only"),
    "half_a_moment": ("select datetime(day / 2, 'unixepoch') as x from item", "of a column only, not of day / 2"),
}


def views_script() -> str:
    listed = {name: sql for name, (sql, _) in LISTED.items()}
    return TABLES + "".join(f"create view {name} as {sql};" for name, sql in {**TRANSLATED, **listed}.items())


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    return make_source(views_script(), ROWS)


def test_each_construct_shows_the_rows_of_sqlite(etl: EtlCommand, source: Path, database_dsn: str) -> None:
    """The run compares them by its own rules; here they are compared once more, cell by cell."""
    done = etl("migrate", source, database_dsn)
    assert done.status == 5, done.err
    listed = {line.split(":")[0].split()[1]: line for line in done.out.splitlines() if line.startswith("  view ")}
    assert {name: line for name, line in listed.items() if name in TRANSLATED} == {}
    for name, (_, words) in LISTED.items():
        assert words in listed[name]
    with closing(sqlite3.connect(source)) as connection:
        for name in TRANSLATED:
            expected = connection.execute(f"select * from {name}").fetchall()
            found = rows_of(database_dsn, f'select * from "{name}"')
            if name == "documents":  # values inside documents are text, whatever they were
                expected = [tuple(cell if cell is None else str(cell) for cell in row) for row in expected]
                found = [tuple(cell if cell is None else str(cell) for cell in row) for row in found]
            assert sorted(map(shown, found)) == sorted(map(shown, expected)), name


def shown(row: tuple[Any, ...]) -> str:
    """A row with numbers as numbers; decimals, dates, truth values and documents as SQLite has them."""
    return repr(tuple(plain(cell) for cell in row))


def plain(cell: Any) -> Any:
    if isinstance(cell, bool | int | float | Decimal):
        return float(f"{float(cell):.15g}")
    if isinstance(cell, str) and cell[:1] in {"{", "["}:
        return json.dumps(json.loads(cell), sort_keys=True)
    return str(cell) if cell is not None else None
