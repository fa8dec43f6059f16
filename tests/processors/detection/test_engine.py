"""The engine: a state per agent, the same detection ids whenever it runs, bounded."""

import json

from processors.detection import engine as module
from processors.detection.denied_burst import THRESHOLD, _denied
from processors.detection.engine import Engine
from schemas.events import Detection, Fact, Origin

ORIGIN = Origin("log", 1, 7)


def burst(agent: str) -> list[Fact]:
    facts = [_denied(i) for i in range(THRESHOLD)]
    for position, fact in enumerate(facts):
        fact.agent, fact.position = agent, position
    return facts


def feed(engine: Engine, facts: list[Fact]) -> list[Detection]:
    return list(engine.feed(ORIGIN, facts))


def test_agents_do_not_add_up() -> None:
    engine = Engine()
    assert not feed(engine, burst("a")[:-1]) and not feed(engine, burst("b")[:-1])
    (found,) = feed(engine, burst("a")[-1:])
    assert (found.agent, found.rule, found.severity, found.position) == ("a", "denied-burst", "medium", THRESHOLD - 1)


def test_a_saved_engine_goes_on_and_gives_the_same_ids() -> None:
    engine = Engine()
    feed(engine, burst("a")[:5])
    again = Engine(json.loads(json.dumps(engine.save())))
    assert feed(engine, burst("a")[5:]) == feed(again, burst("a")[5:])


def test_states_of_rules_that_are_gone_are_dropped() -> None:
    saved = [["a", {"denied-burst@0": {"recent": []}, "gone@1": {}}]]
    assert Engine(saved).save() == [["a", {}]]


def test_agents_are_bounded() -> None:
    engine = Engine()
    for number in range(module.MAX_AGENTS + 5):
        fact = _denied(0)
        fact.agent = f"a{number}"
        feed(engine, [fact])
    assert len(engine.save()) == module.MAX_AGENTS
