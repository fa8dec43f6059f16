"""Resources: what agents may act on."""

from console import control, registry
from console.api import models
from console.api.problems import Problem, not_found
from console.api.routing import Answer, Call, Services
from console.control import Change
from schemas.resources import Document, Resource


def list_resources(services: Services, call: Call) -> Answer:
    """GET /v1/resources."""
    found = list(control.resources_of(services.view).values())
    return Answer(models.Resources(resources=found), len(found))


def get_resource(services: Services, call: Call) -> Answer:
    """GET /v1/resources/{name}."""
    return Answer(_find(services, call.path["name"]), 1)


def put_resource(services: Services, call: Call) -> Answer:
    """PUT /v1/resources/{name}."""
    resource: Resource = call.body
    if resource.name != call.path["name"]:
        raise Problem(400, "refused", "the name in the path is not the resource's")
    with services.writing:
        changes = registry.apply_document(services.place, services.view, Document(resources=[resource]))
    return Answer(as_changes(changes), len(changes))


def remove_resource(services: Services, call: Call) -> Answer:
    """DELETE /v1/resources/{name}."""
    with services.writing:
        _find(services, call.path["name"])
        changes = registry.remove_resource(services.place, services.view, call.path["name"])
    return Answer(as_changes(changes), len(changes))


def as_changes(changes: list[Change]) -> models.Changes:
    """What was written."""
    return models.Changes(
        changes=[models.Changed(kind=each.kind.value, id=each.id, action=each.action) for each in changes]
    )


def _find(services: Services, name: str) -> Resource:
    found = control.resources_of(services.view).get(name)
    if found is None:
        raise not_found(f"no resource {name!r}")
    return found
