"""What data-flow detection needs to know of a batch: which values stood in which answers and requests. Pure.

A masked value is known by its token, which masking made anyway. Values that no detector knows are followed when they
are unlike any other (masking/fingerprints.py), by keyed fingerprints; how many is bounded per event and per batch, so a
busy log pays little for them. Nothing here is content.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from zlib import crc32

from masking.fingerprints import distinctive_values
from masking.free_text_finder import FREE_TEXT_LABELS
from masking.tokens import FlowKey
from processors.pieces import Pieces, known_context
from processors.screening import Changes
from schemas.events import EventKind
from schemas.wire.avro import word

BUCKETS: Final = 4
"""Sightings are spread over so many records, by token: each partition of facts sees all of one token."""

MAX_FINGERPRINTS_PER_EVENT: Final = 16
MAX_FINGERPRINTS_PER_BATCH: Final = 128
MAX_VALUES_PER_EVENT: Final = 256
MIN_TEXT_BYTES: Final = 14
LONG_BATCH_EVENTS: Final = 32
"""Batches of more events than this come from a log under load: there only this many events are looked at for values
that no detector knows, evenly spread."""

_RECEIVED: Final = frozenset({EventKind.ACTION_COMPLETED.value, EventKind.DATA_RECEIVED.value})
_SENT: Final = frozenset({EventKind.ACTION_REQUESTED.value, EventKind.DATA_SENT.value})
_RECEIVED_WORDS: Final = frozenset(word(kind) for kind in _RECEIVED)
_FLOWS: Final = _RECEIVED_WORDS | {word(kind) for kind in _SENT}
_OWN: Final = "custody"
_IGNORED_PLACES: Final = ("attributes.header.authorization", "attributes.header.proxy-authorization", "attributes.tls")
"""What an agent presents of its own at each resource is no data that flows."""

Sightings = dict[int, list[dict[str, Any]]]
"""Bucket -> the fields of its sightings."""
_Placed = tuple[int, Mapping[str, Any], Mapping[str, Any]]
"""An event: its position, its session's context, its fields."""


class FlowReader:
    """Finds sightings in batches. Without a key only masked values are followed."""

    def __init__(self, key: FlowKey | None = None) -> None:
        self._key = key

    def use(self, key: FlowKey) -> None:
        """From now on fingerprints are made with this key."""
        self._key = key

    def find(self, batch: Mapping[str, Any]) -> Sightings:
        """The sightings of a masked batch's decoded fields, by bucket."""
        sessions, items = batch["sessions"], batch["events"]
        placed = ((position, sessions[item["session"]], item["event"]) for position, item in enumerate(items))
        return self._find(placed, _stride_of(len(items)))

    def find_in_pieces(self, pieces: Pieces, changes: Changes) -> Sightings:
        """The same of a batch that was taken apart. Reads only the events in which there is something to find."""
        stride = _stride_of(len(pieces))
        chosen = {*changes.events, *pieces.walked.masked}
        if self._key is not None:
            looked_into = (n for n in range(0, len(pieces), stride) if n not in chosen)
            chosen.update([n for n in looked_into if _has_distinctive(pieces, n)])
        return self._find(_read_chosen(pieces, changes, sorted(chosen)), stride)

    def _find(self, placed: Iterable[_Placed], stride: int) -> Sightings:
        left = MAX_FINGERPRINTS_PER_BATCH if self._key is not None else 0
        found: Sightings = {}
        for position, context, event in placed:
            is_looked_into = left > 0 and position % stride == 0
            if not (event["masked"] or is_looked_into) or context["protocol"] == _OWN:
                continue
            is_received = event["kind"] in _RECEIVED
            if not is_received and event["kind"] not in _SENT:
                continue
            values = masked_values(event)
            if is_looked_into:
                fingerprints = self._fingerprints(event, is_received, min(left, MAX_FINGERPRINTS_PER_EVENT))
                left -= len(fingerprints)
                values += fingerprints
            for bucket, mine in _by_bucket(values).items():
                found.setdefault(bucket, []).append(_sighting(position, context, event, is_received, mine))
        return found

    def _fingerprints(self, event: Mapping[str, Any], is_received: bool, limit: int) -> list[dict[str, str]]:
        key = self._key
        if key is None:
            return []
        found: dict[bytes, None] = {}
        for text in _texts_of(event, is_received):
            if len(text) >= MIN_TEXT_BYTES and len(found) < limit:
                found.update(dict.fromkeys(distinctive_values(text, limit - len(found))))
        return [{"label": "", "token": key.fingerprint(value)} for value in found]


MASKED_ONLY: Final = FlowReader()


def _stride_of(events: int) -> int:
    return max(1, -(-events // LONG_BATCH_EVENTS))


def _has_distinctive(pieces: Pieces, position: int) -> bool:
    kind = pieces.kind_of(position)
    if kind not in _FLOWS:
        return False
    payload, said = pieces.read_texts(position)
    texts = [payload] if kind in _RECEIVED_WORDS else [payload, *said]
    return any(len(text) >= MIN_TEXT_BYTES and distinctive_values(text, 1) for text in texts)


def _read_chosen(pieces: Pieces, changes: Changes, chosen: Iterable[int]) -> Iterator[_Placed]:
    """Those of the chosen events that are answers or requests, as they are after masking."""
    contexts: dict[int, Mapping[str, Any]] = dict(enumerate(changes.contexts or ()))
    for position in chosen:
        if pieces.kind_of(position) in _FLOWS:
            session = pieces.walked.sessions[position]
            if session not in contexts:
                contexts[session] = known_context(pieces.contexts[session])
            yield position, contexts[session], (changes.events.get(position) or pieces.read_event(position))["event"]


def masked_values(event: Mapping[str, Any]) -> list[dict[str, str]]:
    """Label and token of each value masked in an event, once. A name or place is nobody's own, and a model's guess."""
    found = {
        item["token"]: item["label"]
        for item in event["masked"]
        if item["label"] not in FREE_TEXT_LABELS and not item["place"].startswith(_IGNORED_PLACES)
    }
    return [{"label": label, "token": token} for token, label in list(found.items())[:MAX_VALUES_PER_EVENT]]


def _texts_of(event: Mapping[str, Any], is_received: bool) -> Iterator[bytes]:
    if event["payload"]:
        yield event["payload"]
    if not is_received:
        if event["statement"]:
            yield event["statement"].encode("utf-8", "replace")
        for value in event["parameters"]:
            if value:
                yield value.encode("utf-8", "replace")


def _by_bucket(values: Iterable[dict[str, str]]) -> dict[int, list[dict[str, str]]]:
    found: dict[int, list[dict[str, str]]] = {}
    for value in values:
        found.setdefault(crc32(value["token"].encode()) % BUCKETS, []).append(value)
    return found


def _sighting(
    position: int, context: Mapping[str, Any], event: Mapping[str, Any], is_received: bool, values: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "position": position,
        "session_id": context["session_id"],
        "seq": event["seq"],
        "at": event["at"],
        "began": event["at"] - event["duration_us"] if is_received else event["at"],
        "agent": context["agent"],
        "principal": context["principal"],
        "run_id": context["run_id"],
        "chain": chain_of(context),
        "resource": context["resource"],
        "is_received": is_received,
        "values": values,
    }


def chain_of(context: Mapping[str, Any]) -> list[str]:
    """The agents of a session's delegation chain, itself and the person at its beginning apart."""
    names = {name for hop in context["delegation"] for name in (hop["actor"], hop["on_behalf_of"])}
    return sorted(names - {context["agent"], context["principal"]})
