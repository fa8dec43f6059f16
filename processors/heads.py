"""What can be known of a derived batch without decoding it: its first fields, and what mask says in Kafka headers.

Mask is the one stage that has every event decoded anyway. So it also says which (class, day) slices a batch touches and
which facts it gives; reading those costs a hundredth of decoding the batch again, twice. A batch without these headers
(none fit beside a very large one) is decoded by whoever needs them.
"""

import io
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

import fastavro
from fastavro.schema import parse_schema

from processors.facts_of import encode_facts, facts_of
from processors.flows_of import MASKED_ONLY, Sightings
from processors.retention.calendar import Slice
from processors.retention.slices import HEADER as SLICES
from processors.retention.slices import to_header
from processors.sighting_batch import encode_sightings
from schemas.errors import RecordError
from schemas.events import Origin
from schemas.wire import framing
from schemas.wire.tallies import HEADER as TALLIES

FACTS: Final = "custody-facts:"
"""Header `custody-facts:<agent>` holds a framed FactBatch."""
FLOW: Final = "custody-flow:"
"""Header `custody-flow:<bucket>` holds a framed SightingBatch."""

_HEAD_FIELDS: Final = 4  # origin, proxy_id, proxy_epoch, batch_seq


def _head_schema() -> Any:
    document = framing.load_avsc("EventBatch")
    return parse_schema({**document, "name": "EventBatchHead", "fields": document["fields"][:_HEAD_FIELDS]})


_HEAD: Final = _head_schema()
_CURRENT: Final = framing.current_fingerprint("EventBatch")


def read_head(value: bytes) -> dict[str, Any]:
    """The first fields of a derived batch, without its sessions and events. Raises RecordError."""
    record, fingerprint, start = framing.find_body(value)
    if record != "EventBatch":
        raise RecordError(f"a {record} on the sessions topic")
    if fingerprint != _CURRENT:  # an older version: decode it whole
        return framing.decode_fields(value)[1]
    buffer = io.BytesIO(value)
    buffer.seek(start)
    try:
        head: dict[str, Any] = fastavro.schemaless_reader(buffer, _HEAD, None)
    except Exception as error:  # hostile bytes make the reader raise almost anything
        raise RecordError(f"not an EventBatch: {type(error).__name__}") from None
    return head


def headers_of(
    slices: Set[Slice],
    facts: Mapping[str, Sequence[bytes]],
    tallies: bytes | None,
    origin: Origin,
    room: int,
    flows: Sightings | None = None,
) -> list[tuple[str, bytes]] | None:
    """The headers of a derived batch, `facts` by agent (facts_of.py); none when they do not fit into `room` bytes."""
    where = vars(origin)
    headers = [(SLICES, to_header(slices))]
    if tallies is not None:
        headers.append((TALLIES, tallies))
    headers += [
        (FACTS + agent, encode_facts(where, index, len(facts), found))
        for index, (agent, found) in enumerate(facts.items())
    ]
    headers += [
        (f"{FLOW}{bucket}", encode_sightings(where, bucket, sightings))
        for bucket, sightings in sorted((flows or {}).items())
    ]
    size = sum(len(name) * 4 + len(value) for name, value in headers)
    return headers if size <= room else None


def read_facts(value: bytes, headers: Mapping[str, bytes]) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    """A sessions record's origin, and its framed FactBatch per agent. Raises RecordError."""
    if SLICES in headers:
        facts = {name.removeprefix(FACTS): data for name, data in headers.items() if name.startswith(FACTS)}
        return _origin_of(read_head(value)), facts
    record, batch = framing.decode_fields(value)
    if record != "EventBatch":
        raise RecordError(f"a {record} on the sessions topic")
    origin, found = _origin_of(batch), facts_of(batch)
    return origin, {
        agent: encode_facts(origin, index, len(found), facts) for index, (agent, facts) in enumerate(found.items())
    }


def read_flows(value: bytes, headers: Mapping[str, bytes]) -> dict[int, bytes]:
    """A sessions record's framed SightingBatch per bucket. Raises RecordError.

    Of a batch that is too large for headers only masked values are followed: the key of fingerprints is mask's.
    """
    if SLICES in headers:
        return {int(name.removeprefix(FLOW)): data for name, data in headers.items() if name.startswith(FLOW)}
    _, batch = framing.decode_fields(value)
    found = MASKED_ONLY.find(batch)
    return {bucket: encode_sightings(_origin_of(batch), bucket, found[bucket]) for bucket in sorted(found)}


def _origin_of(batch: Mapping[str, Any]) -> Mapping[str, Any]:
    origin: Mapping[str, Any] | None = batch["origin"]
    if origin is None:
        raise RecordError("a batch without origin on the sessions topic")
    return origin
