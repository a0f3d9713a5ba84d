"""Twelve schemas after the manner of real applications, moved by the real command; what arrives is written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from tests.fix_command import EtlCommand
from tests.fix_source import MakeSource
from tests.planning import DATA

TYPES = (
    "select c.relname || '.' || a.attname as name, format_type(a.atttypid, a.atttypmod) as type from pg_attribute a"
    " join pg_class c on c.oid = a.attrelid where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'"
    " and a.attnum > 0"
)
INDEXES = (
    "select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as sql from pg_index"
    " join pg_class c on c.oid = indrelid where c.relnamespace = 'public'::regnamespace"
)
CONSTRAINTS = (
    "select conname::text as name, pg_get_constraintdef(oid) as sql from pg_constraint"
    " where connamespace = 'public'::regnamespace and contype in ('c', 'f')"
)


@dataclass(frozen=True)
class Family:
    """What must be there after the move of one schema."""

    status: int
    types: Mapping[str, str]  # table.column → type as PostgreSQL writes it
    indexes: Mapping[str, str]  # name → what stands behind `USING btree`
    constraints: Mapping[str, str] = field(default_factory=dict)
    insert: str = ""  # a statement that returns one value …
    returns: object = None  # … namely this one
    refused: tuple[str, ...] = ()  # statements that break a constraint
    listed: tuple[str, ...] = ()  # what the report asks the user to look at
    views: Mapping[str, list[tuple[object, ...]]] = field(default_factory=dict)


def one_of(column: str, *values: str) -> str:
    """As PostgreSQL writes `check (column in (…))` of a varchar."""
    listed = ", ".join(f"'{value}'::character varying" for value in values)
    return f"CHECK ((({column})::text = ANY ((ARRAY[{listed}])::text[])))"


FAMILIES = {
    "django": Family(
        5,
        {
            "auth_user.id": "bigint", "auth_user.is_superuser": "boolean",
            "auth_user.username": "character varying(150)",
            "auth_user.date_joined": "timestamp without time zone", "shop_order.id": "character varying(32)",
            "shop_order.total": "numeric", "shop_order.day": "date", "shop_order.quantity": "bigint",
            "shop_order.meta": "text",
        },
        {
            "auth_user_groups_user_id_group_id_uniq": "(user_id, group_id)",
            "one_new_order": "(customer_id) WHERE ((state)::text = 'new'::text)",
            "order_upper": "(upper(((state)::text COLLATE \"C\")))",
        },
        {
            "known_state": one_of("state", "new", "paid"),
            "shop_order_quantity_check": "CHECK ((quantity >= 0))",
            "auth_user_groups_user_id_fkey":
                "FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED",
        },
        "insert into auth_group (name) values ('readers') returning id",
        3,
        (
            "insert into shop_order values ('x', 1, 1, '{}', -1, null, null, 'paid')",
            "insert into shop_order values ('x', 1, 1, '{}', 1, null, null, 'new')",  # a second new order of ada
            "insert into auth_user_groups (user_id, group_id) values (99, 2)",
        ),
        ("check shop_order.meta: json_valid() is translated for json and jsonb columns only; --cast",),
    ),
    "rails": Family(
        0,
        {
            "users.settings": "jsonb", "users.admin": "boolean", "users.created_at": "timestamp without time zone",
            "articles.price": "numeric(8,2)", "articles.title": "character varying(120)", "articles.slug": "text",
            "comments.commentable_id": "bigint", "schema_migrations.version": "text",
        },
        {
            "index_users_on_email": "(email)",
            "index_users_on_lower_email": "(lower((email COLLATE \"C\")))",
            "index_articles_on_published": "(published) WHERE (published = true)",
            "index_comments_on_commentable": "(commentable_type, commentable_id DESC)",
        },
        {
            "fk_rails_3d31dad1cc": "FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE",
            "chk_rails_price": "CHECK ((price >= (0)::numeric))",
        },
        "insert into articles (user_id, title) values (1, 'New THING') returning slug || ' ' || id || ' ' || price",
        "new thing 3 0.00",
        (
            "insert into articles (user_id, price) values (1, -1)",
            "insert into users (email, created_at) values ('bob@example.org', now())",
        ),
        (),
        {"published_articles": [(1, "Hello World", "Ada@example.org")]},
    ),
    "sqlmodel": Family(
        0,
        {
            "hero.id": "character varying(32)", "hero.score": "double precision", "hero.active": "boolean",
            "hero.joined": "timestamp without time zone", "team.founded": "date", "hero.team_id": "bigint",
        },
        {"uq_hero_name": "(name)", "ix_team_name": "(name)", "hero_tag_pkey": "(hero_id, tag)"},
        {
            "ck_hero_level": one_of("level", "novice", "expert"),
            "ck_hero_active": "CHECK ((active = ANY (ARRAY[false, true])))",
            "fk_hero_mentor_id_hero": "FOREIGN KEY (mentor_id) REFERENCES hero(id)",
            "fk_hero_team_id_team": "FOREIGN KEY (team_id) REFERENCES team(id) ON DELETE SET NULL",
        },
        "insert into hero (id, name) values ('3', 'Cid') returning level || ' ' || active",
        "novice true",
        ("insert into hero (id, name, level) values ('4', 'Dan', 'master')",
         "insert into hero_tag values ('00000000000000000000000000000001', 'x')"),
    ),
    "prisma": Family(
        0,
        {
            "User.createdAt": "timestamp without time zone", "User.isAdmin": "boolean", "User.balance": "numeric",
            "User.avatar": "bytea", "Post.meta": "jsonb", "Post.order": "bigint", "_PostToTag.A": "bigint",
        },
        {
            "\"User_email_key\"": "(email)",
            "\"Post_authorId_order_idx\"": "(\"authorId\", \"order\" DESC)",
            "\"_PostToTag_AB_unique\"": "(\"A\", \"B\")",
        },
        {
            "Post_authorId_fkey":
                'FOREIGN KEY ("authorId") REFERENCES "User"(id) ON UPDATE CASCADE ON DELETE RESTRICT',
        },
        'insert into "Post" (title, "authorId") values (\'c\', \'ckl2\') returning id',
        3,
        ("insert into \"_PostToTag\" values (1, 'x')",),
    ),
    "forge": Family(
        0,
        {
            "user.id": "bigint", "user.is_admin": "bigint", "issue.index": "bigint", "repository.topics": "text",
            "lfs_lock.created": "timestamp with time zone",
        },
        {
            "\"UQE_issue_repo_index\"": "(repo_id, index)", "\"UQE_repository_s\"": "(owner_id, lower_name)",
            "\"IDX_issue_deadline_unix\"": "(deadline_unix)",
        },
        {},
        "insert into issue (repo_id, index) values (1, 3) returning id",
        5001,  # sqlite_sequence says 5000, the largest id is 42
        ("insert into issue (repo_id, index) values (1, 2)",),
    ),
    "dashboards": Family(
        0,
        {
            "dashboard.created": "timestamp without time zone", "alert_rule.for": "bigint",
            "alert_rule.is_paused": "boolean", "dashboard.has_acl": "bigint", "migration_log.sql": "text",
        },
        {
            "\"UQE_dashboard_org_id_uid\"": "(org_id, uid)",
            "\"IDX_alert_rule_a_name_that_is_much_longer_than_postgre_5524a7f8\"": "(no_data_state, updated)",
        },
        {},
        "insert into alert_rule (updated) values (now()) returning no_data_state || is_paused || \"for\" || id",
        "NoDatafalse02",
        ("insert into dashboard (version, slug, data, org_id, created, uid) values (1, '', '', 1, now(), 'abc')",),
    ),
    "home": Family(
        0,
        {
            "states.entity_id": "text", "states.last_updated_ts": "double precision", "states.event_id": "smallint",
            "states.context_id_bin": "bytea", "recorder_runs.closed_incorrect": "boolean",
            "state_attributes.hash": "bigint",
        },
        {
            "ix_states_meta_entity_id": "(entity_id)",
            "ix_statistics_statistic_id_start_ts": "(metadata_id, start_ts)",
        },
        {
            "states_old_state_id_fkey": "FOREIGN KEY (old_state_id) REFERENCES states(state_id)",
            "statistics_metadata_id_fkey": "FOREIGN KEY (metadata_id) REFERENCES statistics_meta(id) ON DELETE CASCADE",
        },
        "insert into states (state, old_state_id) values ('on', 2) returning state_id",
        3,
        ("insert into states (old_state_id) values (99)",),
    ),
    "radarr": Family(
        0,
        {
            "Movies.Added": "timestamp without time zone", "MovieMetadata.Popularity": "numeric",
            "MovieMetadata.InCinemas": "timestamp with time zone", "VersionInfo.Version": "bigint",
        },
        {
            "\"IX_History_MovieId_Date\"": "(\"MovieId\", \"Date\" DESC)", "\"UC_Version\"": "(\"Version\")",
            "\"IX_MovieMetadata_TmdbId\"": "(\"TmdbId\")",
        },
        {},
        "insert into \"History\" (\"SourceTitle\", \"Date\", \"Data\") values ('x', now(), '') returning \"Id\"",
        2,  # the only row was deleted: its number is not given twice
        ("insert into \"Config\" (\"Key\", \"Value\") values ('cleanupmetadataimages', '')",),
    ),
    "vault": Family(
        0,
        {
            "users.password_hash": "bytea", "users.enabled": "boolean", "users.uuid": "text",
            "organizations.uuid": "character varying(40)", "ciphers.organization_uuid": "character varying(40)",
        },
        {"users_organizations_user_uuid_org_uuid_key": "(user_uuid, org_uuid)",
         "favorites_pkey": "(user_uuid, cipher_uuid)",
         "twofactor_incomplete_pkey": "(user_uuid, device_uuid)"},
        {"ciphers_organization_uuid_fkey": "FOREIGN KEY (organization_uuid) REFERENCES organizations(uuid)"},
        "insert into users (uuid, created_at, email, password_hash, password_iterations, akey) values"
        " ('a-2', now(), 'b@example.org', '', 1, '') returning enabled::text || client_kdf_iter",
        "true100000",
        ("insert into favorites values ('a-1', 'c-9')", "insert into favorites values ('a-1', 'c-2')"),
    ),
    "places": Family(
        5,
        {
            "moz_places.url": "text", "moz_places.last_visit_date": "bigint", "moz_meta.value": "text",
            "moz_anno_attributes.name": "character varying(32)", "moz_bookmarks.dateAdded": "bigint",
        },
        {
            "moz_places_guid_uniqueindex": "(guid)", "moz_keywords_keyword_key": "(keyword)",
            "moz_historyvisits_placedateindex": "(place_id, visit_date)",
        },
        {},
        "insert into moz_places (url) values ('x') returning id * 10 + frecency",
        39,  # id 4, frecency -1
        ("insert into moz_inputhistory values (1, 'exa', 1)", "insert into moz_meta values ('new', null)"),
        ("trigger moz_visits_after_delete",),
        {"moz_recent": [("about:blank", None, 0, None), ("https://example.org/", "Example", 2, 1709287300123456)]},
    ),
    "gis": Family(
        5,
        {
            "parcels.geom": "bytea", "parcels.xmin_": "double precision", "parcels.ymin": "double precision",
            "parcels.area": "double precision", "gpkg_contents.last_change": "timestamp with time zone",
            "rtree_parcels_geom.minx": "double precision",
        },
        {"parcels_box": "(xmin_, xmax_)", "gpkg_contents_identifier_key": "(identifier)"},
        {"parcels_check": "CHECK (((xmin_ <= xmax_) AND (ymin <= ymax)))"},
        "insert into parcels (xmin_, xmax_, ymin, ymax) values (0, 2, 0, 3) returning fid * 100 + area",
        306.0,
        ("insert into parcels (xmin_, xmax_) values (2, 1)",),
        ("virtual table rtree_parcels_geom: its rows are copied", "trigger parcels_rtree"),
        {"large_parcels": [(1, "Nord", 16.0)]},
    ),
    "notes": Family(
        5,
        {
            "notes.is_todo": "bigint", "notes.latitude": "numeric", "journal.rowid": "bigint", "journal.entry": "text",
            "settings.key": "text",
        },
        {
            "notes_updated": "(updated_time DESC)",
            "notes_todo": "(lower((title COLLATE \"C\"))) WHERE (is_todo = 1)",
            "tags_name_key": "(lower((name COLLATE \"C\")))",
        },
        {"note_tags_note_id_fkey": "FOREIGN KEY (note_id) REFERENCES notes(id) ON DELETE CASCADE"},
        "insert into notes (title) values ('x') returning length(id) * 10 + (updated_time > 1.7e12)::int",
        321,
        ("insert into tags (name) values ('HOME')", "insert into notes (is_todo) values (2)"),
        ("collation tags.name", "virtual table notes_fts: an index over the rows of notes", "trigger notes_ai",
         "virtual table journal: its rows are copied to a plain table"),
        {"todo_titles": [("Einkauf", "long")]},
    ),
}  # fmt: skip


def family_path(name: str) -> Path:
    return DATA / "families" / f"{name}.sql"


def test_every_family_has_its_expectations() -> None:
    """A file that nobody looks at proves nothing."""
    assert {path.stem for path in (DATA / "families").glob("*.sql")} == set(FAMILIES)
    assert len(FAMILIES) >= 12


@pytest.mark.parametrize("name", FAMILIES)
async def test_a_real_schema_arrives_whole(
    name: str, etl: EtlCommand, database_dsn: str, make_source: MakeSource
) -> None:
    """Types, indexes, constraints, views, exit status, the next INSERT, and what must be refused."""
    family = FAMILIES[name]
    path = make_source(family_path(name).read_text(encoding="utf-8"))
    done = etl("migrate", path, database_dsn)
    assert done.status == family.status, done.err + done.out
    for words in family.listed:
        assert words in done.out
    server = await asyncpg.connect(database_dsn)
    try:
        types = {row["name"]: row["type"] for row in await server.fetch(TYPES)}
        assert {column: types.get(column) for column in family.types} == family.types
        indexes = {row["name"]: row["sql"].partition(" USING btree ")[2] for row in await server.fetch(INDEXES)}
        assert {index: indexes.get(index) for index in family.indexes} == family.indexes
        constraints = {row["name"]: row["sql"] for row in await server.fetch(CONSTRAINTS)}
        assert {one: constraints.get(one) for one in family.constraints} == family.constraints
        for view, rows in family.views.items():
            found = [tuple(row) for row in await server.fetch(f'select * from "{view}"')]
            assert sorted(found, key=repr) == sorted(rows, key=repr)
        assert await server.fetchval(family.insert) == family.returns
        for statement in family.refused:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await server.execute(statement)
    finally:
        await server.close()
