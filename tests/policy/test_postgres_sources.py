"""What result columns are made of, by the statement alone."""

import time

import pytest

from policy.postgres_sources import MAX_PARSED_CHARS, UNKNOWN, column_origins

CASES: dict[str, dict[str, set[str]]] = {
    "SELECT ssn FROM t": {},
    "SELECT c.ssn FROM customers c": {},
    "SELECT ssn AS x, id FROM t": {"x": {"ssn"}},
    "SELECT c.ssn x FROM customers c": {"x": {"ssn"}},
    "SELECT upper(ssn) FROM t": {"upper": {"ssn"}},
    "SELECT ssn::text, ssn || '-' || name FROM t": {"?column?": {"ssn", "name"}},
    "SELECT coalesce(ssn, ''), (SELECT ssn FROM t LIMIT 1), greatest(ssn, a) FROM t": {
        "coalesce": {"ssn"}, "array": {"ssn"}, "greatest": {"ssn", "a"}, "least": {"ssn", "a"},
    },
    "SELECT count(ssn), ssn IS NULL AS n FROM t": {},
    "SELECT CASE WHEN a THEN ssn END AS c FROM t": {"c": {"a", "ssn"}},
    "SELECT y AS z FROM (SELECT ssn AS y FROM t) s": {"y": {"ssn"}, "z": {"y", "ssn"}},
    "SELECT z FROM (SELECT id, ssn FROM t) s(i, z)": {"i": {"id"}, "z": {"ssn"}},
    "WITH w(k) AS (SELECT ssn FROM t) SELECT k AS l FROM w": {"k": {"ssn"}, "l": {"k", "ssn"}},
    "WITH w AS (SELECT ssn AS k FROM t) SELECT * FROM w": {"k": {"ssn"}},
    "SELECT id FROM a UNION ALL SELECT ssn FROM t": {"id": {"ssn"}},
    "SELECT id FROM a UNION SELECT 1 UNION SELECT ssn FROM t": {"id": {"ssn"}},
    "SELECT id AS a, b FROM a UNION SELECT * FROM t": {"a": {"id", UNKNOWN}, "b": {UNKNOWN}},
    "SELECT a FROM customers AS c(a, b)": {"a": {UNKNOWN}, "b": {UNKNOWN}},
    "SELECT c FROM customers c": {"c": {UNKNOWN}},
    "SELECT c::text AS x FROM customers c": {"x": {UNKNOWN}},
    "SELECT u.q FROM t, unnest(t.ssns) AS u(q)": {"q": {"ssns"}, "u": {"ssns"}},
    "INSERT INTO t VALUES (1) RETURNING ssn AS z": {"z": {"ssn"}},
    "UPDATE t SET a = ssn RETURNING lower(ssn)": {"lower": {"ssn"}},
    "DELETE FROM t RETURNING ssn AS z, id": {"z": {"ssn"}},
    "SELECT 1; SELECT ssn AS x FROM t": {"x": {"ssn"}},
    "DECLARE c CURSOR FOR SELECT ssn AS x FROM t": {"x": {"ssn"}},
    "PREPARE p AS SELECT ssn AS x FROM t": {"x": {"ssn"}},
    "COPY (SELECT ssn AS x FROM t) TO STDOUT": {"x": {"ssn"}},
    'SELECT "SSN" AS "X" FROM t': {"X": {"SSN"}},
    "SELECT row_to_json(c) FROM customers c": {"row_to_json": {"c"}},
    "SHOW work_mem": {},
}  # fmt: skip


@pytest.mark.parametrize("statement", CASES)
def test_names_and_what_they_stand_for(statement: str) -> None:
    found = column_origins(statement)
    assert found is not None
    assert {name: set(sources) for name, sources in found.sources.items()} == CASES[statement]


def test_values_as_they_stand_are_told_from_what_is_made_of_them() -> None:
    found = column_origins("SELECT pw AS a, pw::text AS b, length(pw) AS c, d AS e FROM (SELECT pw FROM t) s(d)")
    assert found is not None
    assert {name: set(sources) for name, sources in found.plain.items()} == {
        "a": {"pw"}, "b": {"pw"}, "d": {"pw"}, "e": {"d", "pw"},
    }  # fmt: skip
    assert found.sources["c"] == {"pw"}


@pytest.mark.parametrize("statement", ["SELECT FROM FROM", "SELECT 'a\0'", "SELECT '" + "x" * MAX_PARSED_CHARS + "'"])
def test_what_is_not_understood_is_none(statement: str) -> None:
    assert column_origins(statement) is None


def test_hostile_statements_take_bounded_time() -> None:
    began = time.process_time()
    column_origins("SELECT " + ", ".join(f"a{n} AS a{n + 1}" for n in range(3000)))
    column_origins("SELECT " + "(" * 5000 + "1" + ")" * 5000)
    column_origins("SELECT " + " + ".join(["a"] * 10_000))
    column_origins("SELECT x FROM " + "(SELECT x FROM " * 900 + "t" + ") s" * 900)
    assert time.process_time() - began < 6
