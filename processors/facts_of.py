"""What detection needs to know of each event, without its content. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from librt.strings import BytesWriter

from processors.pieces import Pieces, known_context
from processors.walk import FACT_KINDS, is_failed_status
from schemas.events import Verdict
from schemas.wire import avro, framing
from schemas.wire.avro import write_long, write_strings, write_text


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
    out = BytesWriter()
    write_long(out, position)
    write_text(out, context["session_id"])
    write_long(out, event["seq"])
    write_long(out, event["at"])
    write_text(out, context["agent"])
    write_text(out, context["principal"])
    write_text(out, context["resource"])
    write_text(out, event["kind"])
    # An outcome does not repeat its request's class; result rows came from reading.
    write_text(out, event["operation"] or ("read" if event["payload_type"] == "rows" else ""))
    write_text(out, event["verdict"])
    write_text(out, event["status"])
    out.append(1 if is_failure(event) else 0)
    write_long(out, event["rows"])
    write_long(out, event["bytes"])
    write_strings(out, event["objects"])
    return out.getvalue()


def facts_of_pieces(pieces: Pieces, events: Mapping[int, Mapping[str, Any]]) -> dict[str, list[bytes]]:
    """The same of a batch that was taken apart; `events` are those that masking changed, by index."""
    known, walked = pieces.known, pieces.walked
    sessions = walked.sessions
    lists: list[list[bytes] | None] = [None] * len(known)
    found: dict[str, list[bytes]] = {}
    for owner, fact in zip(walked.fact_owners, walked.facts, strict=True):
        session = sessions[owner]
        if owner in events:
            fact = encode_fact(owner, known_context(pieces.contexts[session]), events[owner]["event"])
        mine = lists[session]
        if mine is None:
            mine = lists[session] = found.setdefault(known[session].agent, [])
        mine.append(fact)
    return found


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
