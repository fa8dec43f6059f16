"""What control should hold by a file to apply. Component keys are the stack's own matter."""

from typing import Any

from console.control import Wanted
from schemas.config import load_yaml
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.resources import Document, Policy, Resource, parse_document


def resource_entries(resources: list[Resource]) -> Wanted:
    """Resources as control holds them."""
    return {(ControlKind.RESOURCE, resource.name): resource.model_dump(mode="json") for resource in resources}


def policy_entries(policies: list[Policy]) -> Wanted:
    """Policies as control holds them."""
    return {(ControlKind.POLICY, policy.name): {"cedar": policy.cedar} for policy in policies}


def check_policies(present: dict[str, dict[str, Any]], wanted: Wanted, default: str) -> None:
    """Raises ConfigError with all faults that the policies of control would have with these taken in."""
    from policy.cedar_policies import load_policies

    entries = present | {
        id: payload for (kind, id), payload in wanted.items() if kind is ControlKind.POLICY and payload
    }
    if entries:
        load_policies({name: str(payload["cedar"]) for name, payload in entries.items()}, default)


def read_document(text: str, name: str) -> Document:
    """A file for `custody apply -f`. Raises ConfigError with all faults."""
    return parse_document(load_yaml(text, name), name)


def check_ports(resources: dict[str, Resource]) -> None:
    """Raises ConfigError when two resources would listen on one port."""
    taken: dict[int, str] = {}
    for name, resource in resources.items():
        if resource.listen and resource.listen in taken:
            raise ConfigError(f"{name} and {taken[resource.listen]} both listen on port {resource.listen}")
        taken[resource.listen] = name
