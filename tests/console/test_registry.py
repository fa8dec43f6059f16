import pytest

from console import registry
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.retention_config import Retention

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


RULES = {
    "classes": {"standard": {"max_age_days": 365}, "short": {"max_age_days": 30}, "pci": {"presets": ["pci-dss-4"]}},
    "defaults": {"max_age_days": 800},
    "assign": [{"retention_class": "pci", "protocol": "postgres"}],
}


def test_a_resource_whose_classes_contradict_each_other_or_are_unknown_is_refused_with_all_faults() -> None:
    retention = Retention.model_validate(RULES)
    a, b = registry.read_document(DOCUMENT, "f").resources
    registry.check_classes([a, b.model_copy(update={"retention_class": "short"})], retention)
    assert [registry.class_of(resource, retention) for resource in (a, b)] == ["pci", "standard"]
    wrong = [resource.model_copy(update={"retention_class": "short"}) for resource in (a, b)]
    unknown = b.model_copy(update={"retention_class": "gone"})
    with pytest.raises(ConfigError) as caught:
        registry.check_classes([*wrong, unknown], retention)
    first, second = str(caught.value).splitlines()
    assert "must be kept 366 days (rule 1, class pci) and gone after 30 (its own retention_class short)" in first
    assert second == "b: no retention class 'gone'; there are: standard, short, pci"
    assert registry.class_of(wrong[0], retention) == ""
