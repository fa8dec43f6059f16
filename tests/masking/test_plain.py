"""What is told without an engine is what the engine tells."""

import random

import pytest

from masking.catalog import load_detectors
from masking.expressions import Expression
from masking.plain import PLAIN, is_address, is_number

PARTS = {
    is_address: ("a", "Z9", "_", ".", "'", "-", "@", "@x", "@example.com", "@b.c", ".com", "d" * 24, "é", " "),
    is_number: ("1", "4111", "41111111", "-", " ", "a", ".", "٤", "x"),
}


def test_each_expression_is_a_detectors_with_its_value_in_the_first_group():
    groups = {detector.pattern.pattern: detector.group for detector in load_detectors()}
    assert [groups.get(pattern) for pattern in PLAIN] == [1] * len(PLAIN)


@pytest.mark.parametrize("pattern", PLAIN)
def test_the_expression_matches_all_that_the_predicate_takes(pattern: bytes):
    source, expression, takes = random.Random(5), Expression(pattern), PLAIN[pattern]
    taken = 0
    for _ in range(30_000):
        text = "".join(source.choices(PARTS[takes], k=source.randrange(9))).encode()
        if takes(text):
            taken += 1
            match = expression.search(text)
            assert match is not None and match.span() == match.span(1) == (0, len(text)), text
            assert expression.next_start(text, 0, len(text)) == -1
    assert taken > 100


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        (b"ada.1@example.com", True),
        (b"o'brien_%+-@a-b.example.co.uk", True),
        (b".ada@example.com", False),
        (b"@example.com", False),
        (b"ada@example", False),
        (b"ada@example..com", False),
        (b"ada@.example.com", False),
        (b"ada@example.c", False),
        (b"ada@example." + b"c" * 25, False),
        (b"ada@example.c0m", False),
        (b"ada@example.com.", False),
        (b"ada@example.com ", False),
        (b"ada@bob@example.com", False),
        ("ada@bücher.example".encode(), False),
        (b"ada", False),
        (b"", False),
    ],
)
def test_addresses(text: bytes, is_taken: bool):
    assert is_address(text) is is_taken


@pytest.mark.parametrize(
    ("text", "is_taken"), [(b"4" * 13, True), (b"4" * 12, False), (b"4" * 13 + b" ", False), (b"", False)]
)
def test_numbers(text: bytes, is_taken: bool):
    assert is_number(text) is is_taken
