"""The settings of retention: classes, what the organisation asks of all of them, which session is of which class."""

import re
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from schemas.errors import ConfigError
from schemas.retention_ages import AgesConflict, Bound, ClassAges, check_together, combine, name_combination
from schemas.retention_presets import STORAGE_LIMIT, STORAGE_LIMIT_DAYS, find_preset
from schemas.settings_base import Model

FALLBACK: Final = "standard"
"""The class of what nothing assigns. A resource that names it has named nothing."""
LONGEST_DAYS: Final = 365_000
MAX_CLASSES: Final = 64
MAX_RULES: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


class RetentionClass(Model):
    """How long a class is kept."""

    max_age_days: int = Field(
        LONGEST_DAYS,
        ge=0,
        le=LONGEST_DAYS,
        description="days older than this expire; may be left out where a preset or retention.defaults says it",
    )
    min_age_days: int = Field(0, ge=0, le=LONGEST_DAYS, description="nothing younger than this may go")
    presets: list[str] = Field(
        [], max_length=16, description="regulations that bound the ages, too: pci-dss-4, hipaa, gdpr-storage-limit, …"
    )

    def join(self, others: Iterable[Self]) -> Self:
        """The ages of this and other classes at once: the longest minimum, the shortest maximum that it leaves."""
        known = [self, *others]
        least = max(item.min_age_days for item in known)
        presets = dict.fromkeys(preset for item in known for preset in item.presets)
        most = max(least, min(item.max_age_days for item in known))
        return self.model_copy(update={"min_age_days": least, "max_age_days": most, "presets": list(presets)})


class Defaults(Model):
    """What the organisation asks of every class."""

    max_age_days: int = Field(
        LONGEST_DAYS, ge=0, le=LONGEST_DAYS, description="no class keeps anything longer; left out: each says its own"
    )
    min_age_days: int = Field(0, ge=0, le=LONGEST_DAYS, description="no class lets anything younger go")
    presets: list[str] = Field([], max_length=16, description="regulations that bound every class")


class Assignment(Model):
    """A rule: a session that fits every condition given is of this class."""

    retention_class: str = Field(..., description="the class, one of retention.classes")
    resource: str = Field(
        "",
        pattern=r"^([a-z0-9][a-z0-9._-]{0,62}\*?)?$",
        description="name of the resource; `pay-*`: those that begin so",
    )
    protocol: Literal["", "postgres", "http", "tcp", "custody"] = Field(
        "", description="protocol of the resource; `custody`: what Custody itself does and is asked"
    )
    environment: str = Field("", description="the resource's label `environment`")
    labels: dict[str, str] = Field(default_factory=dict, description="labels that the resource has, with these values")

    @model_validator(mode="after")
    def _has_one_environment(self) -> Self:
        if self.environment and self.labels.get("environment", self.environment) != self.environment:
            raise ValueError("environment and labels.environment contradict each other")
        return self

    @property
    def _wanted(self) -> dict[str, str]:
        return self.labels | ({"environment": self.environment} if self.environment else {})

    def matches(self, resource: str, protocol: str, labels: Mapping[str, str]) -> bool:
        """Whether a session of such a resource fits."""
        return (
            _fits(self.resource, resource)
            and self.protocol in ("", protocol)
            and all(labels.get(name) == value for name, value in self._wanted.items())
        )

    def may_meet(self, other: "Assignment") -> bool:
        """Whether some resource could fit both: unless one condition rules the other out."""
        if not _may_be_one(self.resource, other.resource):
            return False
        if self.protocol and other.protocol and self.protocol != other.protocol:
            return False
        common = self._wanted.keys() & other._wanted.keys()
        return all(self._wanted[name] == other._wanted[name] for name in common)


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else pattern in ("", name)


def _may_be_one(first: str, second: str) -> bool:
    if first.endswith("*") and second.endswith("*"):
        return first[:-1].startswith(second[:-1]) or second[:-1].startswith(first[:-1])
    return _fits(first, second) or _fits(second, first)


