"""Policy rules as data: an ordered list in YAML, the first that matches decides.

version: 1
default: allow
rules:
  - id: no-schema-changes
    deny: {operations: [ddl, grant], resources: ["prod-*"]}
    reason: Schema changes go through migrations.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from policy.model import MaskObligation, Operation, TypedMask, Unreadable
from schemas.config import Model, faults_of, load_yaml
from schemas.errors import ConfigError
from schemas.events import Verdict

VERDICTS: Final = (Verdict.DENY, Verdict.HOLD, Verdict.MASK, Verdict.ALLOW)
MAX_RULES: Final = 10_000

Patterns = Annotated[tuple[str, ...], Field(max_length=1000)]


class Match(Model):
    """Conditions; all that are given must hold, and within a list any one. Names may hold * and ?."""

    operations: tuple[Operation, ...] = Field((), description="any of these is done; unknown statements do all of them")
    resources: Patterns = Field((), description="resource names")
    labels: dict[str, str] = Field(default_factory=dict, description="labels of the resource, all of them")
    protocols: Patterns = Field((), description="postgres, http, tcp")
    agents: Patterns = Field((), description="agents")
    principals: Patterns = Field((), description="principals")
    objects: Patterns = Field((), description="tables, functions() or paths; a bare name matches in any schema")
    is_multi: bool | None = Field(None, description="several statements in one")
    has_where: bool | None = Field(None, description="false: an UPDATE or DELETE without WHERE")
    is_unknown: bool | None = Field(None, description="the statement was not understood")


class MaskedValues(Model):
    """What of an answer is masked. Without labels and columns: whatever a detector knows."""

    labels: Patterns = Field((), description="labels of detectors, e.g. payment_card; none: all of them")
    columns: Patterns = Field((), description="column names, JSON keys, dotted paths, headers: masked whole")
    typed: Literal["null", "stand_in"] = Field("null", description="what stands for a masked number, date or boolean")
    unreadable: Literal["refuse", "relay"] = Field("refuse", description="what is done with what cannot be masked")

    @field_validator("typed", mode="before")
    @classmethod
    def _takes_a_bare_null(cls, value: object) -> object:
        return "null" if value is None else value  # YAML's own null

    def as_obligation(self) -> MaskObligation:
        """As decisions carry it."""
        return MaskObligation(self.labels, self.columns, TypedMask(self.typed), Unreadable(self.unreadable))


class MaskMatch(Match):
    """Conditions, and what is masked when they hold."""

    values: MaskedValues = Field(default_factory=MaskedValues, description="what is masked")


class Rule(Model):
    """One rule: its id, exactly one of deny, hold, mask, allow, and why."""

    id: str = Field(..., pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="recorded with each decision")
    deny: Match | None = Field(None, description="refuse the action")
    hold: Match | None = Field(None, description="wait for an approval; refused until approvals exist")
    mask: MaskMatch | None = Field(None, description="mask values in what the agent receives")
    allow: Match | None = Field(None, description="let it pass")
    reason: str = Field("", max_length=500, description="told to the agent and recorded")

    @model_validator(mode="after")
    def _has_one_verdict(self) -> "Rule":
        if sum(getattr(self, verdict) is not None for verdict in VERDICTS) != 1:
            raise ValueError("exactly one of deny, hold, mask, allow")
        return self

    @property
    def verdict(self) -> Verdict:
        return next(verdict for verdict in VERDICTS if getattr(self, verdict) is not None)

    @property
    def match(self) -> Match:
        match: Match = getattr(self, self.verdict)
        return match


class PolicyRules(Model):
    """A whole policy."""

    version: Literal[1] = 1
    default: Literal["allow", "deny"] = Field("allow", description="when no rule matches")
    rules: tuple[Rule, ...] = Field((), max_length=MAX_RULES)

    @model_validator(mode="after")
    def _has_unique_ids(self) -> "PolicyRules":
        repeated = _repeated([rule.id for rule in self.rules])
        if repeated:
            raise ValueError(f"rule ids used twice: {', '.join(repeated)}")
        return self


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def parse_rules(text: str, name: str = "policy.yaml") -> PolicyRules:
    """Rules from YAML text. Raises ConfigError with all faults at once."""
    return check_rules(load_yaml(text, name) or {}, name)


def check_rules(document: Any, name: str = "policy") -> PolicyRules:
    """Rules from data (a control record). Raises ConfigError with all faults at once."""
    try:
        return PolicyRules.model_validate(document)
    except ValidationError as error:
        raise ConfigError(faults_of(error, name)) from None
