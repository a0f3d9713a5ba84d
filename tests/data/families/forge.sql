-- after the manner of Gitea (xorm): backquotes, unix seconds in INTEGER, NOCASE-free lower_ columns, tables called `user`
CREATE TABLE `version` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `version` INTEGER NULL);
CREATE TABLE `user` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `lower_name` TEXT NOT NULL, `name` TEXT NOT NULL, `is_admin` INTEGER NULL, `created_unix` INTEGER NULL, `keep_email_private` INTEGER DEFAULT 0 NOT NULL, `language` TEXT NULL, `salt` TEXT NULL);
CREATE TABLE `repository` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `owner_id` INTEGER NULL, `lower_name` TEXT NOT NULL, `topics` TEXT NULL, `size` INTEGER DEFAULT 0 NOT NULL, `is_private` INTEGER NULL, `updated_unix` INTEGER NULL);
CREATE TABLE `issue` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `repo_id` INTEGER NULL, `index` INTEGER NULL, `content` TEXT NULL, `deadline_unix` INTEGER NULL);
CREATE TABLE `lfs_lock` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `path` TEXT NULL, `created` DATETIME NULL);
CREATE UNIQUE INDEX `UQE_user_lower_name` ON `user` (`lower_name`);
CREATE UNIQUE INDEX `UQE_repository_s` ON `repository` (`owner_id`,`lower_name`);
CREATE UNIQUE INDEX `UQE_issue_repo_index` ON `issue` (`repo_id`,`index`);
CREATE INDEX `IDX_issue_deadline_unix` ON `issue` (`deadline_unix`);
INSERT INTO `version` VALUES (1, 299);
INSERT INTO `user` (lower_name, name, is_admin, created_unix) VALUES ('ada', 'Ada', 1, 1709287200), ('bob', 'Bob', 0, 1709287300);
INSERT INTO `repository` (owner_id, lower_name, topics, is_private, updated_unix) VALUES (1, 'engine', '["x"]', 0, 1709287200);
INSERT INTO `issue` (id, repo_id, `index`, content) VALUES (41, 1, 1, 'it''s broken'), (42, 1, 2, NULL);
UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'issue';
INSERT INTO `lfs_lock` (path, created) VALUES ('a.bin', '2024-03-01T10:00:00Z');