class Retention(Model):
    """Retention classes, which session is of which, and how often due partitions are looked for."""

    storage_limit_days: int = Field(
        STORAGE_LIMIT_DAYS,
        ge=1,
        le=LONGEST_DAYS,
        description="preset gdpr-storage-limit: days after which you no longer need personal data",
    )
    defaults: Defaults = Field(default_factory=Defaults, description="what is asked of every class")
    classes: dict[str, RetentionClass] = Field(
        default_factory=lambda: {
            "short": RetentionClass(max_age_days=30, min_age_days=0),
            "standard": RetentionClass(max_age_days=365, min_age_days=0),
        },
        validate_default=True,
        max_length=MAX_CLASSES,
        description="class name to ages",
    )
    assign: list[Assignment] = Field(
        [], max_length=MAX_RULES, description="rules by which sessions get a class; all that fit count"
    )
    interval_s: float = Field(60.0, gt=0, description="how often due partitions are looked for")
    require_log: bool = Field(True, description="carry an order out only when it is under a witnessed checkpoint")

    @field_validator("classes")
    @classmethod
    def _bound(cls, classes: dict[str, RetentionClass], info: ValidationInfo) -> dict[str, RetentionClass]:
        """Every class with the ages that it has in effect. The longest minimum and the shortest maximum count."""
        if "held" in classes:
            raise ValueError("held: this name is the store's, for rows under a legal hold")
        if "defaults" not in info.data or "storage_limit_days" not in info.data:
            return classes  # their own fault is told
        found, faults = {}, []
        for name, item in classes.items():
            if not _NAME.fullmatch(name):
                faults.append(f"{name!r} is no name for a class: letters, digits, dots, dashes, underscores")
                continue
            try:
                found[name] = bound_class(item, info.data["defaults"], info.data["storage_limit_days"])
            except ConfigError as error:
                faults.append(f"{name}: {error}")
        if faults:
            raise ValueError("; ".join(faults))
        return found

    @field_validator("assign")
    @classmethod
    def _rules_agree(cls, rules: list[Assignment], info: ValidationInfo) -> list[Assignment]:
        """No two rules that can meet contradict each other. Any number of rules does not, if no two do."""
        classes: Mapping[str, RetentionClass] | None = info.data.get("classes")
        if classes is None:
            return rules  # their own fault is told
        unknown = [f"rule {n}: no class {rule.retention_class!r}; there are: {', '.join(classes)}"
                   for n, rule in enumerate(rules, 1) if rule.retention_class not in classes]  # fmt: skip
        if unknown:
            raise ValueError("; ".join(unknown))
        for (first, one), (second, other) in combinations(enumerate(rules, 1), 2):
            if one.retention_class == other.retention_class or not one.may_meet(other):
                continue
            names = (f"rule {first}, class {one.retention_class}", f"rule {second}, class {other.retention_class}")
            try:
                check_together({names[0]: classes[one.retention_class], names[1]: classes[other.retention_class]})
            except AgesConflict as error:
                raise ValueError(f"what fits rules {first} and {second} {error}") from None
        return rules

    @property
    def ages(self) -> ClassAges[RetentionClass]:
        """Ages by class, those of combinations too."""
        return ClassAges(self.classes)

    @property
    def shortest_days(self) -> int:
        """The shortest maximum of any class."""
        return min((item.max_age_days for item in self.classes.values()), default=LONGEST_DAYS)

    def find_class(self, resource: str, protocol: str, labels: Mapping[str, str], own: str = FALLBACK) -> str:
        """The class of a resource's sessions: of every rule that fits and of its own, together.

        Raises AgesConflict when its own class contradicts a rule's; rules do not contradict each other.
        """
        fitting = [rule for rule in self.assign if rule.matches(resource, protocol, labels)]
        asked = {rule.retention_class: f"rule {self.assign.index(rule) + 1}, class {rule.retention_class}"
                 for rule in fitting}  # fmt: skip
        if own != FALLBACK or not asked:
            asked.setdefault(own, f"its own retention_class {own}")
        known = {why: self.ages[name] for name, why in asked.items() if name in self.ages}
        if len(known) > 1:
            check_together(known)
        return name_combination(asked)

    def describe(self) -> dict[str, str]:
        """Ages and rules as facts of an event, so that the trail says what was in force from when on."""
        facts = {
            f"retention.class.{name}": " ".join([f"{item.min_age_days}-{item.max_age_days} days", *item.presets])
            for name, item in self.classes.items()
        }
        for number, rule in enumerate(self.assign, 1):
            facts[f"retention.rule.{number}"] = rule.model_dump_json(exclude_defaults=True)
        return facts


def bound_class(item: RetentionClass, defaults: Defaults, storage_limit_days: int) -> RetentionClass:
    """A class with the ages that its presets and the organisation leave it. Raises ConfigError, AgesConflict."""
    minimums = [Bound(item.min_age_days, "its min_age_days"), Bound(defaults.min_age_days, "retention.defaults")]
    maximums = [
        Bound(limit.max_age_days, why)
        for limit, why in ((item, "its max_age_days"), (defaults, "retention.defaults"))
        if "max_age_days" in limit.model_fields_set
    ]
    presets = list(dict.fromkeys([*item.presets, *defaults.presets]))
    for name in presets:
        preset = find_preset(name)
        minimums.append(Bound(preset.min_days, name))
        if preset.max_days is not None:
            maximums.append(Bound(storage_limit_days if name == STORAGE_LIMIT else preset.max_days, name))
    if not maximums:
        raise ConfigError(
            "when does it go? Give max_age_days, here or in retention.defaults, or a preset that limits it"
        )
    least, most = combine(minimums, maximums)
    return RetentionClass(max_age_days=most, min_age_days=least, presets=presets)
