"""The engine's parse as data."""

import pytest

from deploy.embedded.store_ast import blank_quoted, check_clauses, parse_tree, quote_literal
from deploy.embedded.store_errors import QueryRefused


def test_a_tree_is_read_with_its_depths_and_names() -> None:
    root = parse_tree(
        [
            "SelectWithUnionQuery (children 1)",
            " ExpressionList (children 2)",
            "  Function file (alias z) (children 1)",
            "   Literal 'x (children 3)'",
            "  TableIdentifier custody.events (alias e)",
        ]
    )
    assert next(node.kind for node in root.walk()) == "SelectWithUnionQuery"
    function, table = root.children[0].children
    assert (function.kind, function.name(), function.children[0].text) == ("Function", "file", "'x (children 3)'")
    assert table.name() == "custody.events"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["SelectQuery (children 1)"],
        ["SelectQuery", " Literal 1"],
        ["SelectQuery (children 1)", "  Literal 1"],
        ["SelectQuery (children 2)", " Literal 1", "SelectQuery"],
        [" SelectQuery"],
    ],
)
def test_trees_that_do_not_add_up_are_refused(lines: list[str]) -> None:
    with pytest.raises(QueryRefused):
        parse_tree(lines)


def test_only_plain_names_have_a_name() -> None:
    for text in ("a b", "a;b", "", "(alias x)", "a.", "a..b", "a\nb"):
        with pytest.raises(QueryRefused):
            parse_tree([f"TableIdentifier {text}"]).name()


def test_literals_are_quoted() -> None:
    assert quote_literal("it's \\ n") == "'it\\'s \\\\ n'"


def test_clauses_are_seen_outside_quotes_only() -> None:
    check_clauses(blank_quoted("SELECT 'x INTO OUTFILE y SETTINGS a = 1', `SETTINGS b = 2`"))
    check_clauses("CREATE TABLE custody.x (a String) ENGINE = MergeTree ORDER BY a SETTINGS a = 1")
    for text in ("SELECT 1 INTO OUTFILE ''", "SELECT 1 SETTINGS a = 1", "EXPLAIN SELECT 1 SETTINGS a.b = 1"):
        with pytest.raises(QueryRefused):
            check_clauses(text)
