"""What each role may run, asked of the real front: every trick is refused as reader and as writer."""

import http.client
import urllib.parse
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from deploy.embedded.store_ast import Node, Parsed, blank_quoted, parse_tree
from deploy.embedded.store_errors import QueryRefused
from deploy.embedded.store_guard import decide
from deploy.embedded.store_roles import Role
from tests.support.store import Store

ROLES = ("reader", "writer")

REFUSED = """
SELECT file('{path}')
SELECT * FROM file('{path}', 'LineAsString')
SELECT * FROM (SELECT 1 AS a) WHERE a IN (SELECT length(file('{path}')))
WITH file('{path}') AS x SELECT x
SELECT arrayMap(x -> file(x), ['{path}'])
SELECT * APPLY(file) FROM (SELECT '{path}' AS a)
SELECT * APPLY(x -> file(x)) FROM (SELECT '{path}' AS a)
SELECT COLUMNS('.') APPLY file FROM (SELECT '{path}' AS a)
SELECT * REPLACE(file('{path}') AS a) FROM (SELECT '{path}' AS a)
SELECT FiLe('{path}')
SELECT sum(length(file('{path}'))) OVER ()
SELECT 1 ORDER BY file('{path}')
SELECT 1 LIMIT length(file('{path}'))
SELECT * FROM default.`{path}`
SELECT * FROM `default`.'{path}'
SELECT * FROM '{path}'
SELECT 1 IN default.`{path}`
DESCRIBE TABLE file('{path}')
DESCRIBE TABLE default.`{path}`
DESCRIBE (SELECT file('{path}'))
EXPLAIN SELECT file('{path}')
EXPLAIN PLAN SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')
SHOW COLUMNS FROM events WHERE file('{path}') != ''
SHOW FULL COLUMNS FROM custody.events WHERE 1
SHOW INDEX FROM events WHERE file('{path}') != ''
SHOW TABLES WHERE file('{path}') != ''
SHOW TABLES INTO OUTFILE '{out}'
SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')
SELECT * FROM remote('127.0.0.1:1', 'system.one')
SELECT * FROM remoteSecure('127.0.0.1:1', 'system.one')
SELECT * FROM cluster('default', 'system.one')
SELECT * FROM s3('http://127.0.0.1:1/b/x', 'CSV')
SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'CSV')
SELECT * FROM azureBlobStorage('x', 'y', 'z')
SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e String')
SELECT * FROM sqlite('{path}', 'x')
SELECT * FROM executable('cat', 'LineAsString', 'x String')
SELECT * FROM python('x')
SELECT * FROM Python(x)
SELECT * FROM merge('custody', '.*')
SELECT * FROM merge('system', 'settings')
SELECT * FROM input('a String')
SELECT * FROM view(SELECT 1)
SELECT * FROM dictionary('x')
SELECT * FROM mergeTreeIndex('custody', 'events')
SELECT * FROM loop(custody.events)
SELECT * FROM generateRandom('a String')
SELECT * FROM fuzzQuery('SELECT 1')
SELECT dictGet('a', 'b', 1)
SELECT joinGet('custody.events', 'a', 1)
SELECT hasColumnInTable('127.0.0.1:1', 'user', '', 'custody', 'events', 'at')
SELECT reverseDNSQuery('127.0.0.1')
SELECT aiGenerate('x')
SELECT catboostEvaluate('{path}', 1)
SELECT evalMLMethod(1, 2)
SELECT sleep(3)
SELECT getMacro('x')
SELECT getServerSetting('x')
SELECT no_such_function(1)
SELECT 1 INTO OUTFILE '{out}'
SELECT 1 INTO OUTFILE '{out}' TRUNCATE FORMAT CSV
SELECT 1 UNION ALL SELECT 2 INTO OUTFILE '{out}'
DESCRIBE TABLE events INTO OUTFILE '{out}'
EXISTS TABLE events INTO OUTFILE '{out}'
SHOW CREATE TABLE events INTO OUTFILE '{out}'
EXPLAIN SELECT 1 INTO OUTFILE '{out}'
SELECT 1 SETTINGS max_threads = 1
SELECT * FROM (SELECT 1 SETTINGS max_threads = 1)
SELECT 1 FORMAT CSV SETTINGS readonly = 0
SELECT 1 SETTINGS readonly = 1; DROP TABLE events
SHOW TABLES SETTINGS max_threads = 1
SET readonly = 0
SET max_threads = 1
USE system
SELECT 1; SELECT 2
SELECT 1; DROP TABLE custody.events
SELECT 1 -- x
; DROP TABLE custody.events
SELECT 1 PARALLEL WITH SELECT 2
EXECUTE AS root SELECT 1
INSERT INTO events SELECT file('{path}')
INSERT INTO events (statement) SELECT file('{path}')
INSERT INTO events (statement) SELECT 'x'
INSERT INTO events FROM INFILE '{path}' FORMAT CSV
INSERT INTO events (statement) FROM INFILE '{path}' FORMAT LineAsString
INSERT INTO FUNCTION file('{out}') SELECT 1
INSERT INTO TABLE FUNCTION file('{out}', 'CSV', 'a String') VALUES ('x')
INSERT INTO FUNCTION url('http://127.0.0.1:1/') SELECT 1
INSERT INTO progress SETTINGS async_insert = 1 VALUES ('x')
INSERT INTO system.settings VALUES ('x')
INSERT INTO default.x VALUES (1)
INSERT INTO migrations (number) VALUES (99)
INSERT INTO progress (sink) VALUES (file('{path}'))
INSERT INTO progress (sink) VALUES ('a') ; DROP TABLE events
INSERT INTO progress WATCH events
INSERT INTO progress FORMAT Template
CREATE FUNCTION f AS x -> file(x)
CREATE TABLE custody.t (a String) ENGINE = MergeTree ORDER BY a
CREATE TABLE custody.t (a String) ENGINE = File(CSV)
CREATE TABLE custody.t AS file('{path}')
CREATE TEMPORARY TABLE t (a String)
CREATE VIEW custody.v AS SELECT file('{path}')
CREATE MATERIALIZED VIEW custody.v ENGINE = Memory AS SELECT 1
CREATE DICTIONARY custody.d (a String) PRIMARY KEY a SOURCE(FILE(path '{path}' format 'CSV')) LAYOUT(FLAT())
CREATE DATABASE other
CREATE USER x
CREATE NAMED COLLECTION x AS a = 1
GRANT SELECT ON *.* TO x
ATTACH TABLE custody.t FROM '{path}' (a String) ENGINE = File(CSV)
DETACH TABLE custody.events
DROP TABLE custody.events
DROP DATABASE custody
DROP VIEW custody.session_states
TRUNCATE TABLE custody.events
TRUNCATE ALL TABLES FROM custody
RENAME TABLE custody.events TO custody.other
EXCHANGE TABLES custody.events AND custody.sessions
OPTIMIZE TABLE custody.events FINAL
UPDATE custody.events SET statement = '' WHERE 1
DELETE FROM custody.events WHERE 1
ALTER TABLE custody.events UPDATE statement = '' WHERE 1
ALTER TABLE custody.events DELETE WHERE 1
ALTER TABLE custody.events DROP PARTITION ('standard', 20260101)
ALTER TABLE custody.events DETACH PARTITION ('standard', 20260101)
ALTER TABLE custody.events ADD COLUMN x String
ALTER TABLE custody.events DROP COLUMN statement
ALTER TABLE custody.events MODIFY TTL at + INTERVAL 1 DAY
ALTER TABLE custody.events FREEZE
KILL QUERY WHERE 1
SYSTEM SHUTDOWN
SYSTEM RELOAD CONFIG
SYSTEM FLUSH LOGS
BACKUP TABLE custody.events TO File('{out}')
RESTORE TABLE custody.events FROM File('{path}')
CHECK TABLE custody.events
SHOW PROCESSLIST
SHOW GRANTS
SHOW CREATE USER
SHOW ACCESS
SELECT * FROM system.users
SELECT * FROM system.processes
SELECT * FROM system.query_log
SELECT * FROM system.server_settings
SELECT * FROM system.stack_trace
SELECT * FROM system.named_collections
SELECT 1 IN system.users
SELECT 1 WHERE 'x' GLOBAL NOT IN system.users
SELECT * FROM custody.no_such_table
EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'a', 'b', 'c', 'd') PARTITION BY 1
EXPLAIN CURRENT TRANSACTION
EXPLAIN AST DROP TABLE custody.events
EXPLAIN SYNTAX INSERT INTO events SELECT 1
BEGIN TRANSACTION
COPY events TO '{out}'
SELECT 1 AS "a\\n Function file"
SELECT {{t:Identifier}}, * FROM {{u:Identifier}}
"""

