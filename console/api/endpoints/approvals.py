"""What waits for a person, and deciding on it. The approver is who asks, whatever the request says."""

from typing import Final, Literal

from console.api import approval_models as models
from console.api.problems import Problem, not_found
from console.api.routing import Answer, Call, Services
from console.approvals import Answer as Outcome
from console.approvals import Past, as_document, read_past
from console.desk import Clicked, Desk
from console.store import open_store
from schemas.errors import CustodyError
from sinks.approvals.pending import Ending, HeldAction

REFUSED: Final = "decision-refused"
OVER: Final = "decided-already"
UNANSWERED: Final = "unanswered"


def list_approvals(services: Services, call: Call) -> Answer:
    """GET /v1/approvals."""
    found = [_as_model(held) for held in _desk(services).waiting()]
    return Answer(models.HeldActions(approvals=found), len(found))


def get_approval(services: Services, call: Call) -> Answer:
    """GET /v1/approvals/{id}: with what was done before."""
    held = _find(services, call.path["id"])
    return Answer(_as_model(held, _read_past(services, held)), 1)


def approve(services: Services, call: Call) -> Answer:
    """POST /v1/approvals/{id}/approve."""
    return _decide(services, call, "approve", call.body.minutes)


def deny(services: Services, call: Call) -> Answer:
    """POST /v1/approvals/{id}/deny."""
    return _decide(services, call, "deny")


def _decide(services: Services, call: Call, verdict: Literal["approve", "deny"], minutes: int = 0) -> Answer:
    held = _find(services, call.path["id"])
    try:
        outcome = _desk(services).decide(
            held, approver=call.caller.principal, verdict=verdict, minutes=minutes, reason=call.body.reason
        )
    except Clicked as error:
        raise Problem(409, OVER, str(error)) from None
    return Answer(_decided(held, outcome), 1)


def _decided(held: HeldAction, outcome: Outcome) -> models.Decided:
    """What the proxy recorded; raises Problem for a decision that does not count."""
    match outcome.status:
        case "approved" | "denied" | "counted" as status:
            return models.Decided(
                approval_id=held.approval_id, status=status, told=outcome.told, delay_us=outcome.delay_us
            )
        case "refused":
            raise Problem(409, REFUSED, outcome.told)
        case "unknown":
            raise Problem(504, UNANSWERED, "the decision was written, and its proxy has not answered in time")
        case _:
            raise Problem(409, OVER, outcome.told)


def _find(services: Services, id: str) -> HeldAction:
    found = _desk(services).find(id)
    if isinstance(found, Ending):
        by = f" by {found.approver}" if found.approver else ""
        raise Problem(409, OVER, f"approval {id} is over: {found.status}{by}")
    if found is None:
        raise not_found(f"no approval {id!r} waits")
    return found


def _desk(services: Services) -> Desk:
    if services.desk is None:
        raise Problem(503, "unreachable", "approvals are not followed here")
    return services.desk


def _read_past(services: Services, held: HeldAction) -> Past | None:
    """What the store knows; an approver must not wait for the store to be back."""
    try:
        with open_store(services.place) as store:
            return read_past(store, held)
    except CustodyError:
        return None


def _as_model(held: HeldAction, past: Past | None = None) -> models.HeldAction:
    return models.HeldAction.model_validate(as_document(held, past))
