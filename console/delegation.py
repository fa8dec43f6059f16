"""Who may act for whom: a pure decision over the grants of the settings."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from console.oidc.workloads import WorkloadIdentity, claim_at
from schemas.errors import CustodyError, Fault
from schemas.identity_config import Grant, Workload
from schemas.resources import Credential, Delegate

MAX_CHAIN: Final = 8
"""Links of a delegation chain; a longer one is a loop somewhere."""
ALL: Final = "*"


class NotGranted(CustodyError):
    """Nobody said that this agent may act so. The message says what was asked for."""

    fault = Fault.CALLER


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked for, by whom, as was verified: a person or a workload or a credential, and who acts for it."""

    principal: str
    groups: tuple[str, ...] = ()
    is_person: bool = False
    parent: Credential | None = None
    actor: WorkloadIdentity | None = None
    agent: str = ""
    """Only where no workload proves it."""
    resources: tuple[str, ...] = ()
    """Empty: whatever is granted."""
    ttl_s: int = 3600


@dataclass(frozen=True, slots=True)
class Granted:
    """What a credential may say."""

    principal: str
    groups: tuple[str, ...]
    agent: str
    delegation: tuple[Delegate, ...]
    resources: tuple[str, ...]
    ttl_s: int
    run_id: str = ""
    parents: tuple[str, ...] = ()
    spiffe_id: str = ""


def decide(asking: Asking, grants: Iterable[Grant], registered: Sequence[str], now_us: int) -> Granted:
    """The first grant that covers everything asked for. Raises NotGranted."""
    if asking.parent is not None and len(asking.parent.delegation) >= MAX_CHAIN:
        raise NotGranted(f"a chain of delegation has at most {MAX_CHAIN} links")
    fitting = [grant for grant in grants if _is_of(grant, asking)]
    if not fitting:
        raise NotGranted(_describe(asking))
    for grant in fitting:
        resources = _resources_of(grant, asking, registered)
        if resources:
            return _make(grant, asking, resources, now_us)
    raise NotGranted(f"{_describe(asking)} on {', '.join(asking.resources) or 'any registered resource'}")


def _is_of(grant: Grant, asking: Asking) -> bool:
    """Whether a grant speaks of this agent and this principal."""
    if grant.workload is None:
        is_agent = asking.actor is None and asking.is_person and grant.agent == asking.agent
    else:
        is_agent = asking.actor is not None and _is_workload(grant.workload, asking.actor)
        is_agent = is_agent and asking.agent in ("", grant.agent)
    return is_agent and _is_principal(grant, asking)


def _is_principal(grant: Grant, asking: Asking) -> bool:
    if asking.parent is not None:
        return any(matches(pattern, asking.parent.agent) for pattern in grant.after)
    if asking.is_person:
        is_named = any(matches(pattern, asking.principal) for pattern in grant.principals)
        return is_named or not set(grant.groups).isdisjoint(asking.groups)
    is_itself = asking.actor is not None and asking.actor.principal == asking.principal
    return grant.on_its_own and is_itself


def _is_workload(wanted: Workload, actor: WorkloadIdentity) -> bool:
    if wanted.issuer != actor.issuer:
        return False
    return all(_has(actor.claims, path, pattern) for path, pattern in wanted.claims.items())


def _has(claims: Mapping[str, object], path: str, pattern: str) -> bool:
    value = claim_at(claims, path)
    return value is not None and matches(pattern, value)


def _resources_of(grant: Grant, asking: Asking, registered: Sequence[str]) -> tuple[str, ...]:
    """What is asked for if all of it is granted; without names, whatever is. Empty: not enough."""
    limits = [] if asking.parent is None or ALL in asking.parent.resources else [set(asking.parent.resources)]
    allowed = [
        name
        for name in registered
        if any(matches(pattern, name) for pattern in grant.resources) and all(name in limit for limit in limits)
    ]
    if not asking.resources:
        return tuple(allowed)
    return tuple(asking.resources) if set(asking.resources) <= set(allowed) else ()


def _make(grant: Grant, asking: Asking, resources: tuple[str, ...], now_us: int) -> Granted:
    parent = asking.parent
    ttl_s = min(asking.ttl_s, grant.max_ttl_s)
    spiffe_id = asking.actor.subject if grant.bound and asking.actor is not None else ""
    if parent is not None:
        ttl_s = min(ttl_s, (parent.expires_at - now_us) // 1_000_000)
        chain = (*parent.delegation, Delegate(actor=grant.agent, on_behalf_of=parent.agent))
        lineage = (*parent.parents, parent.id)
        groups = tuple(parent.groups)
        run_id = parent.run_id
        return Granted(parent.principal, groups, grant.agent, chain, resources, ttl_s, run_id, lineage, spiffe_id)
    chain = (Delegate(actor=grant.agent, on_behalf_of=asking.principal),) if asking.is_person else ()
    return Granted(asking.principal, asking.groups, grant.agent, chain, resources, ttl_s, spiffe_id=spiffe_id)


def _describe(asking: Asking) -> str:
    who = asking.actor.principal if asking.actor is not None else asking.agent or "no agent"
    whom = f"agent {asking.parent.agent}" if asking.parent is not None else asking.principal
    return f"no grant lets {who} act for {whom}"


def matches(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern in which `*` stands for any text, without dots or slashes being special."""
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression, text, re.DOTALL) is not None
