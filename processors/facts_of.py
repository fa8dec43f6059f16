"""What detection needs to know of each event, without its content. Pure."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import fastavro
from fastavro.schema import parse_schema

from processors.walk import FACT_KINDS, is_failed_status
from schemas.events import Verdict
from schemas.wire import avro, framing

_DOCUMENT: Final = framing.load_avsc("FactBatch")
_FACT: Final = parse_schema(
    next(item for item in _DOCUMENT["fields"] if item["name"] == "facts")["type"]["items"]
    | {"namespace": "custody.v1.fact"}
)


def is_failure(event: Mapping[str, Any]) -> bool:
    """Whether an event says that something was refused or failed: verdict, error text, SQLSTATE or HTTP status."""
    if event["verdict"] == Verdict.DENY or event["error"]:
        return True
    return is_failed_status(event["status"])


def facts_of(batch: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """The encoded facts of a batch's decoded fields, by agent, without the offset that each begins with."""
    sessions = batch["sessions"]
    found: dict[str, list[bytes]] = {}
    for position, item in enumerate(batch["events"]):
        if item["event"]["kind"] in FACT_KINDS:
            context = sessions[item["session"]]
            found.setdefault(context["agent"], []).append(encode_fact(position, context, item["event"]))
    return found


def encode_fact(position: int, context: Mapping[str, Any], event: Mapping[str, Any]) -> bytes:
    """One event's fact, as `walk_events` makes it out of the event's bytes: a Fact without its offset."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _FACT, _fact(position, context, event))
    return buffer.getvalue()[len(_NO_OFFSET) :]


_NO_OFFSET: Final = avro.zigzag(0)


def _fact(position: int, context: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "offset": 0,
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


def encode_facts(origin: Mapping[str, Any], index: int, count: int, facts: Sequence[bytes]) -> bytes:
    """A framed FactBatch."""
    offset = avro.zigzag(origin["offset"])
    return b"".join(
        (
            framing.prefix_of("FactBatch"),
            avro.text(origin["log_id"]),
            avro.zigzag(origin["partition"]),
            offset,
            avro.zigzag(index),
            avro.zigzag(count),
            avro.array([offset + fact for fact in facts]),
        )
    )
