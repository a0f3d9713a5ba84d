-- after the manner of Home Assistant's recorder (SQLAlchemy): seconds as FLOAT, deferred schema, self-references, CLOB
CREATE TABLE schema_changes (change_id INTEGER NOT NULL, schema_version INTEGER, changed DATETIME, PRIMARY KEY (change_id));
CREATE TABLE recorder_runs (run_id INTEGER NOT NULL, start DATETIME, "end" DATETIME, closed_incorrect BOOLEAN, created DATETIME, PRIMARY KEY (run_id));
CREATE TABLE state_attributes (attributes_id INTEGER NOT NULL, hash INTEGER, shared_attrs TEXT, PRIMARY KEY (attributes_id));
CREATE TABLE states_meta (metadata_id INTEGER NOT NULL, entity_id VARCHAR(255), PRIMARY KEY (metadata_id));
CREATE TABLE states (state_id INTEGER NOT NULL, entity_id CHAR(0), state VARCHAR(255), attributes CHAR(0), event_id SMALLINT, last_changed CHAR(0), last_changed_ts FLOAT, last_updated_ts FLOAT, old_state_id INTEGER, attributes_id INTEGER, context_id_bin BLOB, metadata_id INTEGER, PRIMARY KEY (state_id), FOREIGN KEY(old_state_id) REFERENCES states (state_id), FOREIGN KEY(attributes_id) REFERENCES state_attributes (attributes_id), FOREIGN KEY(metadata_id) REFERENCES states_meta (metadata_id));
CREATE TABLE statistics_meta (id INTEGER NOT NULL, statistic_id VARCHAR(255), has_mean BOOLEAN, PRIMARY KEY (id));
CREATE TABLE statistics (id INTEGER NOT NULL, created CHAR(0), start_ts FLOAT, mean FLOAT, metadata_id INTEGER, PRIMARY KEY (id), FOREIGN KEY(metadata_id) REFERENCES statistics_meta (id) ON DELETE CASCADE);
CREATE UNIQUE INDEX ix_states_meta_entity_id ON states_meta (entity_id);
CREATE INDEX ix_states_metadata_id_last_updated_ts ON states (metadata_id, last_updated_ts);
CREATE INDEX ix_states_context_id_bin ON states (context_id_bin);
CREATE UNIQUE INDEX ix_statistics_statistic_id_start_ts ON statistics (metadata_id, start_ts);
INSERT INTO schema_changes VALUES (1, 43, '2024-03-01 10:00:00.000000');
INSERT INTO recorder_runs VALUES (1, '2024-03-01 10:00:00.123456', NULL, 0, '2024-03-01 10:00:00.123457');
INSERT INTO state_attributes VALUES (1, 3735928559, '{"unit":"°C"}');
INSERT INTO states_meta VALUES (1, 'sensor.kitchen');
INSERT INTO states VALUES (1, NULL, '21.5', NULL, NULL, NULL, NULL, 1709287200.12345, NULL, 1, x'018dfa3bd5c7f1e2a3b4c5d6e7f80910', 1), (2, NULL, 'unavailable', NULL, NULL, NULL, 1709287300.5, 1709287300.5, 1, 1, x'018dfa3bd5c7f1e2a3b4c5d6e7f80911', 1);
INSERT INTO statistics_meta VALUES (1, 'sensor.kitchen', 1);
INSERT INTO statistics VALUES (1, NULL, 1709287200.0, 21.25, 1);
