"""Leaves as bytes: back and forth, fixed vectors, hostile bytes, and what they do not give away."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ProofError
from schemas.events import EventKind
from sinks.transparency.leaf import (
    EVENT_KINDS,
    BatchLeaf,
    Coordinates,
    EventLeaf,
    HoldLeaf,
    KeyLeaf,
    RetentionLeaf,
    commit,
    encode_batch,
    encode_event,
    encode_hold,
    encode_key,
    encode_retention,
    parse_leaf,
)

ORIGIN = Coordinates("raw-1", 3, 1 << 40)
LEAF = EventLeaf(ORIGIN, 2, 9, 1_790_000_000_000_000, "session.closed", "s-1", "standard", b"\x05" * 32)


def test_an_event_leaf_is_these_bytes() -> None:
    assert (
        encode_event(LEAF).hex()
        == (
            "0101"
            "0005"
            "7261772d31"
            "00000003"
            "0000010000000000"
            "00000002"
            "0000000000000009"
            "00065bff4f4bc000"
            "0d"
            "0003"
            "732d31"
            "0008"
            "7374616e64617264"
        ).replace("00065bff4f4bc000", (1_790_000_000_000_000).to_bytes(8, "big").hex())
        + "05" * 32
    )


def test_leaves_read_back() -> None:
    batch = BatchLeaf(ORIGIN, "proxy-1", "epoch-1", 7, 200)
    assert parse_leaf(encode_event(LEAF)) == LEAF
    assert parse_leaf(encode_batch(ORIGIN, "proxy-1", "epoch-1", 7, 200)) == batch
    assert parse_leaf(encode_retention(ORIGIN, b"12345678", b"avro")) == RetentionLeaf(ORIGIN, b"12345678", b"avro")
    assert parse_leaf(encode_hold(ORIGIN, "h-1", True, b"\x01" * 32)) == HoldLeaf(ORIGIN, "h-1", True, b"\x01" * 32)
    assert parse_leaf(encode_key("name+1+AAAA")) == KeyLeaf("name+1+AAAA")


@given(st.binary(max_size=120))
def test_hostile_leaves_end_in_an_error_or_whole(data: bytes) -> None:
    for start in (b"", b"\x01\x01", b"\x01\x02", b"\x01\x04", encode_event(LEAF)[:40]):
        try:
            leaf = parse_leaf(start + data)
        except ProofError:
            continue
        if isinstance(leaf, EventLeaf) and leaf.event_kind != "unknown":
            assert encode_event(leaf) == start + data


@pytest.mark.parametrize("entry", [b"", b"\x01", b"\x02\x01", b"\x01\x63", encode_event(LEAF) + b"\x00"])
def test_what_is_no_leaf_is_refused(entry: bytes) -> None:
    with pytest.raises(ProofError):
        parse_leaf(entry)


def test_the_kinds_that_a_verdict_rests_on_have_numbers() -> None:
    needed = {EventKind.SESSION_CLOSED, EventKind.SESSION_OPENED, EventKind.AUDIT_GAP, EventKind.PROXY_STARTED}
    assert needed <= set(EVENT_KINDS)


def test_a_commitment_is_over_a_whole_opening() -> None:
    assert commit(b"o" * 16, b"record") == hashlib.sha256(b"o" * 16 + b"record").digest()
    assert commit(b"", b"record") == commit(bytes(16), b"record")
    assert commit(b"o" * 17, b"record") == commit(b"o" * 16, b"record")


def test_a_million_guesses_at_a_masked_card_fail_without_the_opening() -> None:
    """After erasure the leaf alone is left. Who knows all but the last six digits cannot tell which they were."""
    opening = hashlib.sha256(b"a secret of the proxy").digest()[:16]
    record = b'{"card":"4012888888%06d","verdict":"allow"}'
    leaf = commit(opening, record % 881881)
    assert commit(opening, record % 881881) == leaf  # with the opening one guess is enough
    sha = hashlib.sha256
    assert not any(sha(bytes(16) + record % guess).digest() == leaf for guess in range(1_000_000))
