-- after the manner of a notes application: FTS5 over a table and FTS5 with rows of its own, tags in NOCASE, random ids
CREATE TABLE notes (id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))), title TEXT NOT NULL DEFAULT '', body TEXT NOT NULL DEFAULT '', is_todo INT NOT NULL DEFAULT 0 CHECK (is_todo IN (0, 1)), created_time INT NOT NULL DEFAULT (unixepoch()), updated_time INT NOT NULL DEFAULT (strftime('%s', 'now') * 1000), latitude NUMERIC NOT NULL DEFAULT 0, "order" NUMERIC NOT NULL DEFAULT 0);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE);
CREATE TABLE note_tags (note_id TEXT NOT NULL REFERENCES notes (id) ON DELETE CASCADE, tag_id INTEGER NOT NULL REFERENCES tags (id), PRIMARY KEY (note_id, tag_id)) WITHOUT ROWID;
CREATE TABLE settings ("key" TEXT PRIMARY KEY, value TEXT) STRICT;
CREATE VIRTUAL TABLE notes_fts USING fts5(title, body, content='notes', content_rowid='rowid');
CREATE VIRTUAL TABLE journal USING fts5(day, entry, tokenize = 'unicode61 remove_diacritics 2');
CREATE INDEX notes_updated ON notes (updated_time DESC);
CREATE INDEX notes_todo ON notes (title COLLATE NOCASE) WHERE is_todo = 1;
CREATE VIEW todo_titles AS SELECT title, CASE WHEN length(body) > 3 THEN 'long' ELSE 'short' END AS size FROM notes WHERE is_todo = 1;
CREATE TRIGGER notes_ai AFTER INSERT ON notes BEGIN INSERT INTO notes_fts (rowid, title, body) VALUES (new.rowid, new.title, new.body); END;
INSERT INTO notes (id, title, body, is_todo, created_time, updated_time, latitude) VALUES ('n1', 'Einkauf', 'Brot & Milch', 1, 1709287200123, 1709287200123, 50.9375), ('n2', 'Émile', '', 0, 1709287300123, 1709287300123, 0);
INSERT INTO tags (name) VALUES ('Home'), ('work');
INSERT INTO note_tags VALUES ('n1', 1), ('n1', 2);
INSERT INTO settings VALUES ('locale', 'de_DE');
INSERT INTO journal (rowid, day, entry) VALUES (20240301, '2024-03-01', 'Heute war schön'), (20240302, '2024-03-02', 'Regen');
