"""The one derived batch that each raw record yields: its masked events, or none plus one `audit.gap`. Pure."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from processors.admission import MAX_CLAIM_CHARS, Opened, Refused
from processors.borders import BorderMasker
from processors.facts_of import facts_of, facts_of_pieces
from processors.flows_of import MASKED_ONLY, FlowReader, Sightings
from processors.pieces import Lexicon, Pieces, put_together
from processors.redaction import Redactor
from processors.retention.calendar import DAY_US, Slice, day_of
from processors.retention.slices import slices_of
from processors.screening import Changes, redact_pieces
from processors.walk import tally_sessions
from schemas.errors import RecordError
from schemas.events import DeadLetter, Event, EventBatch, EventKind, Origin, SessionContext, SessionEvent
from schemas.topics import MAX_RECORD_BYTES
from schemas.wire import framing
from schemas.wire.avro import text, zigzag
from schemas.wire.skips import content_of
from schemas.wire.tallies import encode_tallies

MAX_DERIVED_BYTES: Final = MAX_RECORD_BYTES - 65_536
STAGE: Final = "mask"
DEAD: Final = frozenset({"undecodable", "forged", "misplaced", "unopenable", "too_large"})
"""Reasons for which the sealed bytes are kept as a dead letter; a duplicate's are on the log already."""

_FRAMINGS: Final = tuple(framing.prefix_of(record) for record in framing.CURRENT)


@dataclass(slots=True, frozen=True)
class Derived:
    """A framed derived batch, and what its headers say.

    Slices, facts by agent (facts_of.py), tallies if they fit, sightings of values (flows_of.py).
    """

    value: bytes
    slices: set[Slice]
    facts: dict[str, list[bytes]]
    tallies: bytes | None = None
    flows: Sightings = field(default_factory=dict)


def derive(
    opened: Opened,
    origin: Origin,
    redactor: Redactor,
    lexicon: Lexicon,
    notes: list[Mapping[str, str]],
    at: int,
    flows: FlowReader = MASKED_ONLY,
    borders: BorderMasker | None = None,
) -> Derived:
    """The derived batch. `notes` are gaps found on the way; each becomes an `audit.gap` after the events.

    Raises Refused when its texts are none, or when it does not fit a Kafka record.
    """
    try:
        if opened.pieces is None or notes or (borders is not None and borders.has_crossing(opened.pieces)):
            derived = _derive_whole(opened, origin, redactor, notes, at, flows, borders)
        else:
            derived = _derive_pieces(opened, opened.pieces, origin, redactor, lexicon, flows)
    except RecordError as error:
        raise Refused("undecodable", str(error), opened.header) from None
    if len(derived.value) > MAX_DERIVED_BYTES:
        raise Refused("too_large", f"its masked batch has {len(derived.value)} bytes", opened.header)
    return derived


def _derive_pieces(
    opened: Opened, pieces: Pieces, origin: Origin, redactor: Redactor, lexicon: Lexicon, flows: FlowReader
) -> Derived:
    """What masking does not change goes on byte for byte."""
    changes = redact_pieces(pieces, redactor, lexicon)
    head = framing.prefix_of("EventBatch") + _head(opened, origin, redactor.rule_version)
    if changes:
        value = put_together(pieces, head, changes.contexts, changes.events)
    else:
        value = head + pieces.plain[pieces.tail :]
    known, walked = pieces.known, pieces.walked
    slices = {Slice(known[session].retention_class, day_of(day * DAY_US)) for session, day in walked.days}
    facts = facts_of_pieces(pieces, changes.events)
    return Derived(value, slices, facts, _tallies_of(pieces, changes), flows.find_in_pieces(pieces, changes))


def _tallies_of(pieces: Pieces, changes: Changes) -> bytes | None:
    """None where a session closes: there its events are read."""
    if pieces.walked.closed:
        return None
    masked = {index: sum(m["count"] for m in item["event"]["masked"]) for index, item in changes.events.items()}
    ids = [content_of(known.session_id, 0, len(known.session_id)).decode() for known in pieces.known]
    return encode_tallies(tally_sessions(pieces.walked, ids, masked), len(pieces))


