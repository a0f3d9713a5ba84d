"""The plan: every type, name, key and constraint of the target, and everything that has no translation."""

from __future__ import annotations

import pytest

from etl.errors import PlanError, UsageError
from etl.model import Plan
from etl.transform.schema.describe import describe
from etl.transform.schema.names import fit
from tests.fix_source import MakeSource
from tests.planning import case_script, plan_of, target_table, types_of, untranslated


@pytest.fixture
def plan_case(make_source: MakeSource):  # type: ignore[no-untyped-def]
    """``await plan_case("keys")``: the plan of a case of tests/data."""

    async def plan(case: str, casts: tuple[str, ...] = ()) -> Plan:
        return await plan_of(make_source(case_script(case)), casts)

    return plan


# --- types ---------------------------------------------------------------------------------------------------------


async def test_declared_types_follow_the_normative_table(plan_case) -> None:
    """One column for every kind of declared type."""
    types = types_of(target_table(await plan_case("declared_types"), "declared"))
    assert types == {
        **dict.fromkeys(("a", "b"), "bigint"),
        **dict.fromkeys(("c", "ai"), "smallint"),
        **dict.fromkeys(("f", "g"), "timestamp"),
        **dict.fromkeys(("h", "i"), "timestamptz"),
        **dict.fromkeys(("l", "m", "n"), "numeric"),
        **dict.fromkeys(("p", "q", "r"), "double precision"),
        **dict.fromkeys(("w", "x", "y", "z", "aa", "ab"), "text"),
        **dict.fromkeys(("ac", "ad"), "jsonb"),
        **dict.fromkeys(("ae", "af"), "uuid"),
        **dict.fromkeys(("ag", "ah"), "bytea"),
        **dict.fromkeys(("u", "v"), "varchar(70)"),
        "d": "boolean",
        "e": "date",
        "j": "time",
        "k": "numeric(10,2)",
        "o": "numeric(40,10)",
        "s": "varchar(3)",
        "t": "varchar(255)",
        "aj": "numeric(5,0)",
    }


async def test_a_type_that_is_not_the_declared_one_says_why(plan_case) -> None:
    """Out of range modifiers and types decided by the data carry a note; plain ones carry none."""
    plan = await plan_case("declared_types")
    notes = {column.name: column.note for column in target_table(plan, "declared").columns}
    assert {name for name, note in notes.items() if note} == {"n", "w", "x"}
    assert all(column.note for column in target_table(plan, "from_data").columns)


async def test_undeclared_types_come_from_the_data(plan_case) -> None:
    """One storage class decides; several fall back to text, or to numeric where the type was only unknown."""
    assert types_of(target_table(await plan_case("declared_types"), "from_data")) == {
        "ints": "bigint",
        "reals": "double precision",
        "texts": "text",
        "blobs": "bytea",
        "mixed": "text",
        "numbers": "numeric",
        "more_numbers": "numeric",
        "none": "text",
        "strange": "numeric",
    }


async def test_blobs_among_other_values_are_refused_with_the_flag_that_decides(make_source: MakeSource) -> None:
    """Every such column is named in one failed run, each with its --cast."""
    path = make_source("create table t (a, b, c int); insert into t values (x'00', 1, 1), ('a', x'00', 1), (1, 2, 3);")
    with pytest.raises(PlanError) as refused:
        await plan_of(path)
    assert "t.a: declared without a type and holds blob and integer and text" in refused.value.message
    assert "t.b:" in refused.value.message
    hint = refused.value.hint or ""
    mended = """update "t" set "a" = cast("a" as blob) where typeof("a") in ('integer', 'real')"""
    assert f"{mended}, and --cast t.a=bytea" in hint  # what no type takes as it is, else each hint leads to the other
    plan = await plan_of(path, casts=("t.a=bytea", "t.b=text"))
    assert types_of(target_table(plan, "t")) == {"a": "bytea", "b": "text", "c": "bigint"}