ALLOWED = """
SELECT 1
SELECT count() FROM custody.events
SELECT count() FROM events
SELECT 1 AS "count()"
SELECT e.session_id, s.agent FROM events AS e INNER JOIN sessions AS s USING (session_id)
WITH a AS (SELECT 1 AS x) SELECT * FROM a
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t
SELECT session_id FROM events WHERE session_id IN (SELECT session_id FROM sessions)
SELECT quantile(0.9)(duration_us), sumIf(rows, verdict = 'deny'), uniqExactIf(agent, rows > 1) FROM events
SELECT toStartOfHour(at) AS h, count() FROM events GROUP BY h ORDER BY h WITH FILL LIMIT 3
SELECT * EXCEPT (canonical) FROM events LIMIT 1
SELECT row_number() OVER (PARTITION BY agent ORDER BY at) FROM events
SELECT attributes['a'], masked.label, parameters[1], tupleElement(arrayElement(masked, 1), 'token') FROM events
SELECT CASE WHEN 1 THEN 2 ELSE 3 END, CAST('1' AS UInt8), 1 BETWEEN 0 AND 2, NOT 1, 'a' || 'b', INTERVAL 1 DAY
SELECT EXISTS(SELECT 1), arrayMap(x -> x + 1, [1]), (1, 2).1, map('a', 1)['a'], DATE '2026-01-01'
SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 2
SELECT * FROM events WHERE hasToken(lower(statement), 'drop') OR hasAnyTokens(statement, ['drop'])
SELECT number FROM numbers(3) ARRAY JOIN [1, 2] AS x
SELECT 'file(''x'') INTO OUTFILE SETTINGS a = 1; DROP TABLE x'
SELECT 1; -- the end
/* hello */ SELECT 1 -- the end
SHOW TABLES
SHOW TABLES FROM custody LIKE 'e%' LIMIT 2
SHOW DATABASES
SHOW COLUMNS FROM events
SHOW CREATE TABLE events
DESCRIBE TABLE custody.events
DESC events
EXISTS TABLE events
EXPLAIN SELECT 1
EXPLAIN indexes = 1 SELECT * FROM events WHERE session_id = 'x'
EXPLAIN AST SELECT 1
SELECT name FROM system.tables WHERE database = 'custody'
SELECT * FROM system.columns LIMIT 1
SELECT table_name FROM information_schema.tables
SELECT getSetting('readonly')
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A file that must not be read and one that must not be written."""
    directory = tmp_path_factory.mktemp("places")
    (directory / "secret.csv").write_text("sekrit-content\n")
    return {"path": str(directory / "secret.csv"), "out": str(directory / "out.csv")}


