import pytest

from console.reconcile.shapes import UNPARSABLE, HttpShapes, shown_statement, split_statements, statement_shape
from policy.classify import classify


def test_a_statement_has_the_shape_that_the_proxy_gives_it() -> None:
    assert (
        statement_shape("SELECT * FROM t WHERE id = 5")
        == classify("postgres", "select * from t where id=$1").fingerprint
    )
    assert statement_shape("SELECT * FROM u") != statement_shape("SELECT * FROM t")
    for text in ("no sql", "", "\0", "SELECT (" * 5000):
        assert statement_shape(text) == UNPARSABLE, text[:20]


def test_shown_statements_have_no_values() -> None:
    text = "SELECT 'tom@example.com', 4012888888881881 /* pw: hunter2 */ FROM t -- secret\nWHERE a = $1 AND b = E'x'"
    assert shown_statement(text) == "SELECT ? , ? FROM t WHERE a = ? AND b = ?"
    assert len(shown_statement("SELECT " + ", ".join(f"column_{n}" for n in range(2000)))) == 200
    assert shown_statement("SELECT 'open") == "(12 characters that are no SQL)"


def test_several_statements_are_split_where_they_can_be_read() -> None:
    assert split_statements("SELECT 1; SELECT ';'") == ("SELECT 1", "SELECT ';'")
    assert split_statements("SELECT 1") == ("SELECT 1",)
    assert split_statements("no; sql") == ("no; sql",)


@pytest.mark.parametrize(
    ("stored", "target"),
    [
        ("GET http://api.local:8080/customers/2?step=1", "/customers/2?step=1"),
        ("GET http://api.local/customers/7", "/customers/9"),
        ("GET https://api.local/u/‹email:abc›/x", "/u/tom@example.com/x"),
        ("GET http://api.local/f/‹key:abc›", "/f/hunter2"),
        ("GET http://api.local", "/"),
        ("GET /plain#part", "http://elsewhere/plain"),
    ],
)
def test_stored_and_logged_requests_have_one_shape(stored: str, target: str) -> None:
    shapes = HttpShapes(lambda path: path.replace("hunter2", "‹key:abc›"))
    assert shapes.stored(stored) == shapes.logged("GET", target)
    assert shapes.stored(stored) != shapes.logged("POST", target)
    assert shapes.stored(stored) != shapes.logged("GET", target + "/more" if "?" not in target else "/more")