@pytest.mark.parametrize(
    ("declared", "casts", "type_", "how"),
    [
        ("jsonb", (), "jsonb", "sqlite"),
        ("jsonb", ("t.doc=json",), "json", "sqlite"),
        ("jsonb", ("t.doc=bytea",), "bytea", None),
        ("json", (), "jsonb", None),
        ("blob", ("t.doc=jsonb:SQLite",), "jsonb", "sqlite"),
        ("blob", ("t.doc=jsonb",), "jsonb", None),
    ],
)
async def test_blobs_of_a_jsonb_column_are_read_as_sqlites_own(
    make_source: MakeSource, declared: str, casts: tuple[str, ...], type_: str, how: str | None
) -> None:
    """Whatever JSON type the user makes of it; in other columns only where the user says so."""
    path = make_source(f"create table t (doc {declared}); insert into t values ('{{}}'), (x'0c');")
    (column,) = target_table(await plan_of(path, casts=casts), "t").columns
    assert (str(column.type), column.reading.how) == (type_, how)


async def test_a_foreign_key_takes_its_parents_type(plan_case) -> None:
    """A text column that references an integer key becomes bigint, or the constraint could not be implemented."""
    types = types_of(target_table(await plan_case("references"), "child"))
    assert (types["by_id"], types["by_code"]) == ("bigint", "text")
    assert types["by_loose"] == "text"


async def test_children_follow_a_cast_of_their_parent(plan_case) -> None:
    """The whole chain has one type."""
    plan = await plan_case("references", ("parent.code=varchar(40)",))
    assert types_of(target_table(plan, "child"))["by_code"] == "varchar(40)"


async def test_a_cast_of_the_child_is_the_users_word(plan_case) -> None:
    """It stays, and the constraint that can no longer be had is listed."""
    plan = await plan_case("references", ("child.by_id=text",))
    assert types_of(target_table(plan, "child"))["by_id"] == "text"
    assert "does not compare with parent.id" in untranslated(plan, "foreign key")["child.by_id"]


# --- casts ---------------------------------------------------------------------------------------------------------


async def test_a_cast_that_matches_nothing_names_its_neighbours(plan_case) -> None:
    """A misspelt cast must not be a silent no-op."""
    with pytest.raises(UsageError, match="matches no column") as refused:
        await plan_case("keys", ("alias.idd=integer",))
    assert "alias.id" in (refused.value.hint or "")


# --- selection -----------------------------------------------------------------------------------------------------


async def test_tables_and_exclude_choose_by_globs_without_case(make_source: MakeSource) -> None:
    """What belongs to a table that is left out goes with it."""
    path = make_source(case_script("left_behind"))
    plan = await plan_of(path, tables=("KEPT",))
    assert [table.name for table in plan.tables] == ["kept"]
    assert plan.untranslated == ()
    plan = await plan_of(path, exclude=("o*", "searched"))
    assert [table.name for table in plan.tables] == ["kept"]
    assert [view.name for view in plan.views] == ["seen"]
    assert {thing.name for thing in plan.untranslated if thing.needs_attention} == {"broken"}


async def test_a_glob_that_matches_nothing_is_a_usage_error(make_source: MakeSource) -> None:
    """With the nearest name as a hint."""
    path = make_source(case_script("left_behind"))
    with pytest.raises(UsageError, match="--tables 'kepd' matches no table") as refused:
        await plan_of(path, tables=("kepd",))
    assert refused.value.hint == "did you mean kept?"
    with pytest.raises(UsageError, match="together leave no table"):
        await plan_of(path, tables=("kept",), exclude=("k*",))


async def test_a_parent_outside_the_run_is_listed(make_source: MakeSource) -> None:
    """The rows arrive, the constraint cannot."""
    plan = await plan_of(make_source(case_script("references")), tables=("child",))
    assert "parent is not part of this run" in untranslated(plan, "foreign key")["child.by_id"]
    assert types_of(target_table(plan, "child"))["by_id"] == "text"


# --- keys, indexes, names ------------------------------------------------------------------------------------------


