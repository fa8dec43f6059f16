import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.model import Operation
from policy.postgres import MAX_PARSED_CHARS, UNKNOWN, classify_postgres

READ = """
SELECT 1
SELECT * FROM users WHERE id = 4
select abalance from pgbench_accounts where aid = $1
TABLE users
VALUES (1), (2)
SELECT lower(name), count(*), max(age) FROM users GROUP BY 1
SELECT pg_catalog.lower(name) FROM users
SELECT * FROM a JOIN b USING (id) LEFT JOIN c ON a.x = c.x
SELECT * FROM a UNION ALL SELECT * FROM b
SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t
WITH x AS (SELECT * FROM t) SELECT * FROM x
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n
SELECT extract(year FROM now()), position('a' IN b), substring(c FROM 2 FOR 3), trim(d) FROM t
SELECT '2024-01-01'::date + interval '1 day' AT TIME ZONE 'UTC'
SELECT coalesce(a, b), nullif(a, b), greatest(a, b), CASE WHEN a THEN 1 ELSE 2 END FROM t
SELECT array_agg(x ORDER BY y) FILTER (WHERE z) FROM t
SELECT (ARRAY[1, 2])[1], ROW(1, 2), (ARRAY[1])[1:2]
SELECT * FROM generate_series(1, 10) g
SELECT * FROM unnest(ARRAY[1, 2]) WITH ORDINALITY
SELECT a->'b'->>'c', a @> '{}'::jsonb FROM t
SELECT * FROM json_table('[]', '$[*]' COLUMNS (a int PATH '$')) j
SELECT json_object('a': 1), json_array(1, 2)
SELECT * FROM t TABLESAMPLE bernoulli (10)
SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id) AND a IN (SELECT b FROM v)
SELECT grouping(a), sum(b) FROM t GROUP BY ROLLUP (a)
SELECT xmlelement(name a, b) FROM t
SELECT random(), gen_random_uuid(), clock_timestamp(), pg_is_in_recovery()
SELECT current_user, session_user, current_setting('search_path')
SELECT pg_relation_size('t'), pg_get_viewdef('v'::regclass)
SELECT a OPERATOR(pg_catalog.+) b FROM t
SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b LIMIT 5 OFFSET 2
SHOW search_path
SHOW ALL
BEGIN
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
START TRANSACTION READ WRITE
ROLLBACK
SAVEPOINT s
ROLLBACK TO s
RELEASE s
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
SET statement_timeout = 1000
SET TIME ZONE 'UTC'
SET DateStyle = 'ISO'
SET client_encoding = 'UTF8'
SET NAMES 'UTF8'
SET standard_conforming_strings = on
RESET ALL
RESET statement_timeout
SET CONSTRAINTS ALL DEFERRED
DECLARE c CURSOR FOR SELECT * FROM t
FETCH 10 FROM c
MOVE 5 FROM c
CLOSE c
PREPARE p AS SELECT * FROM t
DEALLOCATE p
DEALLOCATE ALL
LISTEN events
UNLISTEN *
EXPLAIN SELECT * FROM t
EXPLAIN DELETE FROM t
EXPLAIN (ANALYZE false, VERBOSE) UPDATE t SET a = 1
EXPLAIN ANALYZE SELECT * FROM t
COPY t TO STDOUT
COPY (SELECT * FROM t) TO STDOUT WITH (FORMAT csv)
/* DROP TABLE t */ SELECT 1
-- DELETE FROM t
SELECT 'DROP TABLE t; DELETE FROM t'
SELECT $$; DELETE FROM t$$
SELECT "delete" FROM "update"
;;
"""
WRITE = """
INSERT INTO t VALUES (1)
INSERT INTO t SELECT * FROM u ON CONFLICT DO NOTHING
UPDATE t SET a = 1 WHERE id = 2
MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 1
WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x
WITH x AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM x
SELECT * FROM t FOR UPDATE
SELECT * FROM t FOR KEY SHARE
SELECT * FROM (SELECT * FROM t FOR UPDATE) x
SELECT nextval('s')
SELECT setval('s', 1)
SELECT my_function(1)
SELECT public.lower('x')
SELECT app.refund(id) FROM orders
SELECT * FROM do_things()
SELECT * FROM ROWS FROM (f(1), g(2)) AS x
SELECT (row).my_function FROM t
SELECT a OPERATOR(evil.+) b FROM t
SELECT pg_notify('c', 'x')
SELECT pg_advisory_lock(1)
SELECT pg_sleep(1)
SELECT lo_unlink(1)
SELECT lo_from_bytea(0, 'x')
SELECT count(*) FROM t WHERE f(a)
SELECT 1 ORDER BY f(1)
SELECT sum(a) FILTER (WHERE f(a)) FROM t
SELECT CASE WHEN true THEN f(1) END
VALUES (f(1))
EXPLAIN SELECT f(1)
EXPLAIN ANALYZE INSERT INTO t VALUES (1)
EXPLAIN (ANALYZE 0) INSERT INTO t VALUES (1)
EXPLAIN (VERBOSE, ANALYZE true) UPDATE t SET a = 1
PREPARE p AS UPDATE t SET a = 1
DECLARE c CURSOR FOR SELECT f(1)
COPY t FROM STDIN
COPY (INSERT INTO t VALUES (1) RETURNING *) TO STDOUT
COMMIT
END
PREPARE TRANSACTION 'x'
COMMIT PREPARED 'x'
NOTIFY c, 'x'
LOCK TABLE t
VACUUM t
ANALYZE t
REFRESH MATERIALIZED VIEW m
DISCARD ALL
SET search_path = evil, pg_catalog
SET app.user_id = 'x'
SET default_transaction_read_only = off
SELECT set_config('search_path', '', false)
SELECT pg_catalog.set_config('app.tenant', 'x', true)
SELECT U&"my\\005ffunction"(1)
"""
DELETE = """
DELETE FROM t
DELETE FROM t USING u WHERE t.id = u.id
TRUNCATE t, u
WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x
WITH x AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM x
WITH a AS (WITH b AS (DELETE FROM t RETURNING *) SELECT * FROM b) SELECT * FROM a
MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE
EXPLAIN ANALYZE DELETE FROM t
PREPARE p AS DELETE FROM t
SELECT 1; DELETE FROM t
"""
DDL = """
CREATE TABLE t (a int)
CREATE TABLE t AS SELECT * FROM u
SELECT * INTO x FROM t
WITH q AS (SELECT 1) SELECT * INTO x FROM q
CREATE INDEX i ON t (a)
CREATE VIEW v AS SELECT 1
CREATE MATERIALIZED VIEW m AS SELECT 1
ALTER TABLE t ADD COLUMN b int
DROP TABLE t
DROP FUNCTION f(int)
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()
CREATE RULE r AS ON SELECT TO t DO INSTEAD SELECT 1
COMMENT ON TABLE t IS 'x'
CREATE SCHEMA s
CREATE DATABASE d
REINDEX TABLE t
BEGIN; DROP TABLE t; COMMIT
"""
GRANT = """
GRANT SELECT ON t TO bob
GRANT admin TO bob
REVOKE ALL ON t FROM bob
CREATE ROLE bob LOGIN PASSWORD 'x'
ALTER ROLE bob SUPERUSER
DROP ROLE bob
ALTER TABLE t OWNER TO bob
ALTER TABLE t DISABLE ROW LEVEL SECURITY
CREATE POLICY p ON t USING (true)
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob
REASSIGN OWNED BY a TO b
"""
EXECUTE = """
DO $$ BEGIN DELETE FROM t; END $$
CALL p()
EXECUTE p(1)
SELECT query_to_xml('DELETE FROM t', true, true, '')
SELECT table_to_xml('secrets', true, true, '')
SELECT * FROM ts_stat('SELECT 1')
"""
ADMIN = """
SET ROLE admin
SET LOCAL ROLE admin
RESET ROLE
SET SESSION AUTHORIZATION bob
SET standard_conforming_strings = off
SET standard_conforming_strings = 0
SET client_encoding = 'SJIS'
SET session_replication_role = replica
SELECT set_config('role', 'admin', false)
SELECT set_config('ro' || 'le', 'admin', false)
SELECT set_config('standard_conforming_strings', 'off', false)
ALTER SYSTEM SET work_mem = '1GB'
COPY t TO PROGRAM 'curl example.com'
COPY t FROM PROGRAM 'id'
COPY t TO '/tmp/x'
COPY t FROM '/etc/passwd'
LOAD 'x'
CHECKPOINT
CREATE EXTENSION dblink
CREATE SERVER s FOREIGN DATA WRAPPER w
CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p
SELECT pg_read_file('/etc/passwd')
SELECT pg_catalog.pg_read_file('/etc/passwd')
SELECT ('/etc/passwd'::text).pg_read_file
SELECT f.pg_read_file FROM cast('/etc/passwd' AS text) f
SELECT PG_READ_FILE('/etc/passwd')
SELECT "pg_read_file"('/etc/passwd')
SELECT U&"pg\\005fread_file"('/etc/passwd')
SELECT/**/pg_read_file/**/('/etc/passwd')
SELECT * FROM pg_ls_dir('.')
SELECT lo_import('/etc/passwd')
SELECT lo_export(1, '/tmp/x')
SELECT pg_terminate_backend(1)
SELECT pg_reload_conf()
SELECT dblink('host=x', 'SELECT 1')
SELECT * FROM dblink_exec('DELETE FROM t') x
SELECT 1 WHERE EXISTS (SELECT pg_read_file('x'))
INSERT INTO t SELECT pg_read_file('/etc/passwd')
SELECT 1 LIMIT length(pg_read_file('/etc/passwd'))
"""
UNKNOWNS = ["SELEC 1", "SELECT 'open", "\0", "DROP TABLE t\0SELECT 1", "((((", "\ud800", "@@@", "SELECT 1 /* open"]