def post(store: Store, role: str, query: str, method: str = "POST", **params: str) -> tuple[int, str]:
    """Status and text of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
    headers = {"X-ClickHouse-User": role, "X-ClickHouse-Key": store.password(role)}
    if method == "GET":
        params["query"] = query
    path = "/?" + urllib.parse.urlencode(params)
    connection.request(method, path, body=None if method == "GET" else query.encode(), headers=headers)
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace")
    connection.close()
    return response.status, text


def statements(text: str, **places: str) -> list[str]:
    """The lines of a table; a line that starts with `;` belongs to the one before."""
    lines = text.strip().format(**places).replace("\n;", "\x00;").split("\n")
    return [line.replace("\x00", "\n").replace("\\n", "\n") for line in lines]


NAMES = {"path": "/etc/hostname", "out": "/nowhere/out"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("index", range(len(statements(REFUSED, **NAMES))), ids=statements(REFUSED, **NAMES))
def test_every_trick_is_refused(store: Store, places: dict[str, str], role: str, index: int) -> None:
    query = statements(REFUSED, **places)[index]
    status, text = post(store, role, query, param_t="a", param_u="system.users")
    assert status in (400, 403, 404), (status, text)
    assert text.startswith("Code: ")
    assert "sekrit" not in text
    assert not Path(places["out"]).exists()
    assert post(store, "reader", "SELECT 'clean'") == (200, "clean\n")


@pytest.mark.parametrize("role", ROLES)
def test_ordinary_reading_works(store: Store, role: str) -> None:
    for query in statements(ALLOWED):
        status, text = post(store, role, query)
        assert status == 200, (query, text)


def test_all_tables_are_still_there(store: Store) -> None:
    """Runs after the tricks: none of them had an effect."""
    _, text = post(store, "reader", "SHOW TABLES FROM custody")
    assert text.split() == [
        "checkpoints", "deliveries", "detections", "events", "lineage", "migrations", "progress",
        "retention_actions", "session_states", "sessions",
    ]  # fmt: skip
    assert post(store, "reader", "SELECT count() FROM progress WHERE sink IN ('a', 'x')") == (200, "0\n")
    assert post(store, "reader", "SELECT count() FROM migrations WHERE number = 99") == (200, "0\n")


def test_output_of_a_failed_statement_never_turns_up_later(store: Store) -> None:
    for _ in range(3):
        status, text = post(store, "reader", "SELECT number, throwIf(number = 70000) FROM numbers(100000)")
        assert status == 500 and "throwIf" in text
        for _ in range(6):
            assert post(store, "reader", "SELECT 'clean'") == (200, "clean\n")


def test_get_only_reads(store: Store) -> None:
    assert post(store, "reader", "SELECT 1", method="GET") == (200, "1\n")
    status, text = post(store, "writer", "INSERT INTO progress (sink) FORMAT CSV\nx", method="GET")
    assert (status, "READONLY" in text) == (403, True)
    status, text = post(store, "schema", "CREATE DATABASE IF NOT EXISTS custody", method="GET")
    assert (status, "READONLY" in text) == (403, True)


def test_settings_in_the_url_open_nothing(store: Store, places: dict[str, str]) -> None:
    settings = {"readonly": "0", "allow_ddl": "1", "log_comment": "ERASE o-1", "max_result_bytes": "0"}
    for role in ROLES:
        for query in (f"SELECT file('{places['path']}')", "DROP TABLE events", "ALTER TABLE events DELETE WHERE 1"):
            assert post(store, role, query, **settings)[0] == 403
    assert post(store, "reader", "SELECT getSetting('readonly')", **settings) == (200, "1\n")
    assert post(store, "reader", "SELECT 1", database="system")[0] == 404


def test_retention_drops_partitions_and_erases_only_under_an_order(store: Store) -> None:
    writer, retention = store.client("writer"), store.client("retention")
    columns = ["session_id", "seq", "at", "retention_class", "statement"]
    rows = [["guard-a", n, f"2026-01-0{n} 00:00:00", "short", "x"] for n in (1, 2, 3)]
    settings = {"date_time_input_format": "best_effort"}
    writer.raw_insert("events", columns, "\n".join(",".join(map(str, row)) for row in rows), settings, "CSV")

    def days() -> list[int]:
        rows = retention.query(
            "SELECT toDayOfMonth(at) FROM events WHERE session_id = 'guard-a' ORDER BY 1"
        ).result_rows
        return [row[0] for row in rows]

    assert days() == [1, 2, 3]
    retention.command("ALTER TABLE custody.events DROP PARTITION ('short', 20260101)")
    assert days() == [2, 3]
    erase = "ALTER TABLE custody.events DELETE WHERE session_id = 'guard-a' AND seq = 2"
    with pytest.raises(DatabaseError, match="ERASE order"):
        retention.command(erase)
    with pytest.raises(DatabaseError, match="ERASE order"):
        retention.command(erase, settings={"log_comment": "not an order"})
    retention.command(erase, settings={"log_comment": "ERASE order-17"})
    assert days() == [3]
    for query in statements(RETENTION_REFUSED, **NAMES):
        assert post(store, "retention", query, log_comment="ERASE order-17")[0] in (400, 403), query
    assert days() == [3]


RETENTION_REFUSED = """
ALTER TABLE custody.events DROP PARTITION ALL
ALTER TABLE custody.events DETACH PARTITION ('short', 20260103)
ALTER TABLE custody.events DROP PART 'x'
ALTER TABLE custody.events DROP PARTITION ('short', 20260103), DETACH PARTITION ('short', 20260102)
ALTER TABLE custody.events DROP PARTITION ('short', 20260103), DROP COLUMN statement
ALTER TABLE custody.events DROP PARTITION tuple(file('{path}'), 1)
ALTER TABLE custody.progress DROP PARTITION tuple()
ALTER TABLE custody.checkpoints DELETE WHERE 1
ALTER TABLE custody.retention_actions DELETE WHERE 1
ALTER TABLE custody.migrations DELETE WHERE 1
ALTER TABLE system.events DELETE WHERE 1
ALTER TABLE custody.events DELETE WHERE statement = file('{path}')
ALTER TABLE custody.events DELETE WHERE statement IN (SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString'))
ALTER TABLE custody.events DELETE WHERE seq = 1, UPDATE statement = '' WHERE 1
ALTER TABLE custody.events DELETE WHERE seq = 1 SETTINGS mutations_sync = 0
ALTER TABLE custody.events UPDATE statement = '' WHERE 1
DELETE FROM custody.events WHERE 1
TRUNCATE TABLE custody.events
DROP TABLE custody.events
INSERT INTO events (session_id) VALUES ('x')
SELECT file('{path}')
"""

SCHEMA_REFUSED = """
DROP TABLE custody.events
CREATE OR REPLACE TABLE custody.events (a String) ENGINE = MergeTree ORDER BY a
REPLACE TABLE custody.events (a String) ENGINE = MergeTree ORDER BY a
ATTACH TABLE custody.x (a String) ENGINE = MergeTree ORDER BY a
CREATE TABLE custody.x (a String) ENGINE = File(CSV)
CREATE TABLE custody.x (a String) ENGINE = URL('http://127.0.0.1:1/', CSV)
CREATE TABLE custody.x AS file('{path}')
CREATE TABLE custody.x ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM file('{path}', 'LineAsString')
CREATE TABLE custody.x (a String DEFAULT file('{path}')) ENGINE = MergeTree ORDER BY a
CREATE VIEW custody.x AS SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')
CREATE MATERIALIZED VIEW custody.x TO custody.events AS SELECT * FROM custody.events
CREATE TABLE default.x (a String) ENGINE = MergeTree ORDER BY a
CREATE DATABASE other
CREATE FUNCTION f AS x -> x
ALTER TABLE custody.events DROP COLUMN statement
ALTER TABLE custody.events ADD COLUMN x String, DROP COLUMN statement
ALTER TABLE custody.events ADD COLUMN x String DEFAULT file('{path}')
ALTER TABLE custody.events DELETE WHERE 1
ALTER TABLE custody.events DROP PARTITION ('short', 20260103)
INSERT INTO events (session_id) VALUES ('x')
"""


def test_schema_adds_and_nothing_else(store: Store) -> None:
    for query in statements(SCHEMA_REFUSED, **NAMES):
        status, text = post(store, "schema", query, log_comment="ERASE order-17")
        assert status in (400, 403, 404), (query, text)


def test_a_tree_whose_counts_disagree_is_refused() -> None:
    with pytest.raises(QueryRefused):
        parse_tree(["SelectWithUnionQuery (children 1)"])
    with pytest.raises(QueryRefused):
        parse_tree(["SelectWithUnionQuery (children 1)", "   Function x"])
    with pytest.raises(QueryRefused):
        parse_tree(["SelectWithUnionQuery", "SelectWithUnionQuery"])


def test_unknown_kinds_of_statements_are_refused() -> None:
    with pytest.raises(QueryRefused, match="may not run"):
        decide(Role.READER, Parsed("", Node("BrandNewQuery", "")))


def test_names_with_control_characters_are_refused() -> None:
    assert blank_quoted("SELECT `a b`, 'it\\'s `x`' AS \"c\"") == "SELECT q, '' AS q"
    with pytest.raises(QueryRefused):
        blank_quoted("SELECT `a\\nb`")