async def test_the_rowid_becomes_an_identity(plan_case) -> None:
    """Only the true alias; other keys are plain columns, never null."""
    plan = await plan_case("keys")
    identities = {t.name for t in plan.tables for column in t.columns if column.identity}
    assert identities == {"alias", "counted", "descending_apart", "mentions", "shadowed_alias", "t"}
    assert [column.not_null for column in target_table(plan, "composite").columns] == [True, False, True]
    assert target_table(plan, "composite").primary_key == ("c", "a")


async def test_a_key_that_holds_nulls_becomes_unique(plan_case) -> None:
    """No row is lost, and the change is said."""
    plan = await plan_case("keys")
    for name, columns in (("null_key", ('"code"',)), ("null_part", ('"a"', '"b"'))):
        table = target_table(plan, name)
        assert table.primary_key == ()
        assert [(i.terms, i.unique, i.constraint) for i in table.indexes] == [(columns, True, True)]
        assert not any(column.not_null for column in table.columns)
        assert any(name in note and "UNIQUE" in note for note in plan.notes)


async def test_index_names_stay_and_derived_names_give_way(plan_case) -> None:
    """A table called t_pkey is there before t's primary key."""
    table = target_table(await plan_case("keys"), "t")
    assert table.primary_key_name == "t_pkey_1"
    assert {index.name for index in table.indexes} == {
        "t_b_a_key", "only_a", "plain_index", "partial_index", "folded_index", "expression_index",
        "strange_index",
    }  # fmt: skip


async def test_relations_of_a_schema_have_different_names(plan_case) -> None:
    """Tables, keys, unique constraints and indexes share one namespace."""
    for case in ("keys", "odd_names", "references", "conditions", "collations"):
        plan = await plan_case(case)
        names = [table.name for table in plan.tables]
        names += [table.primary_key_name for table in plan.tables if table.primary_key_name]
        names += [index.name for table in plan.tables for index in table.indexes]
        assert len(names) == len(set(names))
        assert all(len(name.encode()) <= 63 for name in names)


async def test_text_of_keys_and_indexes_is_ordered_by_bytes(plan_case) -> None:
    """collate "C" is SQLite's own order; other text keeps the database's."""
    plan = await plan_case("references")
    collated = {(t.name, c.name) for t in plan.tables for c in t.columns if c.collation}
    assert collated == {
        ("parent", "code"), ("parent", "folded"), ("pair", "a"),
        ("child", "by_code"), ("child", "by_folded"), ("child", "by_loose"), ("child", "a"), ("grandchild", "code"),
    }  # fmt: skip


async def test_nocase_keys_fold_ascii_in_an_expression_index(plan_case) -> None:
    """The target refuses what the source refused; that `=` now sees case is listed."""
    plan = await plan_case("collations")
    table = target_table(plan, "folded")
    indexes = {index.name: index for index in table.indexes}
    assert table.primary_key == ("name",)
    assert indexes["folded_name_key"].terms == ('lower("name" collate "C")',)
    assert indexes["folded_email_key"].unique
    assert not indexes["folded_email_key"].constraint
    assert indexes["folded_number_key"].constraint  # numbers have no case
    assert indexes["by_bytes"].terms == ('"email"',)
    assert set(untranslated(plan, "collation")) == {"folded.name", "folded.email", "folded.trimmed"}
    assert "RTRIM" in untranslated(plan, "unique constraint")["folded"]


async def test_columns_that_postgresql_forbids_get_a_suffix(plan_case) -> None:
    """System columns and the empty name; a name that may stay is not taken away."""
    plan = await plan_case("odd_names")
    names = [column.name for column in target_table(plan, "boxes").columns]
    assert names == ["xmin_", "xmax_", "ctid__1", "tableoid_", "ctid_", "_"]
    assert sum("boxes: the column" in note for note in plan.notes) == 5
    assert {table.source.name: table.name for table in plan.tables if table.source.name in {"", "_"}} == {
        "": "__1", "_": "_"
    }  # fmt: skip


async def test_names_fold_ascii_only(plan_case) -> None:
    """SQLite has a table äb beside ÄB: a foreign key and a check that take one for the other are worse than none."""
    table = target_table(await plan_case("odd_names"), "äb")
    assert [(key.parent, key.columns, key.parent_columns) for key in table.foreign_keys] == [("ÄB", ("ä",), ("code",))]
    assert [check.condition for check in table.checks] == ['"Ä" > 0']