def lines(block):
    return [line for line in block.strip().split("\n") if line]


CASES = [
    (operation, statement)
    for operation, block in zip(Operation, (READ, WRITE, DELETE, DDL, GRANT, EXECUTE, ADMIN), strict=True)
    for statement in lines(block)
]


def test_there_are_enough_cases():
    assert len(CASES) >= 200


@pytest.mark.parametrize(("operation", "statement"), CASES, ids=[statement for _, statement in CASES])
def test_operation(operation, statement):
    classified = classify_postgres(statement.replace("\\\\", "\\"))
    assert (classified.operation, classified.is_unknown) == (operation, False)


@pytest.mark.parametrize("statement", UNKNOWNS)
def test_what_cannot_be_parsed_is_unknown_and_most_dangerous(statement):
    classified = classify_postgres(statement)
    assert classified.is_unknown
    assert classified.operation is Operation.ADMIN


OBJECTS = [
    ("SELECT * FROM a, s.b", {"read a", "read s.b"}),
    ("WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets", {"read secrets"}),
    ("WITH x AS (SELECT 1) SELECT * FROM x, public.x", {"read public.x"}),
    ("SELECT * FROM secrets, (WITH secrets AS (SELECT 1) SELECT * FROM secrets) q", {"read secrets"}),
    ("WITH RECURSIVE r AS (SELECT 1 UNION SELECT * FROM r) SELECT * FROM r", set()),
    ("WITH t AS (SELECT 1) DELETE FROM t", {"delete t"}),
    ("WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", {"delete t", "write u"}),
    ("UPDATE t SET a = x.a FROM x WHERE t.id = x.id", {"write t", "read x"}),
    ("UPDATE t SET a = (SELECT max(b) FROM t)", {"write t"}),
    ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", {"delete t", "read s"}),
    ("DROP TABLE a.b, c", {"ddl a.b", "ddl c"}),
    ("DROP FUNCTION f(int)", {"ddl f()"}),
    ("CREATE TABLE x AS SELECT * FROM y", {"ddl x", "read y"}),
    ("CREATE VIEW v AS SELECT * FROM y", {"ddl v", "read y"}),
    ("GRANT SELECT ON t TO bob", {"grant t"}),
    ("COPY s.t FROM STDIN", {"write s.t"}),
    ("TRUNCATE a, b", {"delete a", "delete b"}),
    ("SELECT app.f(1) FROM t", {"execute app.f()", "read t"}),
    ("CALL p()", {"execute p()"}),
    ("EXPLAIN DELETE FROM t", {"read t"}),
    ('SELECT * FROM "Weird Name"', {"read Weird Name"}),
    ("LOCK TABLE t", {"write t"}),
]


