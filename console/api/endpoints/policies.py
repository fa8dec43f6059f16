"""Policies: read, checked, put, taken out."""

from console import registry
from console.api import models
from console.api.endpoints.resources import as_changes
from console.api.problems import not_found
from console.api.routing import Answer, Call, Services
from schemas.events import ControlKind
from schemas.resources import Document, Policy, parse_document

CHECKED_NAME = "policy"


def list_policies(services: Services, call: Call) -> Answer:
    """GET /v1/policies."""
    from policy.cedar_policies import load_policies

    texts = _texts(services)
    version = load_policies(texts, services.place.settings.policy_default).version if texts else ""
    policies = [Policy(name=name, cedar=text) for name, text in texts.items()]
    return Answer(models.Policies(version=version, policies=policies), len(policies))


def get_policy(services: Services, call: Call) -> Answer:
    """GET /v1/policies/{name}."""
    return Answer(Policy(name=call.path["name"], cedar=_find(services, call.path["name"])), 1)


def put_policy(services: Services, call: Call) -> Answer:
    """PUT /v1/policies/{name}."""
    document: Document = parse_document(
        {"policies": [{"name": call.path["name"], "cedar": call.body.cedar}]}, "request"
    )
    with services.writing:
        changes = registry.apply_document(services.place, services.view, document)
    return Answer(as_changes(changes), len(changes))


def remove_policy(services: Services, call: Call) -> Answer:
    """DELETE /v1/policies/{name}."""
    with services.writing:
        _find(services, call.path["name"])
        changes = registry.remove_policy(services.place, services.view, call.path["name"])
    return Answer(as_changes(changes), len(changes))


def check_policy(services: Services, call: Call) -> Answer:
    """POST /v1/policies/check: schema, unreachable rules, unknown names; nothing is written."""
    from policy.cedar_check import check_policies

    names = {"Resource": frozenset(services.view.all(ControlKind.RESOURCE))}
    faults = [
        models.PolicyFault(file=each.name, line=each.line, fault=each.text)
        for each in check_policies({CHECKED_NAME: call.body.cedar}, names)
    ]
    return Answer(models.PolicyCheck(faults=faults), len(faults))


def _texts(services: Services) -> dict[str, str]:
    entries = services.view.all(ControlKind.POLICY)
    return {name: str(payload.get("cedar", "")) for name, payload in sorted(entries.items())}


def _find(services: Services, name: str) -> str:
    texts = _texts(services)
    if name not in texts:
        raise not_found(f"no policy {name!r}")
    return texts[name]
