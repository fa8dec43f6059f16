"""Cases beside policies: a statement, who acts on what, and what must come of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from policy.cedar_policies import PolicySet
from policy.classify import CLASSIFIERS, classify
from policy.decide import ActionFacts, Decision, decide
from policy.delegations import DelegationFacts, decide_delegation
from policy.model import History
from schemas.config import Model, faults_of, load_yaml
from schemas.errors import ConfigError
from schemas.events import Verdict


class Past(Model):
    """What the session has done before, and when this is."""

    hour: int = Field(0, ge=0, le=23)
    weekday: int = Field(1, ge=1, le=7)
    actions: int = Field(0, ge=0)
    denials: int = Field(0, ge=0)
    rows_read: int = Field(0, ge=0)
    distinct_objects: int = Field(0, ge=0)


class Delegation(Model):
    """What the action `delegate` looks at besides who, for whom and on what."""

    person: bool = False
    workload: str = ""
    after: str = ""
    chain: int = Field(0, ge=0)
    ttl_s: int = Field(3600, ge=0)


class Case(Model):
    """One case. What is not given is as in an ordinary session."""

    name: str = Field(..., min_length=1)
    statement: str = Field("", description="what is asked for; empty with `delegation`")
    delegation: Delegation | None = Field(None, description="a credential is asked for, and no statement")
    expect: Literal["allow", "mask", "hold", "deny"]
    dialect: str = "postgres"
    policies: list[str] | None = Field(None, description="the policies that must have decided")
    principal: str = "ann"
    groups: list[str] = Field(default_factory=list)
    agent: str = "planner"
    resource: str = "db"
    labels: dict[str, str] = Field(default_factory=dict)
    source: str = "127.0.0.1"
    step: str = ""
    sensitivity: list[str] = Field(default_factory=list)
    past: Past = Field(default_factory=Past)


class Cases(Model):
    """A file of cases."""

    cases: list[Case]


@dataclass(slots=True, frozen=True)
class Outcome:
    """What came of a case."""

    case: Case
    decision: Decision

    @property
    def is_as_expected(self) -> bool:
        wanted = self.case.policies
        return self.decision.verdict.value == self.case.expect and (
            wanted is None or set(wanted) == set(self.decision.policy_ids)
        )

    def __str__(self) -> str:
        by = ", ".join(self.decision.policy_ids) or "no policy"
        wanted = "" if self.case.policies is None else f" by {', '.join(self.case.policies) or 'no policy'}"
        return f"{self.case.name}: {self.decision.verdict.value} by {by}, expected {self.case.expect}{wanted}"


def read_cases(text: str, name: str) -> list[Case]:
    """The cases of a YAML text. Raises ConfigError with all faults."""
    document: Any = load_yaml(text, name) or {}
    try:
        cases = Cases.model_validate(document).cases
    except ValidationError as error:
        raise ConfigError(faults_of(error, name)) from None
    for case in cases:
        if bool(case.statement) == (case.delegation is not None):
            raise ConfigError(f"{name}: {case.name}: a case has a statement, or else a delegation")
        if case.dialect not in CLASSIFIERS:
            raise ConfigError(f"{name}: {case.name}: no classifier for dialect {case.dialect!r}")
    return cases


def run_cases(cases: list[Case], policies: PolicySet) -> Iterator[Outcome]:
    """What the policies say to each case."""
    for case in cases:
        if case.delegation is not None:
            yield Outcome(case, _delegate(case, case.delegation, policies))
            continue
        action = ActionFacts(
            agent=case.agent,
            principal=case.principal,
            resource=case.resource,
            protocol=case.dialect,
            classified=classify(case.dialect, case.statement),
            labels=case.labels,
            groups=tuple(case.groups),
            source=case.source,
            step=case.step,
            sensitivity=frozenset(case.sensitivity),
            history=History(**case.past.model_dump()),
        )
        yield Outcome(case, decide(action, policies))


def _delegate(case: Case, asked: Delegation, policies: PolicySet) -> Decision:
    facts = DelegationFacts(
        case.principal,
        case.agent,
        case.resource,
        case.dialect,
        tuple(case.labels.items()),
        tuple(case.groups),
        asked.person,
        asked.workload,
        asked.after,
        asked.chain,
        asked.ttl_s,
        History(case.past.hour, case.past.weekday),
    )
    return decide_delegation(facts, policies) or Decision(Verdict.ALLOW, (), "", version=policies.version)
