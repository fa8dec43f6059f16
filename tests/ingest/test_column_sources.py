"""Aliases of telling columns, by the statement alone."""

import pytest

from ingest.column_sources import MAX_KEPT_NAMES, ColumnSources, telling_aliases


@pytest.mark.parametrize(
    ("statement", "aliases"),
    [
        ("SELECT password AS x, name FROM users", {"x": "password"}),
        ("SELECT u.api_key::text AS k FROM users u JOIN teams t ON t.id = u.team", {"k": "api_key"}),
        ("SELECT * FROM (SELECT ssn AS s FROM people) p", {"s": "ssn"}),
        ("WITH w(q) AS (SELECT cvv FROM cards) SELECT q FROM w", {"q": "cvv"}),
        ("SELECT a FROM (SELECT password AS b FROM u) t(a)", {"a": "password", "b": "password"}),
        ("UPDATE users SET a = 1 RETURNING password AS p", {"p": "password"}),
        ("SELECT name AS x FROM users WHERE password = 'y'", {}),
        ("SELECT password AS secret FROM users", {}),
        ("SELECT length(password) AS x FROM users", {}),
        ("SELECT password FROM users", {}),
        ("SELECT name AS x FROM cities", {}),
        ("SELECT password AS FROM WHERE", {}),
        ("", {}),
    ],
)
def test_names_for_telling_columns(statement: str, aliases: dict[str, str]) -> None:
    assert dict(telling_aliases(statement)) == aliases


def test_sources_stand_where_the_columns_do() -> None:
    sources = ColumnSources()
    assert sources.find("SELECT id, password AS x FROM users", ["id", "x"]) == ["", "password"]
    assert sources.find("SELECT id, password AS x FROM users", ["id", "y"]) == []
    assert sources.find("SELECT id FROM users", ["id"]) == []


def test_what_cursors_and_prepared_statements_name_is_known_to_later_statements() -> None:
    sources = ColumnSources()
    sources.learn("DECLARE c CURSOR FOR SELECT password AS x FROM users")
    sources.learn("PREPARE p AS SELECT ssn AS y FROM people")
    assert sources.find("FETCH ALL FROM c", ["x"]) == ["password"]
    assert sources.find("EXECUTE p", ["id", "y"]) == ["", "ssn"]
    assert sources.find("SELECT x FROM t", ["x"]) == []


def test_a_session_remembers_a_bounded_number() -> None:
    sources = ColumnSources()
    for number in range(MAX_KEPT_NAMES + 5):
        sources.learn(f"DECLARE c CURSOR FOR SELECT password AS x{number} FROM users")
    assert len(sources._kept) == MAX_KEPT_NAMES
    assert sources.find("FETCH ALL FROM c", ["x0"]) == []
    assert sources.find("FETCH ALL FROM c", [f"x{MAX_KEPT_NAMES}"]) == ["password"]