def _derive_whole(
    opened: Opened,
    origin: Origin,
    redactor: Redactor,
    notes: list[Mapping[str, str]],
    at: int,
    flows: FlowReader,
    borders: BorderMasker | None,
) -> Derived:
    """Every field read and written again."""
    fields = opened.read()
    if borders is not None:
        borders.mask(fields)
    redactor.redact(fields)
    found = flows.find(fields)
    fields["origin"] = vars(origin)
    fields["rule_version"] = redactor.rule_version
    _append_notes(fields, origin, notes, at)
    value = framing.prefix_of("EventBatch") + framing.encode_body("EventBatch", fields)
    return Derived(value, slices_of(fields), facts_of(fields), None, found)


def derive_gap(refused: Refused, origin: Origin, redactor: Redactor, notes: list[Mapping[str, str]], at: int) -> bytes:
    """The framed derived batch of a record that gives no events."""
    facts = {"reason": refused.reason, "detail": refused.detail, **_claims(refused, redactor)}
    batch = EventBatch("", "", -1, origin, redactor.rule_version)
    if refused.reason in ("duplicate", "too_large") and refused.claimed is not None:
        # Proven and counted: the same coordinates again, so that what reads this back counts it too.
        batch.proxy_id, batch.proxy_epoch = refused.claimed.proxy_id, refused.claimed.proxy_epoch
        batch.batch_seq = refused.claimed.batch_seq
    batch.sessions.append(_own_session(origin, at))
    for seq, attributes in enumerate([facts, *notes], 1):
        batch.events.append(SessionEvent(0, _gap(seq, at, attributes, origin)))
    return framing.encode(batch)


def dead_letter(refused: Refused, origin: Origin, record: bytes, at: int) -> bytes:
    """The framed dead letter of a refused record. Its bytes are kept if they are sealed: others may be plaintext."""
    why = ""
    if len(record) > MAX_DERIVED_BYTES:
        why = " (record too large to be kept)"
    elif refused.claimed is None and not _may_be_sealed(record):
        why = f" ({len(record)} bytes that nobody sealed are not kept)"
    return framing.encode(
        DeadLetter(origin, STAGE, f"{refused.reason}: {refused.detail}{why}", b"" if why else record, at)
    )


def _may_be_sealed(record: bytes) -> bool:
    """Whether it could be a sealed batch of a later version: framed, and none of the records that this one knows."""
    if record.startswith(framing.SINGLE_OBJECT):
        return not record.startswith(_FRAMINGS)
    return framing.unknown_name(record) == "custody.v1.SealedBatch"


def _head(opened: Opened, origin: Origin, rule_version: str) -> bytes:
    header = opened.header
    return b"".join(
        (
            b"\x02",  # origin: the union's second branch
            text(origin.log_id),
            zigzag(origin.partition),
            zigzag(origin.offset),
            text(header.proxy_id),
            text(header.proxy_epoch),
            zigzag(header.batch_seq),
            text(rule_version),
        )
    )


def _append_notes(fields: dict[str, Any], origin: Origin, notes: list[Mapping[str, str]], at: int) -> None:
    if not notes:
        return
    session = len(fields["sessions"])
    fields["sessions"].append(framing.to_avro(_own_session(origin, at)))
    for seq, note in enumerate(notes, 1):
        event = framing.event_fields(_gap(seq, at, note, origin))
        fields["events"].append({"session": session, "event": event})


def _own_session(origin: Origin, at: int) -> SessionContext:
    """Mask's own events of one record are a session of their own."""
    return SessionContext(
        session_id=f"mask-{origin.log_id}-{origin.partition}-{origin.offset}",
        principal="custody",
        agent="custody-mask",
        resource="custody",
        protocol="custody",
        opened_at=at,
    )


def _gap(seq: int, at: int, attributes: Mapping[str, str], origin: Origin) -> Event:
    facts = {**attributes, "stage": STAGE, "raw.partition": str(origin.partition), "raw.offset": str(origin.offset)}
    return Event(seq, at, EventKind.AUDIT_GAP.value, attributes=facts, opening=os.urandom(16))


def _claims(refused: Refused, redactor: Redactor) -> dict[str, str]:
    """What the header says; anybody may have written it, so it is cut and masked."""
    claimed = refused.claimed
    if claimed is None:
        return {}
    names = {"claimed.proxy_id": claimed.proxy_id, "claimed.proxy_epoch": claimed.proxy_epoch}
    facts = {name: redactor.mask_text(value[:MAX_CLAIM_CHARS]) for name, value in names.items()}
    facts["claimed.batch_seq"] = str(claimed.batch_seq)
    if claimed.redrives is not None:
        facts["claimed.redrives"] = f"{claimed.redrives.partition}/{claimed.redrives.offset}"
    return facts
