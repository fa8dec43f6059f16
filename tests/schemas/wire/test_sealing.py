"""Sealed batches: only mask opens them, only the proxy makes them, nothing in them can be changed."""

import dataclasses

import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ForgedError, KeyMissing, SealError
from schemas.events import Origin, SealedBatch
from schemas.wire import framing
from schemas.wire.sealing import MAX_BATCH_BYTES, Sealer, Unsealer, decompress, verify
from schemas.wire.suites import HYBRID, KEMS, X25519, Choice, UnsealPublic, private_from, public_from

UNSEAL = private_from(X25519.generate())
SIGN = Ed25519PrivateKey.generate()
PLAIN = b"the card is 4111 1111 1111 1111 " * 20


def make_unsealer() -> Unsealer:
    return Unsealer({UNSEAL.public_key().id: UNSEAL})


def seal(batch_seq: int = 0) -> SealedBatch:
    return Sealer("proxy-tcp", SIGN, UNSEAL.public_key()).seal(PLAIN, 3, batch_seq, 1)


def test_what_is_sealed_opens_and_does_not_show() -> None:
    sealed = seal()
    verify(sealed, SIGN.public_key())
    assert make_unsealer().unseal(sealed) == PLAIN
    assert b"4111" not in framing.encode(sealed)


def test_the_bare_body_is_the_records() -> None:
    body = Sealer("proxy-tcp", SIGN, UNSEAL.public_key()).seal_body(PLAIN, 3, 4, 5)
    sealed = framing.decode(framing.prefix_of("SealedBatch") + body)
    assert isinstance(sealed, SealedBatch)
    verify(sealed, SIGN.public_key())
    assert make_unsealer().unseal(sealed) == PLAIN


def test_every_batch_has_a_nonce_of_its_own() -> None:
    sealer = Sealer("proxy-tcp", SIGN, UNSEAL.public_key())
    batches = [sealer.seal(PLAIN, partition, seq, 1) for partition in range(2) for seq in range(3)]
    assert len({batch.ciphertext for batch in batches}) == len(batches)
    assert len({batch.header.wrapped_key for batch in batches}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"proxy_id": "proxy-http"},
        {"partition": 0},
        {"batch_seq": 1},
        {"created_at": 2},
        {"redrives": Origin("log", 0, 1)},
        {"proxy_epoch": "00" * 16},
    ],
)
def test_a_changed_header_is_seen_by_signature_and_by_seal(change: dict[str, object]) -> None:
    sealed = seal()
    altered = dataclasses.replace(sealed, header=dataclasses.replace(sealed.header, **change))  # type: ignore[arg-type]
    with pytest.raises(ForgedError):
        verify(altered, SIGN.public_key())
    with pytest.raises(SealError):
        make_unsealer().unseal(altered)


def test_a_foreign_signature_is_forged() -> None:
    with pytest.raises(ForgedError):
        verify(seal(), Ed25519PrivateKey.generate().public_key())


def test_a_missing_key_is_told_apart_and_may_arrive_late() -> None:
    sealed, unsealer = seal(), Unsealer({})
    with pytest.raises(KeyMissing):
        unsealer.unseal(sealed)
    unsealer.add_key(UNSEAL)
    assert unsealer.unseal(sealed) == PLAIN


@pytest.mark.parametrize("kem", KEMS)
@pytest.mark.parametrize("choice", [Choice(), Choice("hkdf-sha512", "chacha20-poly1305")])
def test_every_suite_seals_and_opens(kem: str, choice: Choice) -> None:
    key = private_from(KEMS[kem].generate())
    sealed = Sealer("proxy-tcp", SIGN, key.public_key(), choice).seal(PLAIN, 3, 0, 1)
    again = framing.decode(framing.encode(sealed))
    assert isinstance(again, SealedBatch)
    assert Unsealer({key.public_key().id: key}).unseal(again) == PLAIN


def test_a_key_id_that_names_another_suite_does_not_open() -> None:
    sealed = seal()
    claimed = dataclasses.replace(sealed.header, key_id=f"647a-0001-0002:{sealed.header.key_id}")
    with pytest.raises(SealError):
        make_unsealer().unseal(dataclasses.replace(sealed, header=claimed))


def test_a_rotated_key_is_taken_up_between_two_batches_with_a_fresh_epoch_key() -> None:
    newer = private_from(HYBRID.generate())
    publics = [UNSEAL.public_key()]
    sealer = Sealer("proxy-tcp", SIGN, publics[0], source=lambda: publics[-1])
    before = sealer.seal(PLAIN, 0, 0, 1)
    assert not sealer.refresh()
    publics.append(newer.public_key())
    assert sealer.refresh() and not sealer.refresh()
    after = sealer.seal(PLAIN, 0, 1, 1)
    assert (before.header.proxy_epoch, after.header.key_id[-16:]) == (sealer.epoch, newer.public_key().id)
    unsealer = make_unsealer()
    assert unsealer.unseal(before) == PLAIN
    with pytest.raises(KeyMissing):
        unsealer.unseal(after)
    unsealer.add_key(newer)
    assert unsealer.unseal(after) == PLAIN


def test_a_public_half_that_does_not_load_leaves_the_last_one_in_use() -> None:
    def broken() -> UnsealPublic:
        return public_from(b"torn")

    sealer = Sealer("proxy-tcp", SIGN, UNSEAL.public_key(), source=broken)
    assert not sealer.refresh()
    assert make_unsealer().unseal(sealer.seal(PLAIN, 0, 0, 1)) == PLAIN


def test_a_decompression_bomb_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(MAX_BATCH_BYTES + 1))
    with pytest.raises((ValueError, zstandard.ZstdError)):
        decompress(bomb)


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_a_flipped_byte_never_opens(at: int, flip: int) -> None:
    data = bytearray(framing.encode(seal()))
    data[at % len(data)] ^= flip
    try:
        altered = framing.decode(bytes(data))
        assert isinstance(altered, SealedBatch)
        verify(altered, SIGN.public_key())
    except (ForgedError, framing.RecordError):
        return
    raise AssertionError("an altered batch passed for the proxy's")
