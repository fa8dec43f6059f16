"""Who is stopped: listed, stopped, let go again. Who stops somebody is who asks."""

from console.api import approval_models as models
from console.api.problems import Problem, not_found
from console.api.routing import Answer, Call, Services
from console.control import TIMEOUT_S
from console.quarantine import lift_quarantine, list_quarantined, place_quarantine
from schemas.names import is_same_name


def list_quarantine(services: Services, call: Call) -> Answer:
    """GET /v1/quarantine."""
    services.view.refresh(TIMEOUT_S)
    found = [models.Quarantined.model_validate(entry) for entry in list_quarantined(services.view)]
    return Answer(models.QuarantineList(quarantined=found), len(found))


def add_quarantine(services: Services, call: Call) -> Answer:
    """POST /v1/quarantine: live sessions end within a second."""
    asked: models.QuarantineRequest = call.body
    entry = place_quarantine(services.place, asked.kind, asked.name, asked.reason, call.caller.principal)
    return Answer(models.Quarantined.model_validate(entry, from_attributes=True), 1)


def remove_quarantine(services: Services, call: Call) -> Answer:
    """DELETE /v1/quarantine: new sessions may be again. Nobody lets themselves go."""
    asked: models.QuarantineQuery = call.query
    if asked.kind == "principal" and is_same_name(asked.name, call.caller.principal):
        raise Problem(403, "forbidden", "nobody lifts a quarantine of their own")
    services.view.refresh(TIMEOUT_S)
    with services.writing:
        if not lift_quarantine(services.place, services.view, asked.kind, asked.name):
            raise not_found(f"{asked.kind} {asked.name!r} is not quarantined")
    return Answer(None)