@pytest.mark.parametrize(("statement", "objects"), OBJECTS, ids=[statement for statement, _ in OBJECTS])
def test_objects(statement, objects):
    assert {str(each) for each in classify_postgres(statement).objects} == objects


@pytest.mark.parametrize(
    ("statement", "has_where", "lacks_where"),
    [
        ("DELETE FROM t", False, True),
        ("DELETE FROM t WHERE a = 1", True, False),
        ("UPDATE t SET a = 1", False, True),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x WHERE a = 1", False, True),
        ("SELECT 1", False, False),
        ("UPDATE t SET a = 1 WHERE b; DELETE FROM t", False, True),
    ],
)
def test_where(statement, has_where, lacks_where):
    classified = classify_postgres(statement)
    assert (classified.has_where, classified.lacks_where) == (has_where, lacks_where)


def test_several_statements_and_transaction_control():
    assert classify_postgres("SELECT 1; SELECT 2").is_multi
    assert not classify_postgres("SELECT 1;").is_multi
    assert classify_postgres("COMMIT").is_transaction
    assert not classify_postgres("COMMIT; DELETE FROM t").is_transaction
    assert not classify_postgres("").is_transaction


def test_fingerprint_is_the_shape_without_literals():
    one, two, other = (classify_postgres(f"SELECT {x}").fingerprint for x in ("1", "'x'", "a"))
    assert one == two != other
    assert classify_postgres("SELEC").fingerprint == ""


