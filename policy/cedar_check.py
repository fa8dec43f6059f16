"""What is wrong with policies before they are applied: everything that can be told from their text, with lines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policy.cedar_policies import Fault, Policy, PolicySet, parse_policies, validate

_MATCH_ALL: Final = "All"
DELEGATE: Final = "delegate"
CONNECT: Final = "connect"


def check_policies(texts: Mapping[str, str], names: Mapping[str, frozenset[str]] | None = None) -> list[Fault]:
    """All faults of these texts (name -> Cedar), by file and line. `names`: the entities of a type that there are
    (`Resource`, `Principal`, `Agent` …); types that are not given are not looked at."""
    policies, faults = parse_policies(texts)
    faults.extend(validate(policies))
    faults.extend(_unreachable(policies))
    faults.extend(_idle_obligations(policies))
    for type_, known in (names or {}).items():
        faults.extend(_unknown_names(policies, type_, known))
    return sorted(set(faults), key=lambda fault: (fault.name, fault.line, fault.text))


def _unreachable(policies: Sequence[Policy]) -> Iterator[Fault]:
    """Policies that never decide anything: repeated, never true, or always overruled."""
    bodies: dict[str, Policy] = {}
    for policy in policies:
        key = repr((policy.document | {"annotations": {}}, sorted(policy.annotations.items() - {("id", policy.id)})))
        if key in bodies:
            yield Fault(policy.name, policy.line, f"unreachable: the same as {_place(bodies[key])}")
            continue
        bodies[key] = policy
        if _is_never(policy):
            yield Fault(policy.name, policy.line, "unreachable: its condition is never true")
            continue
        overruling = next((each for each in policies if _overrules(each, policy)), None)
        if overruling is not None:
            yield Fault(policy.name, policy.line, f"unreachable: {_place(overruling)} forbids all of it")


def _idle_obligations(policies: Sequence[Policy]) -> Iterator[Fault]:
    """Obligations that a delegation cannot have: it has no answer, and waits for nobody."""
    for policy in policies:
        if policy.document["action"] != {"op": "==", "entity": {"type": "Action", "id": DELEGATE}}:
            continue
        for name in sorted(set(policy.annotations) & {"mask", "approval", "record", "limit_rows"}):
            yield Fault(policy.name, policy.line, f"@{name} on a delegation: it has no answer and does not wait")


def _place(policy: Policy) -> str:
    return f"{policy.id} ({policy.name}:{policy.line})"


def _is_never(policy: Policy) -> bool:
    """A condition that is a constant, or says a thing and its opposite."""
    parts: list[tuple[Any, bool]] = []
    for condition in policy.document.get("conditions", []):
        parts.extend(_conjuncts(condition.get("body"), condition.get("kind") == "when"))
    said = [(repr(body), is_true) for body, is_true in parts]
    return any(body == {"Value": not is_true} for body, is_true in parts) or any(
        (text, not is_true) in said for text, is_true in said
    )


def _conjuncts(body: Any, is_true: bool) -> Iterator[tuple[Any, bool]]:
    """(expression, whether it must be true) for all parts that must hold together."""
    stack = [(body, is_true)]
    while stack:
        node, wanted = stack.pop()
        operator = "&&" if wanted else "||"
        if isinstance(node, dict) and isinstance(node.get(operator), dict):
            stack += [(node[operator].get("left"), wanted), (node[operator].get("right"), wanted)]
        elif isinstance(node, dict) and isinstance(node.get("!"), dict):
            stack.append((node["!"].get("arg"), not wanted))
        else:
            yield node, wanted


def _overrules(forbid: Policy, policy: Policy) -> bool:
    """Whether a forbid without conditions covers the whole scope of another policy."""
    if forbid is policy or forbid.effect != "forbid" or forbid.document.get("conditions"):
        return False
    if policy.effect == "forbid" and not policy.document.get("conditions") and policy.line < forbid.line:
        return False  # of two forbids the narrower one is the one that is not needed, whatever their order
    return all(_covers(forbid.document[part], policy.document[part]) for part in ("principal", "action", "resource"))


def _covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether a scope takes in all that another takes in, as far as the scopes themselves tell."""
    if wide.get("op") == _MATCH_ALL or wide == narrow:
        return True
    wide_names, narrow_names = _entities_of(wide), _entities_of(narrow)
    is_listed = bool(narrow_names) and narrow_names <= wide_names
    return is_listed and (wide.get("op") == "in" or wide.get("op") == narrow.get("op"))


def _entities_of(scope: Mapping[str, Any]) -> set[tuple[str, str]]:
    found = [scope["entity"]] if "entity" in scope else list(scope.get("entities", []))
    return {(str(each.get("type")), str(each.get("id"))) for each in found}


def _unknown_names(policies: Sequence[Policy], type_: str, known: frozenset[str]) -> Iterator[Fault]:
    for policy in policies:
        for name in sorted(set(named_entities(policy.document, type_)) - known):
            yield Fault(policy.name, policy.line, f"unknown {type_.lower()} {name!r}")


def names_action(policies: PolicySet, name: str) -> bool:
    """Whether any policy names a Cedar action."""
    return any(name in named_entities(each.document, "Action") for each in policies.policies.values())


def named_entities(document: Any, type_: str) -> Iterator[str]:
    """The ids of the entities of a type that a policy names, in its scope and its conditions."""
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            if node.get("type") == type_ and isinstance(node.get("id"), str):
                yield node["id"]
            stack.extend(value for key, value in node.items() if key != "annotations")
