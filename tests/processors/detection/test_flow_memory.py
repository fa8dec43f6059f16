"""Edges lead from where a value was first seen to where it goes, for one agent, run or chain; in any order."""

import itertools
from typing import Any

import pytest

from processors.detection.flow_memory import MAX_AGE_US, MAX_PER_VALUE, FlowMemory
from schemas.events import FlowValue, LineageEdge, Origin, Sighting

ORIGIN = Origin("log", 0, 1)
SECOND = 1_000_000
BASE = 1_800_000_000 * SECOND


def saw(at_s: float, resource: str, *tokens: str, agent: str = "planner", **values: Any) -> Sighting:
    return _sighting(at_s, resource, tokens, agent, is_received=True, **values)


def sent(at_s: float, resource: str, *tokens: str, agent: str = "planner", **values: Any) -> Sighting:
    return _sighting(at_s, resource, tokens, agent, is_received=False, **values)


def _sighting(at_s: float, resource: str, tokens: tuple[str, ...], agent: str, **values: Any) -> Sighting:
    at = BASE + int(at_s * SECOND)
    known: dict[str, Any] = {
        "position": 0, "session_id": f"{agent}@{resource}", "seq": 1, "at": at, "began": at, "agent": agent,
        "principal": "ann", "run_id": "", "chain": [], "resource": resource,
        "values": [FlowValue("payment_card", token) for token in tokens or ("t1",)],
    }  # fmt: skip
    return Sighting(**{**known, **values})


def edges(*sightings: Sighting, memory: FlowMemory | None = None) -> list[LineageEdge]:
    memory = FlowMemory() if memory is None else memory
    return [edge for number, item in enumerate(sightings) for edge in memory.feed(number, ORIGIN, [item])]


def shape(found: list[LineageEdge]) -> list[tuple[str, str, str]]:
    return [(edge.from_resource, edge.to_resource, edge.relation) for edge in found]


def test_an_answer_of_one_resource_in_a_request_to_another() -> None:
    (edge,) = edges(saw(0, "db", seq=7), sent(1, "mailer", seq=3))
    assert (edge.from_session, edge.from_seq, edge.to_session, edge.to_seq) == ("planner@db", 7, "planner@mailer", 3)
    assert (edge.relation, edge.label, edge.token, edge.at) == ("agent", "payment_card", "t1", BASE + SECOND)


@pytest.mark.parametrize(
    ("why", "sightings"),
    [
        ("back to where it came from", (saw(0, "db"), sent(1, "db", session_id="other"))),
        ("sent before it was seen", (sent(0, "mailer"), saw(1, "db"))),
        ("the agent had it before", (sent(0, "db"), saw(1, "db"), sent(2, "mailer"))),
        ("another agent, no run, no chain", (saw(0, "db"), sent(1, "mailer", agent="other"))),
        ("two runs of two agents", (saw(0, "db", run_id="a"), sent(1, "mailer", agent="other", run_id="b"))),
        ("runs without a name", (saw(0, "db", run_id=""), sent(1, "mailer", agent="other", run_id=""))),
        ("another value", (saw(0, "db", "t1"), sent(1, "mailer", "t2"))),
        ("answers only", (saw(0, "db"), saw(1, "mailer"))),
        ("after it was forgotten", (saw(0, "db"), sent(MAX_AGE_US / SECOND + 1, "mailer"))),
    ],
)
def test_no_edge(why: str, sightings: tuple[Sighting, ...]) -> None:
    assert edges(*sightings) == [], why


def test_run_and_chain_join_agents() -> None:
    run = edges(saw(0, "db", run_id="r"), sent(1, "mailer", agent="executor", run_id="r"))
    assert shape(run) == [("db", "mailer", "run")]
    chain = edges(saw(0, "db"), sent(1, "mailer", agent="executor", chain=["planner"]))
    assert shape(chain) == [("db", "mailer", "chain")]
    siblings = edges(saw(0, "db", agent="a", chain=["boss"]), sent(1, "mailer", agent="b", chain=["boss"]))
    assert shape(siblings) == [("db", "mailer", "chain")]


def test_each_further_resource_has_an_edge_from_the_first() -> None:
    found = edges(saw(0, "db"), sent(1, "llm"), saw(2, "llm"), sent(3, "mailer"), sent(4, "mailer"))
    assert shape(found) == [("db", "llm", "agent"), ("db", "mailer", "agent")]


def test_a_session_has_one_edge_however_often_it_sends_and_a_new_one_has_its_own() -> None:
    again = sent(3, "mailer", session_id="later")
    assert len(edges(saw(0, "db"), sent(1, "mailer"), sent(2, "mailer"), again)) == 2


def test_edges_do_not_depend_on_the_order_of_arrival() -> None:
    story = (saw(0, "db"), sent(1, "llm"), sent(2, "mailer"), sent(3, "db", session_id="back"))
    wanted = {edge.edge_id for edge in edges(*story)}
    assert len(wanted) == 2
    for order in itertools.permutations(story):
        assert {edge.edge_id for edge in edges(*order)} == wanted


def test_a_stream_may_be_sent_on_before_its_answer_ends() -> None:
    ends_late = saw(10, "db", began=BASE)
    assert shape(edges(ends_late, sent(5, "mailer"))) == [("db", "mailer", "agent")]


def test_the_same_record_twice_gives_no_edge_twice() -> None:
    memory = FlowMemory()
    assert len(edges(saw(0, "db"), sent(1, "mailer"), memory=memory)) == 1
    assert edges(saw(0, "db"), sent(1, "mailer"), memory=memory) == []


def test_memory_is_bounded_and_says_from_where_it_could_be_made_again() -> None:
    memory = FlowMemory(max_sightings=100)
    assert memory.oldest_offset is None
    for number in range(1000):
        assert not list(memory.feed(number, ORIGIN, [saw(number / 1000, "db", f"t{number}")]))
    assert (len(memory), memory.oldest_offset) == (100, 900)
    busy = FlowMemory()
    list(busy.feed(0, ORIGIN, [saw(0, "db")]))
    for number in range(500):
        assert len(list(busy.feed(number + 1, ORIGIN, [sent(1, "mailer", session_id=f"s{number}")]))) == 1
    assert len(busy) == MAX_PER_VALUE
