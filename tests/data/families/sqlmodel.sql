-- after the manner of SQLModel with Alembic: alembic_version, enums as CHECK, named constraints, self-references
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE team (
	id INTEGER NOT NULL,
	name VARCHAR NOT NULL,
	headquarters VARCHAR,
	founded DATE,
	PRIMARY KEY (id)
);
CREATE INDEX ix_team_name ON team (name);
CREATE TABLE hero (
	id CHAR(32) NOT NULL,
	name VARCHAR(50) NOT NULL,
	level VARCHAR(6) DEFAULT 'novice' NOT NULL,
	score FLOAT,
	active BOOLEAN DEFAULT (1) NOT NULL,
	joined DATETIME DEFAULT (CURRENT_TIMESTAMP),
	team_id INTEGER,
	mentor_id CHAR(32),
	CONSTRAINT pk_hero PRIMARY KEY (id),
	CONSTRAINT uq_hero_name UNIQUE (name),
	CONSTRAINT ck_hero_level CHECK (level IN ('novice', 'expert')),
	CONSTRAINT ck_hero_active CHECK (active IN (0, 1)),
	CONSTRAINT fk_hero_team_id_team FOREIGN KEY(team_id) REFERENCES team (id) ON DELETE SET NULL,
	CONSTRAINT fk_hero_mentor_id_hero FOREIGN KEY(mentor_id) REFERENCES hero (id)
);
CREATE TABLE hero_tag (
	hero_id CHAR(32) NOT NULL,
	tag VARCHAR(20) NOT NULL,
	PRIMARY KEY (hero_id, tag),
	FOREIGN KEY(hero_id) REFERENCES hero (id) ON DELETE CASCADE
);
INSERT INTO alembic_version VALUES ('ae1027a6acf');
INSERT INTO team VALUES (1, 'Wasps', 'Köln', '1999-12-31'), (7, 'Ants', NULL, NULL);
INSERT INTO hero VALUES ('00000000000000000000000000000001', 'Ada', 'expert', 0.1, 1, '2024-03-01 10:00:00.000000', 7, NULL), ('00000000000000000000000000000002', 'Bob', 'novice', NULL, 0, '2024-03-02 10:00:00', NULL, '00000000000000000000000000000001');
INSERT INTO hero_tag VALUES ('00000000000000000000000000000001', 'x'), ('00000000000000000000000000000001', 'X');
