"""What policies say of a credential that is to be issued: asked once the grants, or an operator, allow it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from console.delegation import NotGranted
from policy.cedar_policies import PolicySet, load_policies
from policy.decide import read_policy_file
from policy.delegations import DelegationFacts, decide_delegation
from policy.model import History
from schemas.config import Settings
from schemas.events import ControlKind, Verdict
from schemas.resources import Resource
from schemas.wire.control import ControlView


@dataclass(frozen=True, slots=True)
class Wanted:
    """A credential: whose authority, who acts, and how that is known."""

    principal: str
    agent: str
    groups: tuple[str, ...] = ()
    is_person: bool = False
    workload: str = ""
    after: str = ""
    chain: int = 0
    ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class Permitted:
    """The resources that policies permit, and what is recorded of the decision: nothing when no policy speaks of it."""

    resources: tuple[str, ...]
    facts: Mapping[str, str]


def policies_in_force(view: ControlView, settings: Settings) -> PolicySet:
    """As the proxies have them. Raises ConfigError."""
    texts = {name: str(entry.get("cedar", "")) for name, entry in view.all(ControlKind.POLICY).items()}
    texts = texts or read_policy_file(settings.policy_file)
    return _load(tuple(sorted(texts.items())), settings.policy_default)


@lru_cache(4)
def _load(texts: tuple[tuple[str, str], ...], default: str) -> PolicySet:
    return load_policies(dict(texts), default)


def permit(
    wanted: Wanted,
    names: Sequence[str],
    registered: Mapping[str, Resource],
    policies: PolicySet,
    *,
    is_exact: bool,
) -> Permitted:
    """Those of the resources that policies permit. Raises NotGranted when there is none, or with `is_exact` not all."""
    allowed: list[str] = []
    ids: dict[str, None] = {}
    refusal = ""
    now = datetime.now(UTC)
    for name in names:
        resource = registered[name]
        facts = DelegationFacts(
            wanted.principal,
            wanted.agent,
            name,
            resource.protocol,
            tuple(sorted(resource.labels.items())),
            wanted.groups,
            wanted.is_person,
            wanted.workload,
            wanted.after,
            wanted.chain,
            wanted.ttl_s,
            History(now.hour, now.isoweekday()),
        )
        decision = decide_delegation(facts, policies)
        if decision is None:
            return Permitted(tuple(names), {})
        if decision.verdict is Verdict.ALLOW:
            allowed.append(name)
            ids.update(dict.fromkeys(decision.policy_ids))
            continue
        by = ", ".join(decision.policy_ids) or "no policy"
        told = f": {decision.reason}" if decision.reason else ""
        refusal = f"policy does not let {wanted.agent} act for {wanted.principal} on {name}{told} ({by})"
        if is_exact:
            raise NotGranted(refusal)
    if not allowed:
        raise NotGranted(refusal or f"there is nothing that {wanted.agent} could act on")
    return Permitted(tuple(allowed), {"policy.ids": ",".join(sorted(ids)), "policy.version": policies.version})
