-- after the manner of Vaultwarden (Diesel): text uuid keys, BLOB password hashes, composite keys, datetimes as TEXT types
CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE users (uuid TEXT NOT NULL PRIMARY KEY, created_at DATETIME NOT NULL, email TEXT NOT NULL UNIQUE, password_hash BLOB NOT NULL, password_iterations INTEGER NOT NULL, akey TEXT NOT NULL, enabled BOOLEAN NOT NULL DEFAULT 1, client_kdf_iter INTEGER NOT NULL DEFAULT 100000);
CREATE TABLE organizations (uuid VARCHAR(40) NOT NULL PRIMARY KEY, name TEXT NOT NULL, private_key TEXT);
CREATE TABLE ciphers (uuid TEXT NOT NULL PRIMARY KEY, created_at DATETIME NOT NULL, user_uuid TEXT REFERENCES users(uuid), organization_uuid TEXT REFERENCES organizations(uuid), atype INTEGER NOT NULL, data TEXT NOT NULL, deleted_at DATETIME);
CREATE TABLE users_organizations (uuid TEXT NOT NULL PRIMARY KEY, user_uuid TEXT NOT NULL REFERENCES users (uuid), org_uuid TEXT NOT NULL REFERENCES organizations (uuid), access_all BOOLEAN NOT NULL, UNIQUE (user_uuid, org_uuid));
CREATE TABLE folders_ciphers (cipher_uuid TEXT NOT NULL REFERENCES ciphers (uuid), folder_uuid TEXT NOT NULL, PRIMARY KEY (cipher_uuid, folder_uuid));
CREATE TABLE favorites (user_uuid TEXT NOT NULL REFERENCES users(uuid), cipher_uuid TEXT NOT NULL REFERENCES ciphers(uuid), PRIMARY KEY (user_uuid, cipher_uuid));
CREATE TABLE twofactor_incomplete (user_uuid TEXT NOT NULL REFERENCES users(uuid), device_uuid TEXT NOT NULL, login_time DATETIME NOT NULL, PRIMARY KEY (user_uuid, device_uuid)) WITHOUT ROWID;
INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('20180114171611', '2024-03-01 10:00:00');
INSERT INTO users VALUES ('a-1', '2024-03-01 10:00:00.123456789', 'ada@example.org', x'00ff10', 600000, '2.abc', 1, 600000);
INSERT INTO organizations VALUES ('o-1', 'Household', NULL);
INSERT INTO ciphers VALUES ('c-1', '2024-03-01 10:00:01', 'a-1', NULL, 1, '{"u":"x"}', NULL), ('c-2', '2024-03-01 10:00:02', NULL, 'o-1', 2, '{}', '2024-03-05 00:00:00');
INSERT INTO users_organizations VALUES ('m-1', 'a-1', 'o-1', 1);
INSERT INTO folders_ciphers VALUES ('c-1', 'f-1');
INSERT INTO favorites VALUES ('a-1', 'c-2');
INSERT INTO twofactor_incomplete VALUES ('a-1', 'd-1', '2024-03-01 10:00:00');
