-- The logins of Custody on a ClickHouse server of your own. The embedded store keeps the same roles in its front.
-- Run once, as an administrator, with the four passwords as query parameters:
--   clickhouse-client --multiquery --param_writer=… --param_reader=… --param_retention=… --param_schema=… < users.sql
-- Put the same passwords into secrets/store/<role>.password of the home. Then run grants.sql, then `custody up`.

CREATE DATABASE IF NOT EXISTS custody;

CREATE SETTINGS PROFILE IF NOT EXISTS custody_writer SETTINGS
    async_insert = 0 CONST,
    insert_deduplicate = 1 CONST,
    input_format_values_interpret_expressions = 0 CONST,
    max_memory_usage = 8000000000,
    max_execution_time = 300;

CREATE SETTINGS PROFILE IF NOT EXISTS custody_reader SETTINGS
    readonly = 1,
    max_result_bytes = 268435456,
    result_overflow_mode = 'throw',
    max_memory_usage = 8000000000,
    max_execution_time = 60;

CREATE SETTINGS PROFILE IF NOT EXISTS custody_retention SETTINGS
    mutations_sync = 2 CONST,
    max_execution_time = 3600;

CREATE USER IF NOT EXISTS writer IDENTIFIED WITH sha256_password BY {writer:String}
    DEFAULT DATABASE custody SETTINGS PROFILE custody_writer;
CREATE USER IF NOT EXISTS reader IDENTIFIED WITH sha256_password BY {reader:String}
    DEFAULT DATABASE custody SETTINGS PROFILE custody_reader;
CREATE USER IF NOT EXISTS retention IDENTIFIED WITH sha256_password BY {retention:String}
    DEFAULT DATABASE custody SETTINGS PROFILE custody_retention;
CREATE USER IF NOT EXISTS schema IDENTIFIED WITH sha256_password BY {schema:String}
    DEFAULT DATABASE custody;
