"""A set of Cedar policies, parsed once: what the engine decides by. Faults are all told, each with its line."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

import cedarpy
import orjson

from policy.approval_text import parse_approval
from policy.cedar_text import MAX_CHARS, Piece, split_policies
from policy.mask_text import parse_mask
from policy.model import ApprovalObligation, MaskObligation, RecordObligation
from policy.record_text import parse_record
from schemas.errors import ConfigError

SCHEMA: Final = (files("policy") / "cedar" / "custody.cedarschema").read_text("utf-8")
OBLIGATIONS: Final = ("mask", "approval", "record", "limit_rows", "notify")
ANNOTATIONS: Final = frozenset({"id", "reason", *OBLIGATIONS})
# Attributes of the context that the statement's shape and who acts do not settle.
VOLATILE: Final = frozenset("source hour weekday actions denials rows_read distinct_objects step".split())
WHOLE: Final = "*"
_PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "mask": parse_mask,
    "approval": parse_approval,
    "record": parse_record,
}
MAX_POLICIES: Final = 10_000


@dataclass(slots=True, frozen=True)
class Policy:
    """One policy. `id`: what decisions name; `name`: the file or control entry it is from."""

    id: str
    name: str
    line: int
    effect: str
    annotations: Mapping[str, str]
    document: dict[str, Any] = field(repr=False)
    text: str = field(repr=False, default="")


@dataclass(slots=True, frozen=True)
class Fault:
    """One thing that is wrong with a policy text."""

    name: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}: {self.text}"


@dataclass(slots=True, frozen=True)
class PolicySet:
    """Policies ready to decide. `version` is a digest of all texts and the default; `attributes`: what of the context
    they look at, WHOLE for all; `volatile`: those of them that change within a session; `masks`, `approvals`,
    `records`: what the policies with `@mask`, `@approval` and `@record` demand, by their ids."""

    policies: Mapping[str, Policy]
    version: str
    default: str
    attributes: frozenset[str]
    volatile: frozenset[str]
    masks: Mapping[str, MaskObligation]
    approvals: Mapping[str, ApprovalObligation]
    records: Mapping[str, RecordObligation]
    handle: Any = field(repr=False)


def parse_policies(texts: Mapping[str, str]) -> tuple[list[Policy], list[Fault]]:
    """The policies of these texts (name -> Cedar), and what is wrong with them by themselves."""
    policies: list[Policy] = []
    faults: list[Fault] = []
    for name, text in sorted(texts.items()):
        if len(text) > MAX_CHARS:
            faults.append(Fault(name, 1, f"longer than {MAX_CHARS} characters"))
            continue
        for number, piece in enumerate(split_policies(text), 1):
            try:
                policies.append(_parse(piece, name, number))
            except ValueError as error:
                faults.append(Fault(name, piece.line, str(error).removeprefix("Policy parse error: ")))
    faults.extend(_own_faults(policies))
    return policies, faults


def _parse(piece: Piece, name: str, number: int) -> Policy:
    document = orjson.loads(cedarpy.policies_to_json_str(piece.text))
    statics = document.get("staticPolicies", {})
    if len(statics) != 1:
        raise ValueError(
            "templates are not taken: name who, what and where" if document.get("templates") else "no policy"
        )
    (policy,) = statics.values()
    annotations = policy.get("annotations", {})
    own_id = annotations.get("id") or f"{name}#{number}"
    return Policy(own_id, name, piece.line, policy["effect"], annotations, policy, piece.text)


def _own_faults(policies: Iterable[Policy]) -> Iterator[Fault]:
    """What Cedar does not look at: ids and annotations."""
    seen: dict[str, Policy] = {}
    for policy in policies:
        if policy.id in seen:
            other = seen[policy.id]
            yield Fault(policy.name, policy.line, f"id {policy.id!r} is taken by {other.name}:{other.line}")
        seen.setdefault(policy.id, policy)
        for name, value in policy.annotations.items():
            if problem := _annotation_fault(name, value or "", policy.effect):
                yield Fault(policy.name, policy.line, problem)


def _annotation_fault(name: str, value: str, effect: str) -> str:
    if name not in ANNOTATIONS:
        return f"unknown annotation @{name}; there are: {', '.join(sorted(ANNOTATIONS))}"
    if effect == "forbid" and name in ("mask", "approval", "record", "limit_rows"):
        return f"@{name} on a forbid: what is denied has no obligation"
    if name == "limit_rows" and not (value.isascii() and value.isdigit() and len(value) < 10 and int(value)):
        return f"@limit_rows needs a number of rows, not {value!r}"
    if name in _PARSERS:
        return _fault_of(_PARSERS[name], value)
    return ""


def _fault_of(parse: Callable[[str], object], text: str) -> str:
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return ""


def validate(policies: Iterable[Policy]) -> Iterator[Fault]:
    """What does not fit the schema: types, actions, attributes that there are not."""
    schema = cedarpy.Schema.from_str(SCHEMA)
    for policy in policies:
        result = cedarpy.validate_policies(policy.text, schema)
        for text in dict.fromkeys(_plain(error.error) for error in result.errors):
            yield Fault(policy.name, policy.line, text)


def _plain(text: str) -> str:
    return text.partition("`, ")[2] if text.startswith("for policy `") else text


def load_policies(texts: Mapping[str, str], default: str = "deny") -> PolicySet:
    """A set from texts (name -> Cedar). Raises ConfigError with all faults."""
    policies, faults = parse_policies(texts)
    faults.extend(validate(policies))
    if len(policies) > MAX_POLICIES:
        faults.append(Fault("policies", 1, f"more than {MAX_POLICIES} policies"))
    if faults:
        raise ConfigError("\n".join(str(fault) for fault in sorted(faults, key=lambda each: (each.name, each.line))))
    document = {"templates": {}, "staticPolicies": {each.id: each.document for each in policies}, "templateLinks": []}
    digest = hashlib.sha256(orjson.dumps([default, sorted(texts.items())])).hexdigest()[:12]
    attributes = frozenset(name for policy in policies for name in attributes_of(policy))
    return PolicySet(
        {each.id: each for each in policies},
        digest,
        default,
        attributes,
        VOLATILE if WHOLE in attributes else attributes & VOLATILE,
        _demands(policies, "mask", parse_mask),
        _demands(policies, "approval", parse_approval),
        _demands(policies, "record", parse_record),
        cedarpy.PolicySet.from_json_str(orjson.dumps(document).decode()),
    )


def _demands[T](policies: Iterable[Policy], name: str, parse: Callable[[str], T]) -> dict[str, T]:
    """What the policies with this annotation demand, by their ids."""
    return {each.id: parse(each.annotations[name] or "") for each in policies if name in each.annotations}


def attributes_of(policy: Policy) -> Iterator[str]:
    """The attributes of the context that a policy looks at; WHOLE for one that looks at the context itself."""
    stack: list[Any] = [policy.document.get("conditions", [])]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            access = node.get(".") or node.get("has")
            if isinstance(access, dict) and access.get("left") == {"Var": "context"}:
                yield str(access.get("attr", WHOLE))
            elif node == {"Var": "context"}:
                yield WHOLE
            else:
                stack.extend(node.values())
