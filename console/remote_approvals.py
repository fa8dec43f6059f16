"""What waits, and deciding on it, over the API in the name of who is signed in."""

from typing import Any, Final, Literal
from urllib.parse import quote

from console.approvals import Answer, Past
from console.remote import ApiRefused, Remote
from schemas.errors import ConfigError, Unreachable
from sinks.approvals.pending import HeldAction

PATH: Final = "/v1/approvals"
CONFLICT: Final = 409
GATEWAY_TIMEOUT: Final = 504


def list_documents(remote: Remote) -> list[dict[str, Any]]:
    """What waits, the oldest first, each with what was done before. Raises ApiRefused, Unreachable, ConfigError."""
    found = []
    for held in remote.ask("GET", PATH)["approvals"]:
        try:
            found.append(remote.ask("GET", f"{PATH}/{held['approval_id']}"))
        except ApiRefused as error:
            if error.status not in (CONFLICT, 404):  # it has ended meanwhile
                raise
    return found


def read_document(document: dict[str, Any]) -> tuple[HeldAction, Past | None]:
    """A held action as the API gives it. Raises Unreachable for what cannot be read."""
    try:
        facts = dict(document)
        past = facts.pop("past", None)
        hops = tuple((hop["actor"], hop["on_behalf_of"]) for hop in facts.pop("delegation"))
        lists = {name: tuple(facts.pop(name)) for name in ("objects", "parameters", "policies", "approved_by")}
        known = {name: value for name, value in facts.items() if name in HeldAction.__slots__}
        held = HeldAction(**{"digest": "", **known, **lists}, delegation=hops)
        if past is None:
            return held, None
        return held, Past(past["actions"], past["refused"], past["approved"], tuple(past["recent"]))
    except (KeyError, TypeError):
        raise Unreachable("the API's answer cannot be read") from None


def decide(
    remote: Remote, id: str, verdict: Literal["approve", "deny"], minutes: int, reason: str
) -> tuple[str, Answer]:
    """Decide on what waits, by its id or the beginning of it: the whole id, and what came of it.

    Raises ApiRefused (not allowed, unknown), ConfigError, Unreachable.
    """
    whole = _find(remote, id)
    body = {"reason": reason} | ({"minutes": minutes} if verdict == "approve" else {})
    try:
        told = remote.ask("POST", f"{PATH}/{quote(whole, safe='')}/{verdict}", body)
    except ApiRefused as error:
        if error.status == CONFLICT:
            return whole, Answer("refused", str(error))
        if error.status == GATEWAY_TIMEOUT:
            return whole, Answer("unknown", str(error))
        raise
    return whole, Answer(str(told["status"]), str(told["told"]), int(told["delay_us"]))


def _find(remote: Remote, id: str) -> str:
    ids = [str(held["approval_id"]) for held in remote.ask("GET", PATH)["approvals"]]
    found = [each for each in ids if each.startswith(id)] if id else []
    if len(found) > 1:
        raise ConfigError(f"{id} begins more than one approval: {', '.join(found)}")
    if not id:
        raise ConfigError("no approval '' waits; see `custody approvals list`")
    return found[0] if found else id
