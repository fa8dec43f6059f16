"""Facts: what an event says without its content, by agent."""

import pytest

from processors.facts_of import encode_facts, facts_of, is_failure
from schemas.events import EventBatch, FactBatch, Origin, SessionEvent
from schemas.wire import framing
from tests.processors.pipeline import make_context, make_event

ORIGIN = Origin("log", 2, 9)


def batch() -> dict[str, object]:
    made = EventBatch("p", "e", 0, ORIGIN, sessions=[make_context("s", agent="a"), make_context("t", agent="b")])
    made.events = [
        SessionEvent(0, make_event(1, statement="select secret")),
        SessionEvent(1, make_event(1, "action.completed", rows=7, payload_type="rows", status="00000")),
        SessionEvent(0, make_event(2, "action.decided", verdict="deny", operation="write")),
        SessionEvent(0, make_event(3, "data.sent")),
        SessionEvent(1, make_event(2, "action.completed", error="boom")),
    ]
    return framing.batch_fields(made)


def decoded(facts: list[bytes], index: int = 0, count: int = 1) -> FactBatch:
    made = framing.decode(encode_facts(vars(ORIGIN), index, count, facts))
    assert isinstance(made, FactBatch)
    return made


def test_outcomes_by_agent_in_order() -> None:
    found = facts_of(batch())
    assert list(found) == ["b", "a"]
    assert [(fact.position, fact.rows, fact.operation, fact.is_failed) for fact in decoded(found["b"]).facts] == [
        (1, 7, "read", False),
        (4, 0, "", True),
    ]
    assert [(fact.kind, fact.verdict, fact.operation) for fact in decoded(found["a"]).facts] == [
        ("action.decided", "deny", "write")
    ]
    assert "secret" not in str(found)


def test_they_are_a_record() -> None:
    made = decoded(facts_of(batch())["a"], 1, 2)
    assert (made.origin, made.index, made.count) == (ORIGIN, 1, 2)
    (fact,) = made.facts
    assert (fact.offset, fact.position, fact.session_id, fact.seq) == (9, 2, "s", 2)
    assert (fact.agent, fact.principal, fact.resource) == ("a", "ann@example.com", "db")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"status": "00000"}, False),
        ({"status": "01000"}, False),
        ({"status": "02000"}, False),
        ({"status": "42501"}, True),
        ({"status": "200"}, False),
        ({"status": "404"}, True),
        ({"status": "503"}, True),
        ({"status": ""}, False),
        ({"error": "x"}, True),
        ({"verdict": "deny"}, True),
    ],
)
def test_failures(values: dict[str, str], expected: bool) -> None:
    assert is_failure({"verdict": "none", "error": "", "status": "", **values}) is expected
