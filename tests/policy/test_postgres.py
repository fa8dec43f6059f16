import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.model import Operation
from policy.postgres import MAX_PARSED_CHARS, UNKNOWN, classify_postgres
from tests.policy.tables import load_table

TABLE = list(load_table("postgres"))


def test_there_are_enough_cases():
    assert len({statement for _, statement in TABLE}) == len(TABLE) >= 300


@pytest.mark.parametrize(("expected", "statement"), TABLE, ids=[statement for _, statement in TABLE])
def test_operation(expected, statement):
    classified = classify_postgres(statement)
    assert ("unknown" if classified.is_unknown else classified.operation) == expected
    assert classified.operation is Operation.ADMIN or not classified.is_unknown


@pytest.mark.parametrize("statement", ["\0", "\ud800", "DROP TABLE t\0SELECT 1"])
def test_what_cannot_be_text_is_unknown(statement):
    assert classify_postgres(statement) == UNKNOWN


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


def test_columns_and_functions():
    classified = classify_postgres("SELECT u.name, app.f(age) FROM users u WHERE id = 1")
    assert (set(classified.columns), classified.functions) == ({"name", "age", "id"}, ("app.f()",))


def test_text_within_text_within_text_ends():
    statement = "SELECT 1"
    for _ in range(6):
        statement = "SELECT query_to_xml('" + statement.replace("'", "''") + "', true, true, '')"
    assert classify_postgres(statement).operation is Operation.ADMIN


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