def test_long_names_are_cut_between_characters_and_told_apart() -> None:
    """63 bytes, not characters; a hash of the whole name keeps two of them different."""
    one, two = fit("я" * 40 + "1"), fit("я" * 40 + "2")
    assert len(one.encode()) <= 63
    assert one != two
    assert one.startswith("я" * 27)
    assert fit("x" * 63) == "x" * 63


# --- foreign keys --------------------------------------------------------------------------------------------------


async def test_foreign_keys_keep_actions_deferral_and_names(plan_case) -> None:
    """The shorthand means the parent's primary key; names have no case."""
    table = target_table(await plan_case("references"), "child")
    keys = {key.name: key for key in table.foreign_keys}
    assert keys["child_by_id_fkey"].parent_columns == ("id",)
    by_code = keys["child_by_code_fkey"]
    assert (by_code.on_delete, by_code.on_update) == ("CASCADE", "SET NULL")
    assert (by_code.deferrable, by_code.initially_deferred) == (True, True)
    assert (keys["to_pair"].deferrable, keys["to_pair"].initially_deferred) == (True, False)
    assert keys["child_b_a_fkey"].parent_columns == ("b", "a")


UNIQUE = "{} is not unique: create a unique index on it in the source, and run again"


async def test_foreign_keys_that_cannot_be_are_listed_with_the_reason(plan_case) -> None:
    """Missing parents, parents without a unique key, parents that compare otherwise."""
    reasons = untranslated(await plan_case("references"), "foreign key")
    assert reasons == {
        "child.by_folded": "parent(folded) compares by the collation NOCASE",
        "child.by_part": UNIQUE.format("parent(part)"),
        "child.by_loose": UNIQUE.format("parent(loose)"),
        "child.by_missing": "its parent table missing does not exist in the source",
        "child.by_column": "its columns do not match a key of parent",
        "grandchild.code": UNIQUE.format("child(by_code)"),
    }


# --- nothing is dropped silently -----------------------------------------------------------------------------------


async def test_constraints_are_translated_or_listed(plan_case) -> None:
    """Twelve CHECKs in the source: each is in one of the two lists."""
    plan = await plan_case("conditions")
    checks = {check.name: check.condition for check in target_table(plan, "checked").checks}
    assert set(checks) == {
        "checked_age_check", "checked_name_check", "known_state", "checked_flag_check", "checked_price_check",
        "checked_doc_check", "checked_born_check", "checked_kind_check", "checked_note_check", "checked_code_check",
        "checked_check", "checked_check_1",
    }  # fmt: skip
    listed = [thing for thing in plan.untranslated if thing.kind == "check"]
    assert [thing.name for thing in listed] == ["checked"]
    assert listed[0].sql == "CHECK (random() > 0)"


async def test_generated_columns_are_translated_or_listed(plan_case) -> None:
    """What has no translation holds today's values."""
    plan = await plan_case("generated")
    generated = {column.name: column.generated for column in target_table(plan, "item").columns if column.generated}
    assert set(generated) == {"total", "label", "big", "slug", "third", "per", "shown", "longer", "count"}
    assert generated["third"] == 'div("qty"::numeric, 3)'
    assert generated["count"].startswith("(length((((lower(")  # of longer, of slug
    assert set(untranslated(plan, "generated column")) == {"item.rounded", "item.doubled"}


async def test_conflict_clauses_are_listed(plan_case) -> None:
    """ABORT is what happens anyway."""
    plan = await plan_case("conditions")
    clauses = [(thing.name, thing.sql) for thing in plan.untranslated if thing.kind == "conflict clause"]
    assert clauses == [("resolved.a", "ON CONFLICT REPLACE"), ("resolved", "ON CONFLICT IGNORE")]


