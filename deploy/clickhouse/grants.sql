-- What each login may do. Nobody gets ALTER UPDATE, TRUNCATE, DROP or a source (FILE, URL, REMOTE, S3, …).
-- Tables may not exist yet: ClickHouse keeps grants by name. A test compares this file with the embedded store's roles.

GRANT INSERT, SELECT ON custody.events TO writer;
GRANT INSERT, SELECT ON custody.sessions TO writer;
GRANT INSERT, SELECT ON custody.detections TO writer;
GRANT INSERT, SELECT ON custody.lineage TO writer;
GRANT INSERT, SELECT ON custody.retention_actions TO writer;
GRANT INSERT, SELECT ON custody.deliveries TO writer;
GRANT INSERT, SELECT ON custody.checkpoints TO writer;
GRANT INSERT, SELECT ON custody.progress TO writer;

GRANT SELECT ON custody.events TO reader;
GRANT SELECT ON custody.sessions TO reader;
GRANT SELECT ON custody.session_states TO reader;
GRANT SELECT ON custody.detections TO reader;
GRANT SELECT ON custody.lineage TO reader;
GRANT SELECT ON custody.retention_actions TO reader;
GRANT SELECT ON custody.deliveries TO reader;
GRANT SELECT ON custody.checkpoints TO reader;
GRANT SELECT ON custody.progress TO reader;
GRANT SELECT ON custody.migrations TO reader;
GRANT SHOW ON custody.* TO reader;

-- A server does not know ERASE orders: there the retention job keeps to them, and system.query_log shows what it ran
-- under which `log_comment`. DROP PARTITION is part of ALTER DELETE in ClickHouse's privileges.
GRANT SELECT, ALTER DELETE ON custody.events TO retention;
GRANT SELECT, ALTER DELETE ON custody.sessions TO retention;
GRANT SELECT, ALTER DELETE ON custody.detections TO retention;
GRANT SELECT, ALTER DELETE ON custody.lineage TO retention;
GRANT SELECT, ALTER DELETE ON custody.deliveries TO retention;
GRANT SELECT ON custody.retention_actions TO retention;
GRANT SELECT ON custody.checkpoints TO retention;
GRANT SELECT ON custody.progress TO retention;
GRANT SELECT ON system.parts TO retention;
GRANT SELECT ON system.mutations TO retention;

-- Used by `custody up` alone; disable the login in between (ALTER USER schema HOST NONE) where that is wanted.
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER ADD COLUMN, ALTER COMMENT COLUMN, ALTER ADD INDEX,
    ALTER MODIFY COMMENT, SHOW ON custody.* TO schema;
GRANT TABLE ENGINE ON MergeTree TO schema;
GRANT INSERT, SELECT ON custody.migrations TO schema;
GRANT SELECT ON custody.sessions TO schema;
