"""Who may act for whom, as policies say it: the Cedar action `delegate`. Pure.

Until a policy names that action, policies say nothing about it. From then on each delegation must be permitted.
"""

from dataclasses import dataclass
from typing import Final

from policy.cedar_check import DELEGATE, names_action
from policy.cedar_policies import PolicySet
from policy.decide import context_of, decide_at_once
from policy.model import ActionFacts, Classified, Decision, History, Operation

WAITS: Final = "people would have to approve it, and a delegation does not wait"
NO_HISTORY: Final = History()
_NO_STATEMENT: Final = Classified(Operation.READ)


@dataclass(slots=True, frozen=True)
class DelegationFacts:
    """A credential to be issued, for one resource. `when` is the time (UTC)."""

    principal: str
    agent: str
    resource: str
    protocol: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    groups: tuple[str, ...] = ()
    is_person: bool = False
    workload: str = ""
    after: str = ""
    chain: int = 0
    ttl_s: int = 0
    when: History = NO_HISTORY


def decide_delegation(facts: DelegationFacts, policies: PolicySet) -> Decision | None:
    """Allow or deny; None: no policy speaks of delegations."""
    if not names_action(policies, DELEGATE):
        return None
    action = ActionFacts(
        facts.agent,
        facts.principal,
        facts.resource,
        facts.protocol,
        _NO_STATEMENT,
        dict(facts.labels),
        facts.groups,
        history=facts.when,
    )
    context = {
        **context_of(action),
        "operation": DELEGATE,
        "person": facts.is_person,
        "workload": facts.workload,
        "after": facts.after,
        "chain": facts.chain,
        "ttl_s": facts.ttl_s,
    }
    return decide_at_once(action, DELEGATE, context, policies, WAITS)
