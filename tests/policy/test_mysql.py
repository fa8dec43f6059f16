import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.model import Operation
from policy.mysql import MAX_CHARS, UNKNOWN, classify_mysql
from tests.policy.tables import load_table

TABLE: list[tuple[str, str]] = list(load_table("mysql"))


def test_there_are_enough_cases() -> None:
    assert len({statement for _, statement in TABLE}) == len(TABLE) >= 100


@pytest.mark.parametrize(("expected", "statement"), TABLE, ids=[statement for _, statement in TABLE])
def test_operation(expected: str, statement: str) -> None:
    classified = classify_mysql(statement)
    assert ("unknown" if classified.is_unknown else classified.operation) == expected
    assert classified.operation is Operation.ADMIN or not classified.is_unknown


@pytest.mark.parametrize(
    ("statement", "objects"),
    [
        ("SELECT * FROM a JOIN shop.b ON 1", {"read a", "read shop.b"}),
        ("WITH x AS (SELECT * FROM x) SELECT * FROM x", {"read x"}),
        ("WITH y AS (SELECT * FROM a) SELECT * FROM y", {"read a"}),
        ("INSERT INTO a SELECT * FROM b", {"write a", "read b"}),
        ("REPLACE INTO a SELECT * FROM b", {"delete a", "read b"}),
        ("UPDATE a SET x = 1 WHERE y IN (SELECT z FROM b)", {"write a", "read b"}),
        ("DELETE a FROM a JOIN b ON a.x = b.x", {"delete a", "read b"}),
        ("DELETE FROM Users", {"delete Users"}),
        ("DROP TABLE IF EXISTS a, `b c`", {"ddl a", "ddl b c"}),
        ("TRUNCATE TABLE shop.a", {"delete shop.a"}),
        ("EXPLAIN DELETE FROM a", {"read a"}),
        ("SELECT shop.f(1) FROM a", {"execute shop.f()", "read a"}),
        ("LOAD DATA INFILE 'x' INTO TABLE a", {"execute a"}),
        ("/*!50000 DELETE FROM */ a", {"delete a"}),
        ("HANDLER a OPEN", {"read a"}),
    ],
)
def test_objects(statement: str, objects: set[str]) -> None:
    assert {str(each) for each in classify_mysql(statement).objects} == objects


@pytest.mark.parametrize(
    ("statement", "has_where", "lacks_where"),
    [
        ("DELETE FROM t", False, True),
        ("DELETE FROM t WHERE a = 1", True, False),
        ("UPDATE t SET a = 1", False, True),
        ("SELECT * FROM t WHERE a", True, False),
        ("DELETE FROM t /*!99999 WHERE a = 1 */", False, True),
        ("SELECT 1", False, False),
    ],
)
def test_where(statement: str, has_where: bool, lacks_where: bool) -> None:
    classified = classify_mysql(statement)
    assert (classified.has_where, classified.lacks_where) == (has_where, lacks_where)


def test_several_statements_and_transaction_control() -> None:
    assert classify_mysql("SELECT 1; SELECT 2").is_multi
    assert not classify_mysql("SELECT 1;").is_multi
    assert classify_mysql("COMMIT").is_transaction
    assert not classify_mysql("COMMIT; SELECT 1").is_transaction


def test_values_share_a_shape() -> None:
    one, two, other = (classify_mysql(f"SELECT * FROM t WHERE a = {x}").fingerprint for x in ("1", "22", "b"))
    assert one == two != other
    short, long = (classify_mysql("INSERT INTO t VALUES " + ",".join(["(1, 'x')"] * n)) for n in (2, 9000))
    assert short.fingerprint == long.fingerprint
    assert long.operation is Operation.WRITE


@pytest.mark.parametrize(
    "statement",
    ["SELECT " + "(" * 5000, "SELECT " + "(SELECT " * 900, "SELECT 1" + "+1" * 3000, "\0", "SELECT '\ud800'"],
)
def test_hostile_text_ends_in_an_answer(statement: str) -> None:
    assert classify_mysql(statement).operation in (Operation.ADMIN, Operation.READ)


def test_a_giant_statement_is_unknown() -> None:
    assert classify_mysql("SELECT '" + "x" * MAX_CHARS + "'") == UNKNOWN
    assert classify_mysql("".join(f"/*!{50_000 + n} */" for n in range(20))).is_unknown


WORDS = st.sampled_from(
    "SELECT DELETE FROM WITH x AS ( ) , ; t u WHERE = 1 'a' INSERT INTO VALUES"
    ' /*! */ /*!99999 -- # " \\ ` f( * @a'.split()
)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS | st.text(max_size=5), max_size=20).map(" ".join))
def test_any_text_is_classified_and_a_read_changes_nothing(text: str) -> None:
    classified = classify_mysql(text)
    if classified.is_read:
        assert not any(each.access is not Operation.READ for each in classified.objects)
