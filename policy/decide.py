"""The one policy function: facts of an action and rules in, a decision out. No I/O, no clock, no state."""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from policy.model import ActionFacts, Decision, Operation, PolicyEngine
from policy.rules import Match, PolicyRules, parse_rules
from schemas.errors import ConfigError
from schemas.events import Verdict

__all__ = ["ActionFacts", "Decision", "PolicyEngine", "RuleEngine", "decide", "load_engine"]

DEFAULT_POLICY: Final = "default_policy.yaml"


class RuleEngine:
    """A PolicyEngine over ordered rules."""

    def __init__(self, rules: PolicyRules) -> None:
        self.rules = rules

    @property
    def may_mask(self) -> bool:
        return any(rule.mask is not None for rule in self.rules.rules)

    def decide(self, action: ActionFacts) -> Decision:
        return decide(action, self.rules)


def load_engine(policy_file: str = "") -> PolicyEngine:
    """The engine for a policy file, or for the shipped policy. Raises ConfigError. Reads once, at start."""
    if not policy_file:
        return RuleEngine(parse_rules((files("policy") / DEFAULT_POLICY).read_text("utf-8"), DEFAULT_POLICY))
    try:
        text = Path(policy_file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy_file: {policy_file}: {type(error).__name__}") from None
    return RuleEngine(parse_rules(text, policy_file))


def decide(action: ActionFacts, rules: PolicyRules) -> Decision:
    """The first rule that matches decides; else the default does."""
    for rule in rules.rules:
        if _matches(rule.match, action, is_permission=rule.verdict is Verdict.ALLOW):
            mask = rule.mask.values.as_obligation() if rule.mask is not None else None
            return Decision(rule.verdict, (rule.id,), rule.reason, mask)
    verdict = Verdict(rules.default)
    return Decision(verdict, (), "" if verdict is Verdict.ALLOW else "no rule allows it")


def _matches(match: Match, action: ActionFacts, *, is_permission: bool) -> bool:
    classified = action.classified
    return (
        _any_match(match.resources, action.resource)
        and _any_match(match.agents, action.agent)
        and _any_match(match.principals, action.principal)
        and _any_match(match.protocols, action.protocol)
        and all(action.labels.get(name) == value for name, value in match.labels.items())
        and (match.is_multi is None or match.is_multi == classified.is_multi)
        and (match.has_where is None or match.has_where != classified.lacks_where)
        and (match.is_unknown is None or match.is_unknown == classified.is_unknown)
        and (_permits if is_permission else _restricts)(match, action)
    )


def _restricts(match: Match, action: ActionFacts) -> bool:
    """In doubt a restriction holds: anything that is done, any object, a name in whatever schema. A statement that
    was not understood may do everything to every object."""
    classified = action.classified
    if classified.is_unknown:
        return True
    touched = [each for each in classified.objects if not match.objects or _is_object(match.objects, each.name)]
    if match.objects and not touched:
        return False
    if not match.operations:
        return True
    if classified.is_transaction:
        return False  # COMMIT is gated like a write, but what it commits has been decided on before
    return classified.operation in match.operations or any(each.access in match.operations for each in touched)


def _permits(match: Match, action: ActionFacts) -> bool:
    """A permission must cover all that is done and every object, by the name as it was written."""
    classified = action.classified
    if classified.is_unknown and (match.operations or match.objects) and not match.is_unknown:
        return False
    accesses: set[Operation] = {classified.operation, *(each.access for each in classified.objects)}
    if match.operations and not classified.is_transaction and not accesses <= _covered(match.operations):
        return False
    return not match.objects or (
        bool(classified.objects) and all(_any_match(match.objects, each.name) for each in classified.objects)
    )


def _covered(operations: Iterable[Operation]) -> set[Operation]:
    """A write of something includes reading what it is made from."""
    allowed = set(operations)
    return allowed | {Operation.READ} if allowed - {Operation.READ} else allowed


def _is_object(patterns: Sequence[str], name: str) -> bool:
    """Whether a name may be meant: `users` and `public.users` may be the same table."""
    name = name.lower()
    wanted = [pattern.lower() for pattern in patterns]
    if _any_match(wanted, name):
        return True
    if "/" in name:
        return False
    schema, _, last = name.rpartition(".")
    bare = [pattern for pattern in wanted if "." not in pattern]
    if schema:
        return bool(bare) and _any_match(bare, last)
    return any(_regex(pattern.rpartition(".")[2]).fullmatch(last) for pattern in wanted)


def _any_match(patterns: Sequence[str], value: str) -> bool:
    return not patterns or any(_regex(pattern).fullmatch(value) for pattern in patterns)


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))
