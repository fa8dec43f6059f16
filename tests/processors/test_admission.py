"""What becomes evidence: only what its proxy signed, for this partition, whole."""

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from processors.admission import Opened, Refused, decode_sealed, head_of, open_sealed, verify_sealed
from processors.pieces import Lexicon
from schemas.errors import KeyMissing
from schemas.events import DeadLetter, EventBatch, Origin, SealedBatch, SessionEvent
from schemas.wire import framing
from schemas.wire.sealing import Sealer, Unsealer
from schemas.wire.suites import X25519, private_from
from tests.processors.pipeline import make_context, make_event

SIGNING = Ed25519PrivateKey.generate()
UNSEAL = private_from(X25519.generate())
UNSEALER = Unsealer({UNSEAL.public_key().id: UNSEAL})
SEALER = Sealer("proxy", SIGNING, UNSEAL.public_key())


class Keys:
    def key_of(self, proxy_id: str) -> Ed25519PublicKey | None:
        return SIGNING.public_key() if proxy_id == "proxy" else None


def batch(seq: int = 0, **values: object) -> EventBatch:
    made = EventBatch("proxy", SEALER.epoch, seq, sessions=[make_context()])
    made.events = [SessionEvent(0, make_event(1))]
    return dataclasses.replace(made, **values)  # type: ignore[arg-type]


def seal(made: EventBatch, seq: int = 0, partition: int = 1) -> SealedBatch:
    return SEALER.seal(framing.encode_body("EventBatch", framing.batch_fields(made)), partition, seq, 1)


def admit(sealed: SealedBatch, unsealer: Unsealer = UNSEALER) -> Opened:
    again = decode_sealed(framing.encode(sealed))
    verify_sealed(again, 1, Keys())
    return open_sealed(again, unsealer, Lexicon())


def reason_of(sealed: SealedBatch) -> str:
    with pytest.raises(Refused) as refused:
        admit(sealed)
    return refused.value.reason


def test_an_honest_batch_is_opened() -> None:
    opened = admit(seal(batch()))
    assert opened.read()["events"][0]["event"]["seq"] == 1
    assert opened.pieces is not None and opened.pieces.tail == len(head_of(opened.header))


def test_what_is_no_sealed_batch_is_undecodable() -> None:
    for value in (b"", b"x" * 40, framing.encode(DeadLetter(Origin("l", 0, 0), "s", "r", b"", 1))):
        with pytest.raises(Refused, match=r".") as refused:
            decode_sealed(value)
        assert refused.value.reason == "undecodable"


def test_altered_foreign_or_moved_batches_are_refused() -> None:
    sealed = seal(batch())
    assert reason_of(dataclasses.replace(sealed, ciphertext=sealed.ciphertext + b"x")) == "forged"
    assert reason_of(dataclasses.replace(sealed, signature=b"x" * 64)) == "forged"
    header = dataclasses.replace(sealed.header, batch_seq=7)
    assert reason_of(dataclasses.replace(sealed, header=header)) == "forged"
    stranger = dataclasses.replace(sealed.header, proxy_id="stranger")
    assert reason_of(dataclasses.replace(sealed, header=stranger)) == "forged"
    assert reason_of(seal(batch(), partition=2)) == "misplaced"


@pytest.mark.parametrize(
    "made",
    [
        batch(proxy_id="other"),
        batch(proxy_epoch="other"),
        batch(3),
        batch(origin=Origin("log", 0, 0)),
        batch(events=[SessionEvent(5, make_event(1))]),
        batch(events=[SessionEvent(-1, make_event(1))]),
    ],
)
def test_an_inside_that_is_not_what_the_header_says_is_undecodable(made: EventBatch) -> None:
    assert reason_of(seal(made)) == "undecodable"


def test_bytes_that_are_no_batch_are_undecodable() -> None:
    assert reason_of(SEALER.seal(b"\x00nothing", 1, 9, 1)) == "undecodable"


def test_a_missing_key_is_waited_for() -> None:
    with pytest.raises(KeyMissing):
        admit(seal(batch()), Unsealer({}))


def test_a_rule_version_from_a_proxy_is_not_taken_over_bytewise() -> None:
    assert admit(seal(batch(rule_version="mine"))).pieces is None


@given(st.binary(max_size=300))
def test_hostile_bytes_are_refused(data: bytes) -> None:
    for value in (data, framing.prefix_of("SealedBatch") + data):
        with pytest.raises(Refused):
            decode_sealed(value)
