"""What control should hold by a file to apply. Component keys are the stack's own matter."""

from typing import Any

from console import control
from console.control import Change, Place, Wanted
from schemas.config import load_yaml
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.resources import Document, Policy, Resource, parse_document, with_class
from schemas.retention_ages import AgesConflict
from schemas.retention_config import FALLBACK, Retention
from schemas.wire.control import ControlView


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


def apply_document(place: Place, view: ControlView, document: Document, *, is_dry: bool = False) -> list[Change]:
    """Bring control to what a document says; what it leaves out stays. The changes, written unless `is_dry`.

    Raises ConfigError, Unreachable.
    """
    check_classes(document.resources, place.settings.retention)
    check_ports(control.resources_of(view) | {resource.name: resource for resource in document.resources})
    entries = resource_entries(document.resources) | policy_entries(document.policies)
    check_policies(view.all(ControlKind.POLICY), entries, place.settings.policy_default)
    changes = control.plan(entries, view)
    if not is_dry:
        control.write_changes(place, changes, view)
    return changes


def remove_policy(place: Place, view: ControlView, name: str) -> list[Change]:
    """Take a policy out of control. Raises ConfigError, Unreachable."""
    entries = view.all(ControlKind.POLICY)
    if name not in entries:
        raise ConfigError(f"no policy {name!r} in control; there are: {', '.join(sorted(entries)) or 'none'}")
    changes = control.plan({(ControlKind.POLICY, name): None}, view)
    control.write_changes(place, changes, view)
    return changes


def remove_resource(place: Place, view: ControlView, name: str) -> list[Change]:
    """Take a resource out of control. Raises ConfigError, Unreachable."""
    control.require_resource(view, name)
    changes = control.plan({(ControlKind.RESOURCE, name): None}, view)
    control.write_changes(place, changes, view)
    return changes


def read_document(text: str, name: str) -> Document:
    """A file for `custody apply -f`. Raises ConfigError with all faults."""
    return parse_document(load_yaml(text, name), name)


def check_classes(resources: list[Resource], retention: Retention) -> None:
    """Raises ConfigError with every resource that no class fits: an unknown one, or some that contradict each other."""
    faults = []
    for resource in resources:
        if resource.retention_class != FALLBACK and resource.retention_class not in retention.classes:
            known = ", ".join(retention.classes)
            faults.append(f"{resource.name}: no retention class {resource.retention_class!r}; there are: {known}")
            continue
        try:
            with_class(resource, retention)
        except AgesConflict as error:
            faults.append(f"{resource.name}: what is recorded of it {error}")
    if faults:
        raise ConfigError("\n".join(faults))


def class_of(resource: Resource, retention: Retention) -> str:
    """The class of a resource's sessions; empty when its rules contradict each other, so that it is not served."""
    try:
        return with_class(resource, retention).retention_class
    except AgesConflict:
        return ""


def check_ports(resources: dict[str, Resource]) -> None:
    """Raises ConfigError when two resources would listen on one port."""
    taken: dict[int, str] = {}
    for name, resource in resources.items():
        if resource.listen and resource.listen in taken:
            raise ConfigError(f"{name} and {taken[resource.listen]} both listen on port {resource.listen}")
        taken[resource.listen] = name
