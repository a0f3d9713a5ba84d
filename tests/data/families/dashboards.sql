-- after the manner of Grafana (xorm): DATETIME with Go's spelling of times, TINYINT flags, TEXT documents, long index names
CREATE TABLE `migration_log` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `migration_id` TEXT NOT NULL, `sql` TEXT NOT NULL, `success` INTEGER NOT NULL, `error` TEXT NOT NULL, `timestamp` DATETIME NOT NULL);
CREATE TABLE `org` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `version` INTEGER NOT NULL, `name` TEXT NOT NULL, `created` DATETIME NOT NULL);
CREATE TABLE `dashboard` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `version` INTEGER NOT NULL, `slug` TEXT NOT NULL, `data` TEXT NOT NULL, `org_id` INTEGER NOT NULL, `created` DATETIME NOT NULL, `is_folder` INTEGER NOT NULL DEFAULT 0, `has_acl` INTEGER NOT NULL DEFAULT '0', `uid` TEXT NULL);
CREATE TABLE `alert_rule` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `for` INTEGER NOT NULL DEFAULT 0, `no_data_state` TEXT NOT NULL DEFAULT 'NoData', `updated` DATETIME NOT NULL, `is_paused` BOOLEAN NOT NULL DEFAULT false, `guid` TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX `UQE_dashboard_org_id_uid` ON `dashboard` (`org_id`,`uid`);
CREATE UNIQUE INDEX `UQE_org_name` ON `org` (`name`);
CREATE INDEX `IDX_alert_rule_a_name_that_is_much_longer_than_postgresql_would_ever_take` ON `alert_rule` (`no_data_state`,`updated`);
INSERT INTO `migration_log` (migration_id, sql, success, error, timestamp) VALUES ('create org', 'CREATE TABLE …', 1, '', '2024-03-01 10:00:00');
INSERT INTO `org` (version, name, created) VALUES (0, 'Main Org.', '2024-03-01 10:00:00');
INSERT INTO `dashboard` (version, slug, data, org_id, created, uid) VALUES (3, 'home', '{"panels":[]}', 1, '2024-03-01 10:00:00', 'abc'), (1, 'empty', '', 1, '2024-03-01 10:00:00', NULL);
INSERT INTO `alert_rule` (updated, is_paused) VALUES ('2024-03-01 10:00:00', 1);
