"""Runs the rules over the facts of one facts partition. Pure: facts in, detections out, the state is JSON data."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from processors.detection.catalog import RULES
from processors.detection.rule import Match, Rule
from schemas.events import Detection, Fact, Origin

MAX_AGENTS: Final = 5000
"""Agents remembered per partition; the longest unseen is forgotten first and starts anew."""


class Engine:
    """The rules and, per agent, their states."""

    def __init__(self, saved: Any = None, rules: Sequence[Rule] = RULES) -> None:
        self._rules = [(f"{rule.id}@{rule.version}", rule) for rule in rules]
        self._agents: OrderedDict[str, dict[str, Any]] = OrderedDict()
        names = {name for name, _ in self._rules}
        for agent, states in saved or ():
            self._agents[agent] = {name: state for name, state in states.items() if name in names}

    def feed(self, origin: Origin, facts: Iterable[Fact]) -> Iterator[Detection]:
        """Take the facts of one batch in, in order."""
        for fact in facts:
            states = self._states_of(fact.agent)
            for name, rule in self._rules:
                if name not in states:
                    states[name] = rule.start()
                match = rule.step(states[name], fact)
                if match is not None:
                    yield detection_of(rule, match, origin, fact)

    def _states_of(self, agent: str) -> dict[str, Any]:
        states = self._agents.get(agent)
        if states is None:
            states = self._agents[agent] = {}
            if len(self._agents) > MAX_AGENTS:
                self._agents.popitem(last=False)
        else:
            self._agents.move_to_end(agent)
        return states

    def save(self) -> list[Any]:
        """As JSON data, for the constructor."""
        return [[agent, states] for agent, states in self._agents.items()]


def detection_of(rule: Rule, match: Match, origin: Origin, fact: Fact) -> Detection:
    """The same match has the same id, however often it is computed."""
    where = f"{origin.log_id}/{origin.partition}/{origin.offset}/{fact.position}"
    identity = hashlib.sha256(f"{rule.id}@{rule.version}/{where}".encode()).hexdigest()[:32]
    return Detection(
        detection_id=identity,
        at=fact.at,
        rule=rule.id,
        rule_version=rule.version,
        severity=rule.severity.value,
        title=match.title,
        agent=fact.agent,
        principal=fact.principal,
        resource=fact.resource,
        session_id=fact.session_id,
        origin=origin,
        position=fact.position,
        evidence=list(match.evidence),
        attributes=dict(match.attributes),
    )


def summarize(rules: Sequence[Rule] = RULES) -> Mapping[str, str]:
    """Rule id to its description."""
    return {rule.id: rule.description for rule in rules}
