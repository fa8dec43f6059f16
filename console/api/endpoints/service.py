"""The service itself: is it there, how are the parts, who am I."""

from console.api import models
from console.api.roles import permissions_of
from console.api.routing import Answer, Call, Services
from deploy.embedded.stack import status


def alive(services: Services, call: Call) -> Answer:
    """GET /healthz: without a login, and without asking any other part."""
    return Answer(models.Alive())


def health(services: Services, call: Call) -> Answer:
    """GET /v1/health."""
    parts = [models.Part.model_validate(part) for part in status(services.place.home)]
    return Answer(models.Health(parts=parts), len(parts))


def who_am_i(services: Services, call: Call) -> Answer:
    """GET /v1/whoami."""
    caller = call.caller
    return Answer(
        models.WhoAmI(
            principal=caller.principal,
            groups=list(caller.groups),
            roles=sorted(caller.roles),
            permissions=sorted(permissions_of(caller.roles)),
            via=caller.via,
            expires_at=caller.expires_at,
        )
    )
