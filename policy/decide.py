"""The one policy function: facts of an action and Cedar policies in, a decision out. No I/O, no clock, no state."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import cedarpy
import orjson

from policy.approval_text import join_approvals
from policy.cedar_policies import WHOLE, PolicySet, load_policies
from policy.mask_text import join_masks
from policy.model import ActionFacts, Call, Classified, Decision, Obligations, Operation, PolicyEngine, split_list
from policy.record_text import join_records
from schemas.errors import ConfigError
from schemas.events import Verdict

__all__ = ["ActionFacts", "CedarEngine", "Decision", "PolicyEngine", "decide", "load_engine", "read_policy_file"]

SHIPPED: Final = ("default", "starter")
_READ: Final = Operation.READ
_CALLS: Final = {Call.MODEL: "model_call", Call.TOOL: "tool_call"}
load_entities: Final = lru_cache(1024)(cedarpy.Entities.from_json_str)


class CedarEngine:
    """A PolicyEngine over a set of Cedar policies."""

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self.version = policies.version
        self.volatile = policies.volatile
        self.may_mask = bool(policies.masks)

    def decide(self, action: ActionFacts) -> Decision:
        return decide(action, self.policies)


def load_engine(policy_file: str = "", default: str = "deny") -> CedarEngine:
    """The engine for a policy file, or for the shipped policies. Raises ConfigError. Reads once, at start."""
    return CedarEngine(load_policies(read_policy_file(policy_file), default))


def read_policy_file(policy_file: str = "") -> dict[str, str]:
    """Name -> Cedar text: of a file, of every .cedar file of a folder, or of a shipped policy ("": `default`)."""
    if not policy_file or policy_file in SHIPPED:
        name = f"{policy_file or 'default'}.cedar"
        return {name: (files("policy") / "cedar" / name).read_text("utf-8")}
    path = Path(policy_file)
    try:
        found = sorted(path.glob("*.cedar")) if path.is_dir() else [path]
        texts = {each.name: each.read_text("utf-8") for each in found}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy_file: {policy_file}: {type(error).__name__}") from None
    if not texts:
        raise ConfigError(f"policy_file: {policy_file}: holds no .cedar file")
    return texts


def decide(action: ActionFacts, policies: PolicySet) -> Decision:
    """All that an action does must be allowed; what the policies demand besides adds up."""
    entities = load_entities(orjson.dumps(entities_of(action)).decode())
    context = context_of(action)
    if WHOLE not in policies.attributes:  # what nobody looks at need not be handed over
        context = {name: value for name, value in context.items() if name in policies.attributes}
    allowed: dict[str, None] = {}
    is_by_default = False
    for name in actions_of(action.classified, action.protocol):
        found = ask(policies, action, name, context, entities)
        if isinstance(found, Decision):
            return explain(found, action.classified)
        allowed.update(dict.fromkeys(found))
        is_by_default = is_by_default or not found
    return permitted(policies, sorted(allowed), is_by_default=is_by_default and not allowed)


def explain(decision: Decision, classified: Classified) -> Decision:
    """A denial whose reason says that the statement was not understood, where that is why it counts as everything."""
    if not classified.is_unknown or decision.policy_ids:
        return decision
    return replace(decision, reason=f"it was not understood, or is too long to be: {decision.reason}")


def decide_at_once(
    action: ActionFacts, name: str, context: Mapping[str, Any], policies: PolicySet, waits: str
) -> Decision:
    """Allow or deny one Cedar action that cannot wait: `waits` is told where people would have to approve it.

    What policies demand of answers is demanded of each action by itself, not here.
    """
    entities = load_entities(orjson.dumps(entities_of(action)).decode())
    found = ask(policies, action, name, context, entities)
    if isinstance(found, Decision):
        return found
    decision = permitted(policies, found, is_by_default=not found)
    if decision.verdict is Verdict.HOLD:
        return Decision(Verdict.DENY, decision.policy_ids, waits, version=decision.version)
    return Decision(Verdict.ALLOW, decision.policy_ids, decision.reason, version=decision.version)


def ask(
    policies: PolicySet, action: ActionFacts, name: str, context: Mapping[str, Any], entities: cedarpy.Entities
) -> list[str] | Decision:
    """Who permits one Cedar action: the ids of policies, none of them where the default does; or the denial."""
    request = {
        "principal": {"type": "Principal", "id": action.principal},
        "action": {"type": "Action", "id": name},
        "resource": {"type": "Resource", "id": action.resource},
        "context": context,
    }
    result = cedarpy.is_authorized(request, policies.handle, entities)
    reasons = sorted(result.diagnostics.reasons)
    if result.diagnostics.errors:
        # A policy that cannot be evaluated may be the one that forbids.
        return Decision(Verdict.DENY, (), "a policy could not be evaluated", version=policies.version)
    if result.allowed:
        return reasons
    if reasons or policies.default == "deny":
        reason = first_of(policies, reasons, "reason") or ("" if reasons else f"no policy allows {name}")
        notify = Obligations(notify=all_of(policies, reasons, "notify"))
        return Decision(Verdict.DENY, tuple(reasons), reason, notify, policies.version)
    return []


def permitted(policies: PolicySet, ids: list[str], *, is_by_default: bool) -> Decision:
    """The verdict of what these policies allow: held when any policy wants an approval, masked when any wants that."""
    if is_by_default:
        return Decision(Verdict.ALLOW, (), "", version=policies.version)
    limits = [int(value) for value in all_of(policies, ids, "limit_rows")]
    obligations = Obligations(
        mask=join_masks(policies.masks[id] for id in ids if id in policies.masks),
        approval=join_approvals(policies.approvals[id] for id in ids if id in policies.approvals),
        record=join_records(policies.records[id] for id in ids if id in policies.records),
        limit_rows=min(limits, default=0),
        notify=all_of(policies, ids, "notify"),
    )
    if obligations.approval is not None:
        return Decision(Verdict.HOLD, tuple(ids), obligations.approval.reason, obligations, policies.version)
    verdict = Verdict.MASK if obligations.mask is not None else Verdict.ALLOW
    return Decision(verdict, tuple(ids), first_of(policies, ids, "reason"), obligations, policies.version)


def all_of(policies: PolicySet, ids: Iterable[str], name: str) -> tuple[str, ...]:
    """The values of an annotation on these policies, each once; they are written with commas, and `*` is all."""
    found: dict[str, None] = {}
    for id in ids:
        annotations = policies.policies[id].annotations
        if name in annotations:
            value = annotations[name] or ""
            parts = split_list(value) or ("*",)
            found.update(dict.fromkeys(parts))
    return tuple(found)


def first_of(policies: PolicySet, ids: Iterable[str], name: str) -> str:
    return next((value for id in ids if (value := policies.policies[id].annotations.get(name))), "")


def actions_of(classified: Classified, protocol: str) -> list[str]:
    """Everything an action does, as Cedar actions. What was not understood may do everything."""
    calls = [_CALLS[classified.call]] if classified.call else []
    if classified.is_unknown:
        return [*(operation.value for operation in Operation), *calls]
    if classified.is_transaction:
        return ["read"]  # what COMMIT makes effective has been decided on before
    objects = [each for each in classified.objects if not each.name.endswith("()")]
    found = {classified.operation.value: None} | {each.access.value: None for each in objects}
    if protocol == "mcp":
        found["tool_call"] = None
    if protocol in ("shell", "ssh"):
        found |= {"file_read" if each.access is _READ else "file_write": None for each in objects}
    return [*found, *(each for each in calls if each not in found)]


def entities_of(action: ActionFacts) -> list[dict[str, Any]]:
    environment = action.labels.get("environment", "")
    groups = [{"type": "Group", "id": group} for group in action.groups]
    parents = [{"type": "Label", "id": f"{name}={value}"} for name, value in action.labels.items()]
    if environment:
        parents.append({"type": "Environment", "id": environment})
    attributes = {"name": action.resource, "protocol": action.protocol, "environment": environment}
    return [
        {"uid": {"type": "Principal", "id": action.principal}, "attrs": {}, "parents": groups},
        {"uid": {"type": "Resource", "id": action.resource}, "attrs": attributes, "parents": parents},
    ]


def context_of(action: ActionFacts) -> Mapping[str, Any]:
    classified = action.classified
    tables = [each for each in classified.objects if not each.name.endswith("()")]
    return {
        "agent": {"__entity": {"type": "Agent", "id": action.agent}},
        "protocol": action.protocol,
        "operation": classified.operation.value,
        "reads": _names(each.name for each in tables if each.access is _READ),
        "writes": _names(each.name for each in tables if each.access is not _READ),
        "objects": _names(each.name for each in tables),
        "target": " ".join(each.name for each in tables),
        "columns": _names(classified.columns),
        "functions": _names(each.removesuffix("()") for each in classified.functions),
        "has_where": classified.has_where,
        "lacks_where": classified.lacks_where,
        "breadth": breadth_of(classified),
        "multi": classified.is_multi,
        "unknown": classified.is_unknown,
        "transaction": classified.is_transaction,
        "sensitivity": sorted(action.sensitivity),
        "source": {"__extn": {"fn": "ip", "arg": action.source or "0.0.0.0"}},  # noqa: S104 - the address of nobody
        "hour": action.history.hour,
        "weekday": action.history.weekday,
        "actions": action.history.actions,
        "denials": action.history.denials,
        "rows_read": action.history.rows_read,
        "distinct_objects": action.history.distinct_objects,
        "step": action.step,
        "model": classified.called if classified.call is Call.MODEL else "",
        "tool": classified.called if classified.call is Call.TOOL else "",
    }


def _names(names: Iterable[str]) -> list[str]:
    """Names as written, and without their schema: `public.users` is `users` too, in small letters as well."""
    found: set[str] = set()
    for name in names:
        found |= {name, name.lower()}
        if "/" not in name:
            found |= {name.rpartition(".")[2], name.rpartition(".")[2].lower()}
    return sorted(found)


def breadth_of(classified: Classified) -> str:
    """How many rows a change is likely to hit: none, some or all."""
    if classified.is_unknown or classified.lacks_where:
        return "all"
    if classified.is_read or classified.is_transaction:
        return "none"
    return "some" if classified.has_where or classified.operation in (Operation.WRITE, Operation.DELETE) else "all"
