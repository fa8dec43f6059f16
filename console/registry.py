"""What control should hold by a file to apply. Component keys are the stack's own matter."""

from console.control import Wanted
from schemas.config import load_yaml
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.resources import Document, Resource, parse_document


def resource_entries(resources: list[Resource]) -> Wanted:
    """Resources as control holds them."""
    return {(ControlKind.RESOURCE, resource.name): resource.model_dump(mode="json") for resource in resources}


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