async def test_defaults_are_translated_or_listed(plan_case) -> None:
    """A default that does not fit its column's type is not created."""
    plan = await plan_case("conditions")
    defaults = {column.name: column.default for column in target_table(plan, "defaulted").columns}
    assert defaults["a"] == "'it''s'"
    assert defaults["e"] == "(now() at time zone 'utc')"
    assert set(untranslated(plan, "default")) == {"defaulted.k"}
    assert defaults["d"] == "3"
    assert {name for name, default in defaults.items() if default is None} == {"k", "l"}


async def test_partial_indexes_are_translated_or_listed(plan_case) -> None:
    """A predicate that may mean something else is not created."""
    plan = await plan_case("conditions")
    plain, folding = target_table(plan, "checked").indexes
    assert plain.predicate == '("flag" = true and "state" = \'new\')'
    assert folding.predicate == "lower(\"name\" collate \"C\") like 'x%' escape ''"
    assert set(untranslated(plan, "index")) == {"partial_untranslated"}


async def test_more_columns_than_postgresql_has_are_refused(make_source: MakeSource) -> None:
    """Before a row moves, with the flag that goes on without the table."""
    path = make_source(f"create table wide ({', '.join(f'c{n} int' for n in range(1601))})")
    with pytest.raises(PlanError, match="1601 columns") as refused:
        await plan_of(path)
    assert "--exclude wide" in (refused.value.hint or "")


async def test_the_description_says_everything_in_the_plan(plan_case) -> None:
    """Every table, column, key and constraint by name, and every reason."""
    for case in ("keys", "references", "conditions", "collations", "left_behind", "declared_types"):
        plan = await plan_case(case)
        text = describe(plan)
        for table in plan.tables:
            words = [table.name, *(column.name for column in table.columns), *(str(c.type) for c in table.columns)]
            words += [index.name for index in table.indexes] + [key.name for key in table.foreign_keys]
            words += [check.name for check in table.checks]
            assert [word for word in words if word not in text] == []
        assert [thing.reason for thing in plan.untranslated if thing.reason not in text] == []
        assert [note for note in plan.notes if note not in text] == []


async def test_lowercase_folds_every_name_and_tells_those_apart_that_become_the_same(make_source: MakeSource) -> None:
    """As PostgreSQL reads names without quotes; letters beyond ASCII stay as they are, as they do there."""
    path = make_source(
        'create table "User" ("Id" integer primary key, "ÉTAT" int check ("ÉTAT" > 0), "XMin" int, unique ("ÉTAT"));'
        'create table "user_" ("User_Id" int references "User" ("Id")); create index "USER_PKEY" on "User" ("ÉTAT");'
        'create view "AllUsers" as select "Id" as "TheId" from "User";'
    )
    plan = await plan_of(path, lowercase=True)
    user, other = plan.tables
    assert (user.name, [column.name for column in user.columns]) == ("user", ["id", "État", "xmin_"])
    assert [index.name for index in user.indexes] == ["user_État_key", "user_pkey"]
    assert user.primary_key_name == "user_pkey_1"
    assert [check.name for check in user.checks] == ["user_État_check"]
    assert (other.foreign_keys[0].name, other.foreign_keys[0].parent) == ("user__user_id_fkey", "user")
    (view,) = plan.views
    assert (view.name, [column.name for column in view.table.columns]) == ("allusers", ["theid"])
    assert not any("is called 'id'" in note for note in plan.notes)


async def test_text_collation_db_leaves_the_order_to_the_database(make_source: MakeSource) -> None:
    """For applications that sort in the database and expect its order."""
    plan = await plan_of(make_source(case_script("references")), text_collation="db")
    assert not any(column.collation for table in plan.tables for column in table.columns)


async def test_sources_with_next_to_nothing_have_a_plan(make_source: MakeSource) -> None:
    """No table, a table with generated columns but for one, and one of 1,500 columns."""
    assert (await plan_of(make_source("", name="empty.db"))).tables == ()
    wide = ", ".join(f"c{number} int" for number in range(1500))
    path = make_source(f"create table wide ({wide}); create table thin (a, b as (a) stored);", name="wide.db")
    plan = await plan_of(path)
    assert [len(table.columns) for table in plan.tables] == [1500, 2]