DEEP = {
    "parentheses": "SELECT " + "(" * 60_000 + "1" + ")" * 60_000,
    "sums": "SELECT " + "+".join(["1"] * 60_000),
    "negations": "SELECT " + "NOT " * 60_000 + "true",
    "casts": "SELECT 1" + "::int" * 50_000,
    "arrays": "SELECT " + "ARRAY[" * 40_000,
    "subqueries": "SELECT " + "(SELECT " * 30_000,
    "unions": " UNION ".join(["SELECT 1"] * 15_000),
    "moderately deep": "SELECT " + "+".join(["1"] * 450),
}


@pytest.mark.parametrize("shape", DEEP)
def test_deep_nesting_does_not_end_the_process(shape):
    script = "import sys; from policy.postgres import classify_postgres as c; print(c(sys.stdin.read()).operation)"
    done = subprocess.run([sys.executable, "-c", script], input=DEEP[shape], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("read" if shape == "moderately deep" else "admin")


def test_a_giant_statement_is_unknown():
    assert classify_postgres("SELECT '" + "x" * MAX_PARSED_CHARS + "'") == UNKNOWN


def test_a_long_insert_is_still_understood():
    statement = "INSERT INTO t VALUES " + ",".join(["(1, 'abc')"] * 10_000)
    assert classify_postgres(statement).operation is Operation.WRITE


def test_too_many_objects_to_name_count_as_unknown():
    assert classify_postgres("SELECT * FROM " + ", ".join(f"t{i}" for i in range(300))).is_unknown


WORDS = st.sampled_from(
    "SELECT DELETE FROM WITH x AS ( ) , ; t u WHERE = 1 'a' INSERT INTO VALUES UPDATE SET UNION EXPLAIN ANALYZE"
    ' $$ -- /* */ " f ( ) :: int'.split()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS | st.text(max_size=5), max_size=25).map(" ".join))
def test_any_text_is_classified_and_a_read_changes_nothing(text):
    classified = classify_postgres(text)
    if classified.is_read:
        assert not any(each.access is not Operation.READ for each in classified.objects)
