import pytest

from policy.postgres_copy import CopyForm, copy_forms


@pytest.mark.parametrize(
    ("statement", "form"),
    [
        ("COPY t TO STDOUT", CopyForm(delimiter="\t")),
        ("copy s.t (a, b) to stdout with (delimiter '|', null 'nix')", CopyForm("text", ("a", "b"), False, "|", "nix")),
        ("COPY (SELECT 1) TO STDOUT CSV HEADER", CopyForm("csv", ("?column?",), True, ",")),
        (
            "COPY t TO STDOUT (FORMAT csv, HEADER off, QUOTE '$', ESCAPE '#')",
            CopyForm("csv", (), False, ",", None, "$", "#"),
        ),
        ("COPY t TO STDOUT (FORMAT csv, HEADER true)", CopyForm("csv", (), True, ",")),
        ("COPY t TO STDOUT (FORMAT 'text', HEADER 1)", CopyForm("text", (), True, "\t")),
        ("COPY t TO STDOUT BINARY", CopyForm("binary", (), False, "\t")),
    ],
)
def test_what_a_copy_says_of_its_form(statement, form):
    assert copy_forms(statement) == [form]


def test_every_copy_to_the_client_in_order_and_no_other():
    statement = "COPY a TO STDOUT; COPY b FROM STDIN; SELECT 1; COPY c TO '/tmp/x'; COPY d TO STDOUT CSV"
    assert [form.format for form in copy_forms(statement)] == ["text", "csv"]
    assert copy_forms("SELECT 'COPY t TO STDOUT'") == []


@pytest.mark.parametrize("statement", ["COPY t TO", "\0", "x" * 300_000])
def test_what_is_not_understood(statement):
    assert copy_forms(statement) is None


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT id, upper(ssn), ssn AS x, a || b FROM t", ("id", "upper", "x", "?column?")),
        ("SELECT a FROM t UNION SELECT b FROM u", ("a",)),
        ("SELECT id, t.* FROM t", ()),
        ("DELETE FROM t RETURNING ssn", ()),
    ],
)
def test_columns_of_a_query_are_those_of_its_select_list(query: str, columns: tuple[str, ...]) -> None:
    (form,) = copy_forms(f"COPY ({query}) TO STDOUT") or [None]
    assert form is not None and form.columns == columns
