import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.sql import parameter_names
from tests.masking.helpers import masker


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT 1", {}),
        ("SELECT * FROM t WHERE a = $1 AND t.password = $2", {1: "a", 2: "t.password"}),
        ("UPDATE t SET password = crypt($1, gen_salt('bf')) WHERE id = $2", {1: "password", 2: "id"}),
        (
            "INSERT INTO t (id, password) VALUES ($1, $2), ($3, lower($4))",
            {1: "id", 2: "password", 3: "id", 4: "password"},
        ),
        ('INSERT INTO s."T" ("A b", c) VALUES (\'x,(\', $1) ON CONFLICT DO NOTHING', {1: "c"}),
        ("SELECT * FROM t WHERE name ILIKE $1", {1: "name"}),
        ("SELECT $1", {}),
    ],
)
def test_columns_of_parameters(statement, names):
    assert parameter_names(statement) == names


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="insert into values(),'\"$12=a ", max_size=80))
def test_any_text_is_read(text):
    parameter_names("INSERT INTO t (a, password) VALUES (" + text)


def test_hostile_statements_take_linear_time():
    assert len(parameter_names("INSERT INTO t (password) VALUES (" * 7_000 + "$1")) <= 1
    masked = masker().mask_text("INSERT INTO t (password) VALUES (" * 60_000 + "); VALUES ('x') a@b.cd")
    assert "a@b.cd" not in masked.text
