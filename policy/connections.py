"""Who may open a session with a resource at all, as policies say it: the Cedar action `connect`. Pure.

Until a policy names that action, sessions open and each action is decided by itself. From then on each must be
permitted.
"""

from typing import Final

from policy.cedar_check import CONNECT, names_action
from policy.cedar_policies import PolicySet
from policy.decide import context_of, decide_at_once
from policy.model import ActionFacts, Decision

WAITS: Final = "people would have to approve it, and a connection does not wait"


def rules_connections(policies: PolicySet) -> bool:
    """Whether any policy names the action."""
    return names_action(policies, CONNECT)


def decide_connection(facts: ActionFacts, policies: PolicySet) -> Decision:
    """Allow or deny."""
    context = {**context_of(facts), "operation": CONNECT}
    return decide_at_once(facts, CONNECT, context, policies, WAITS)
