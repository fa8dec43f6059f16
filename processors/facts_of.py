"""What detection needs to know of each event, without its content. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.events import EventKind, Verdict
from schemas.wire import framing

FACT_KINDS: Final = frozenset(
    {
        EventKind.SESSION_OPENED.value,
        EventKind.SESSION_CLOSED.value,
        EventKind.ACTION_DECIDED.value,
        EventKind.ACTION_COMPLETED.value,
        EventKind.FILE_ACCESSED.value,
        EventKind.APPROVAL_REQUESTED.value,
        EventKind.APPROVAL_DECIDED.value,
        EventKind.AUDIT_GAP.value,
    }
)
"""Events that say what came of something; requests and pieces of data do not."""


def is_failure(event: Mapping[str, Any]) -> bool:
    """Whether an event says that something was refused or failed: verdict, error text, SQLSTATE or HTTP status."""
    if event["verdict"] == Verdict.DENY or event["error"]:
        return True
    status: str = event["status"]
    if len(status) == 5:
        return status[:2] not in ("00", "01", "02")
    return len(status) == 3 and status.isdigit() and status >= "400"


def facts_of(batch: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The facts of a sessions batch (decoded fields), by agent."""
    offset: int = batch["origin"]["offset"]
    sessions = batch["sessions"]
    found: dict[str, list[dict[str, Any]]] = {}
    for position, item in enumerate(batch["events"]):
        event = item["event"]
        if event["kind"] in FACT_KINDS:
            context = sessions[item["session"]]
            found.setdefault(context["agent"], []).append(_fact(offset, position, context, event))
    return found


def _fact(offset: int, position: int, context: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "offset": offset,
        "position": position,
        "session_id": context["session_id"],
        "seq": event["seq"],
        "at": event["at"],
        "agent": context["agent"],
        "principal": context["principal"],
        "resource": context["resource"],
        "kind": event["kind"],
        # An outcome does not repeat its request's class; result rows came from reading.
        "operation": event["operation"] or ("read" if event["payload_type"] == "rows" else ""),
        "verdict": event["verdict"],
        "status": event["status"],
        "is_failed": is_failure(event),
        "rows": event["rows"],
        "bytes": event["bytes"],
        "objects": event["objects"],
    }


def encode_facts(origin: Mapping[str, Any], index: int, count: int, facts: list[dict[str, Any]]) -> bytes:
    """A framed FactBatch."""
    body = {"origin": origin, "index": index, "count": count, "facts": facts}
    return framing.prefix_of("FactBatch") + framing.encode_body("FactBatch", body)
