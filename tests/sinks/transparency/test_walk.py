"""Leaves derived three ways: the generated walker, the columns of the store, a generic Avro reader."""

import hashlib
import random
import struct

import pytest

from schemas.errors import RecordError
from schemas.events import Event, EventBatch, EventKind, Masked, Origin, SessionEvent, StoredEvent
from schemas.wire import framing
from sinks.columns import decode_batch
from sinks.transparency.leaf import BatchLeaf, EventLeaf, commit, parse_leaf
from sinks.transparency.merkle import hash_leaf
from sinks.transparency.walk import derive_leaves
from tests.sinks.batches import START_US, make_batch, make_event, make_gap, make_session


def make_varied(seed: int) -> EventBatch:
    """Events of every shape: numbers of all lengths, texts around the lengths that are read in place, many sessions."""
    dice = random.Random(seed)
    lengths = (0, 1, 63, 64, 8191, 8192, 20_000)
    sessions = [
        make_session("s" * dice.choice((1, 36, 64, 300)), retention_class="c" * dice.choice((1, 64)),
                     opened_at=dice.choice((0, START_US)), attributes={"k" * n: "v" for n in (1, 63, 64, 200)})
        for _ in range(3)
    ]  # fmt: skip
    found = []
    for seq in range(1, 40):
        event = make_event(
            seq * dice.choice((1, 1 << 20)),
            at=dice.choice((START_US + seq, START_US + (seq << 25), 0, -5, (1 << 62) + seq)),
            kind=dice.choice(list(EventKind)),
            statement="ä" * dice.choice(lengths),
            parameters=[None, "x" * dice.choice(lengths)] * dice.choice((0, 1, 70)),
            rows=dice.choice((0, -1, 63, 64, 1 << 40)),
            payload=bytes(dice.choice(lengths)),
            masked=[Masked("card", seq, "t", "statement")] * dice.choice((0, 2)),
            opening=dice.randbytes(dice.choice((16, 16, 16, 0, 8, 40))),
            links={},
        )
        found.append(SessionEvent(dice.randrange(3), event))
    return EventBatch("proxy-1", "epoch-1", 1 << 33, Origin("log-1", 3, 1 << 40), "r1", sessions, found)


@pytest.mark.parametrize("batch", [make_batch(2, 5), make_gap(1, 9), *(make_varied(seed) for seed in range(6))])
def test_three_derivations_agree(batch: EventBatch) -> None:
    assert batch.origin is not None
    data = framing.encode(batch)
    derived = derive_leaves(data)
    origin = (batch.origin.log_id, batch.origin.partition, batch.origin.offset)
    assert derived.origin == origin and len(derived) == len(batch.events) + 1
    for framed, hash_ in zip(derived.framed, derived.hashes, strict=True):
        assert struct.unpack(">H", framed[:2]) == (len(framed) - 2,) and hash_leaf(framed[2:]) == hash_
    head = parse_leaf(derived.framed[0][2:])
    assert head == BatchLeaf(
        head.origin,
        batch.proxy_id,
        batch.proxy_epoch,
        batch.batch_seq,
        len(batch.events),  # type: ignore[union-attr]
    )
    columns = decode_batch(data).columns
    for position, item in enumerate(batch.events):
        leaf = parse_leaf(derived.framed[position + 1][2:])
        assert isinstance(leaf, EventLeaf)
        assert (leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset, leaf.position) == (*origin, position)
        context = batch.sessions[item.session]
        assert (leaf.session_id, leaf.retention_class) == (context.session_id, context.retention_class)
        assert (leaf.seq, leaf.at, leaf.event_kind) == (item.event.seq, item.event.at, item.event.kind)
        assert leaf.commitment == commit(item.event.opening, columns.canonical[position])
        assert leaf.commitment == commit(item.event.opening, encode_stored(batch, item))


def encode_stored(batch: EventBatch, item: SessionEvent) -> bytes:
    """Canonical form by the generic writer."""
    event = Event(**{**item.event.__dict__, "opening": b""})
    stored = StoredEvent(framing.current_fingerprint("EventBatch"), batch.sessions[item.session], event)
    return framing.encode_body("StoredEvent", framing.to_avro(stored))


def test_cut_and_mutated_batches_never_derive_something_else() -> None:
    data = framing.encode(make_batch(0, 0, 3))
    whole = derive_leaves(data)
    for end in range(len(data)):
        with pytest.raises(RecordError):
            derive_leaves(data[:end])
    with pytest.raises(RecordError):
        derive_leaves(data + b"\x00")
    dice = random.Random(7)
    for _ in range(3000):
        at, bit = dice.randrange(10, len(data)), 1 << dice.randrange(8)
        mutated = data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]
        try:
            derived = derive_leaves(mutated)
        except RecordError:
            continue
        # Rule version and the like are the batch's own and not committed to; all else shows in a leaf.
        assert len(derived) >= 1
        if derived.hashes == whole.hashes:
            assert decode_batch(mutated).columns.canonical == decode_batch(data).columns.canonical


def test_what_is_no_batch_is_refused() -> None:
    for record in (b"", b"\x00" * 20, framing.encode(make_batch(0, 0))[:10] + b"\x00" * 40):
        with pytest.raises(RecordError):
            derive_leaves(record)
    raw = EventBatch("p", "e", 0, None, "r", [make_session()], [SessionEvent(0, make_event(1))])
    with pytest.raises(RecordError, match="without origin"):
        derive_leaves(framing.encode(raw))


def test_a_commitment_covers_the_context() -> None:
    one, other = make_batch(0, 0, 1), make_batch(0, 0, 1)
    other.sessions[0].principal = "mallory@example.test"
    assert derive_leaves(framing.encode(one)).hashes[1] != derive_leaves(framing.encode(other)).hashes[1]
    assert hashlib.sha256(b"").digest() not in derive_leaves(framing.encode(one)).hashes
