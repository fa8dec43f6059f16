import pytest

from console import registry
from schemas.errors import ConfigError
from schemas.events import ControlKind

DOCUMENT = """
resources:
  - {name: a, protocol: postgres, listen: 1, upstream: {host: db, port: 5432}}
  - {name: b, protocol: http, listen: 2, upstream: {host: api, port: 80}}
"""


def test_a_document_becomes_entries() -> None:
    document = registry.read_document(DOCUMENT, "f")
    entries = registry.resource_entries(document.resources)
    assert list(entries) == [(ControlKind.RESOURCE, "a"), (ControlKind.RESOURCE, "b")]
    entry = entries[ControlKind.RESOURCE, "a"]
    assert entry is not None and entry["upstream"]["host"] == "db"


def test_all_faults_of_a_document_are_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.read_document(DOCUMENT.replace("http", "gopher").replace("5432", "0"), "f.yaml")
    assert str(caught.value).count("f.yaml: resources.") == 2


def test_two_resources_never_share_a_port() -> None:
    resources = {entry.name: entry for entry in registry.read_document(DOCUMENT, "f").resources}
    registry.check_ports(resources)
    clash = resources | {"c": resources["a"].model_copy(update={"name": "c"})}
    with pytest.raises(ConfigError, match="c and a both listen on port 1"):
        registry.check_ports(clash)
    free = {name: entry.model_copy(update={"listen": 0}) for name, entry in resources.items()}
    registry.check_ports(free)
