"""Notes, checkpoints, cosignatures: the specification's vector, and everything that must not pass."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ProofError
from sinks.transparency.note import (
    COSIGNATURE,
    Checkpoint,
    KeySigner,
    Signature,
    Verifier,
    check_signature,
    cosign_checkpoint,
    cosigned_at,
    encode_note,
    find_signature,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_checkpoint,
)
from tests.sinks.transparency.logs import ORIGIN, SIGNER, VERIFIER

WITNESS = KeySigner(Ed25519PrivateKey.from_private_bytes(b"\x22" * 32))
WITNESS_KEY = Verifier("witness.example.test/w1", COSIGNATURE, WITNESS.public_key)
HEAD = Checkpoint(ORIGIN, 7, b"\x33" * 32)


def make_note(*more: Signature) -> bytes:
    return encode_note(HEAD.text, [sign_checkpoint(HEAD, SIGNER), *more])


def test_a_key_and_note_of_the_go_checksum_database() -> None:
    # Public constants of the documentation of Go's sumdb/note: the example server's key and signed text.
    key = parse_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    note = parse_note(f"{text}\n{line}\n".encode())
    assert note.text == text and find_signature(note, key) is not None
    spoiled = parse_note(f"{text.replace('answer', 'Answer')}\n{line}\n".encode())
    with pytest.raises(ProofError, match="bad"):
        find_signature(spoiled, key)


def test_what_is_signed_opens() -> None:
    checkpoint, note = open_checkpoint(make_note(), [VERIFIER])
    assert checkpoint == HEAD and note.encode() == make_note()
    assert parse_vkey(VERIFIER.vkey) == VERIFIER and parse_vkey(WITNESS_KEY.vkey) == WITNESS_KEY


def test_a_cosignature_binds_the_time() -> None:
    signature = cosign_checkpoint(HEAD.text, WITNESS_KEY.name, WITNESS, 1_790_000_000)
    note = parse_note(make_note(signature))
    found = find_signature(note, WITNESS_KEY)
    assert found is not None and cosigned_at(found) == 1_790_000_000
    later = Signature(found.name, found.key_id, (1_790_000_001).to_bytes(8, "big") + found.data[8:])
    with pytest.raises(ProofError):
        check_signature(HEAD.text, later, WITNESS_KEY)


def test_unknown_keys_are_ignored_and_known_bad_ones_refuse_the_note() -> None:
    other = Verifier(ORIGIN, VERIFIER.algorithm, WITNESS.public_key)
    with pytest.raises(ProofError, match="no key of the log"):
        open_checkpoint(make_note(), [other])
    forged = Signature(VERIFIER.name, VERIFIER.key_id, bytes(64))
    with pytest.raises(ProofError, match="bad"):
        open_checkpoint(encode_note(HEAD.text, [forged]), [VERIFIER])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"text\n", b"text\n\n", b"text\n\nno mark\n", "text\n\n— name\n".encode(),
        "text\n\n— name !!!!\n".encode(), "text\n\n— na+me AAAAAAAA\n".encode(), "text\n\n— n AAAAAAAA".encode(),
        "te\x00xt\n\n— n AAAAAAAA\n".encode(), "te\rxt\n\n— n AAAAAAAA\n".encode(), b"\xff\n\n",
        b"text\n\n" + "— n AAAAAAAA\n".encode() * 101, b"x" * 65_537,
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(ProofError):
        parse_note(data)


@pytest.mark.parametrize(
    "text",
    [
        "", "o\n1\n", "o\n01\n" + "A" * 43 + "=\n", "o\n-1\n" + "A" * 43 + "=\n", "o\n1\nAAAA\n",
        "o\n1\n" + "A" * 43 + "=\nmore\n", "\n1\n" + "A" * 43 + "=\n", "o\n1\n" + "A" * 43 + "=",
        "o\n9223372036854775808\n" + "A" * 43 + "=\n", "o\n١\n" + "A" * 43 + "=\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ProofError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "vkey",
    ["", "name", "name+00000000+AAAA", VERIFIER.vkey[:-1], VERIFIER.vkey.replace("+", "+0", 1), f"x{VERIFIER.vkey}"],
)
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(ProofError):
        parse_vkey(vkey)


def test_an_empty_line_in_the_text_belongs_to_the_text() -> None:
    note = parse_note(encode_note("a\n\nb\n", [Signature("n", b"1234", b"s")]))
    assert note.text == "a\n\nb\n"


@given(st.binary(max_size=300))
def test_hostile_notes_end_in_an_error_or_round_trip(data: bytes) -> None:
    try:
        note = parse_note(data + b"\n\n" + "— n ".encode() + base64.b64encode(data[:9].ljust(9)) + b"\n")
    except ProofError:
        return
    assert parse_note(note.encode()) == note
