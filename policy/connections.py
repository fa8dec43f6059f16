"""Who may open a session with a resource at all, as policies say it: the Cedar action `connect`. Pure.

Until a policy names that action, sessions open and each action is decided by itself. From then on each must be
permitted.
"""

from typing import Final

import orjson

from policy.cedar_check import CONNECT, named_entities
from policy.cedar_policies import PolicySet
from policy.decide import ask, context_of, entities_of, load_entities, permitted
from policy.model import ActionFacts, Decision
from schemas.events import Verdict

WAITS: Final = "people would have to approve it, and a connection does not wait"


def rules_connections(policies: PolicySet) -> bool:
    """Whether any policy names the action."""
    return any(CONNECT in named_entities(each.document, "Action") for each in policies.policies.values())


def decide_connection(facts: ActionFacts, policies: PolicySet) -> Decision:
    """Allow or deny. What policies demand of answers is demanded of each action, not here."""
    context = {**context_of(facts), "operation": CONNECT}
    entities = load_entities(orjson.dumps(entities_of(facts)).decode())
    found = ask(policies, facts, CONNECT, context, entities)
    if isinstance(found, Decision):
        return found
    decision = permitted(policies, found, is_by_default=not found)
    if decision.verdict is Verdict.HOLD:
        return Decision(Verdict.DENY, decision.policy_ids, WAITS, version=decision.version)
    return Decision(Verdict.ALLOW, decision.policy_ids, decision.reason, version=decision.version)
