"""The engine in force: replaced as a whole when control says so, while sessions go on."""

import logging
from collections.abc import Mapping
from typing import Any

from policy.cedar_policies import load_policies
from policy.connections import decide_connection, rules_connections
from policy.decide import CedarEngine
from policy.model import ActionFacts, Decision
from schemas.errors import ConfigError

log = logging.getLogger(__name__)


class LiveEngine:
    """A PolicyEngine whose policies may change. Not thread-safe: change it where decisions are asked for.

    `fallback` decides while control holds no policy. Policies that do not load leave those in force, with an alarm:
    neither an empty set nor a half one ever decides.
    """

    def __init__(self, fallback: CedarEngine, default: str = "deny") -> None:
        self._fallback = fallback
        self._default = default
        self._engine = fallback
        self.version = fallback.version
        self.volatile = fallback.volatile
        self.may_mask = fallback.may_mask
        self._rules_connections = rules_connections(fallback.policies)

    def decide(self, action: ActionFacts) -> Decision:
        return self._engine.decide(action)

    def decide_connection(self, facts: ActionFacts) -> Decision | None:
        """Whether a session may open; None: no policy speaks of connections."""
        return decide_connection(facts, self._engine.policies) if self._rules_connections else None

    def replace(self, entries: Mapping[str, Mapping[str, Any]]) -> bool:
        """Put the policies of control (name -> payload with `cedar`) in force. Whether anything changed."""
        try:
            texts = {name: str(payload.get("cedar", "")) for name, payload in entries.items()}
            engine = CedarEngine(load_policies(texts, self._default)) if texts else self._fallback
        except ConfigError as error:
            log.error("policies in control do not load, those in force stay: %s", error)
            return False
        if engine.version == self._engine.version:
            return False
        self._engine, self.version = engine, engine.version
        self._rules_connections = rules_connections(engine.policies)
        self.volatile, self.may_mask = engine.volatile, engine.may_mask
        return True
