"""What is remembered of parses, and what is not."""

import pytest

from deploy.embedded.store_ast import Node, Parsed
from deploy.embedded.store_parses import MAX_CHARS, MAX_PARSES, Parses


class Counter:
    """In place of a handle: the engine lives in another process. Counts what it is asked to parse."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str] | None]] = []

    def parse(self, statement: str, params: dict[str, str] | None = None) -> Parsed:
        self.asked.append((statement, params))
        if statement == "bad":
            raise ValueError(statement)
        return Parsed(statement, Node(statement, ""))


def test_a_statement_is_parsed_once_for_its_parameters() -> None:
    parses, counter = Parses(), Counter()
    for _ in range(3):
        for statement, params in (
            ("SELECT 1", {}),
            ("SELECT 2", {}),
            ("SELECT 1", {"a": "b"}),
            ("SELECT 1", {"a": "c"}),
        ):
            assert parses.parse(counter, statement, params).blanked == statement
    assert len(counter.asked) == 4


def test_an_error_is_not_remembered() -> None:
    parses, counter = Parses(), Counter()
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            parses.parse(counter, "bad", {})
    assert len(counter.asked) == 2


def test_memory_is_bounded() -> None:
    parses, counter = Parses(), Counter()
    long = "x" * (MAX_CHARS + 1)
    for statement, params in ((long, {}), ("SELECT 1", {"a": long})):
        for _ in range(2):
            parses.parse(counter, statement, params)
    assert len(counter.asked) == 4 and not parses._known
    for number in range(3 * MAX_PARSES):
        parses.parse(counter, str(number), {})
        assert len(parses._known) <= MAX_PARSES
