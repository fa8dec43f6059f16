"""Numbers of events as orders write them, and days. What orders permit is in test_audit.py."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.transparency.leaf import Coordinates, EventLeaf
from sinks.transparency.orders import MAX_SEQS, Orders, day_of, format_seqs, parse_seqs


@given(st.sets(st.integers(0, 300), min_size=1))
def test_numbers_are_written_short_and_read_back(numbers: set[int]) -> None:
    found = parse_seqs(format_seqs(numbers))
    assert {n for first, last in found for n in range(first, last + 1)} == numbers
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "-1", "1-", "1-2-3", "a", "1 OR 1", "9" * 19, "1," * MAX_SEQS + "1", "²"]
)
def test_what_are_no_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="numbers"):
        parse_seqs(text)


def test_an_answer_without_an_order_is_noted() -> None:
    orders = Orders()
    done = {
        "action": "done",
        "order_id": "e-1",
        "retention_class": "",
        "day": "",
        "at": 1,
        "reason": "",
        "evidence": {},
    }
    orders.note_action(0, done)
    assert orders.done_without_order == ["e-1"]
    assert day_of(0) == "1970-01-01"


@pytest.mark.parametrize(
    ("retention_class", "fault"),
    [("a", ""), ("b", "1209600.000000 s before"), ("a+b", "1209600.000000 s before"), ("a+gone", ""), ("gone", "")],
)
def test_a_reader_insists_on_the_longest_minimum_of_a_combination(retention_class: str, fault: str) -> None:
    orders = Orders({"a": 5, "b": 24})
    evidence = {"max_age_days": "10", "min_age_days": "5"}
    at = 11 * 86_400_000_000  # the moment at which the day is 10 days old
    action = {"action": "expire", "order_id": "e", "day": "1970-01-01", "at": at, "reason": "", "evidence": evidence}
    orders.note_action(0, action | {"retention_class": retention_class})
    leaf = EventLeaf(Coordinates("log", 0, 0), 0, 1, 5, "data.sent", "s", retention_class, b"")
    found = orders.find_expiry(leaf)
    assert found is not None and (fault in found.fault if fault else found.fault == "")
