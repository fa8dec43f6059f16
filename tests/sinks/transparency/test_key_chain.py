"""From a key that is known to the one that signed the head; every way to break the chain is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.errors import ProofError
from sinks.transparency.key_chain import Handover, encode_handovers, read_handovers
from sinks.transparency.leaf import KeyLeaf
from sinks.transparency.note import (
    ED25519,
    Checkpoint,
    KeySigner,
    Note,
    Verifier,
    encode_note,
    parse_note,
    sign_checkpoint,
)
from sinks.transparency.quorum import Policy, parse_policy
from tests.sinks.transparency.filed import POLICY
from tests.sinks.transparency.key_chains import KEYS, Chain
from tests.sinks.transparency.logs import ORIGIN, SIGNER


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def knowing(*keys: Verifier) -> Policy:
    policy = parse_policy(POLICY)
    return Policy(keys, policy.witnesses, policy.groups, policy.quorum)


def test_any_known_key_leads_to_the_last(chain: Chain) -> None:
    assert chain.follow() == (KEYS[1], KEYS[2])
    assert chain.follow(knowing(KEYS[1])) == (KEYS[2],)
    assert chain.follow(knowing(KEYS[2])) == ()
    assert chain.follow(knowing(*KEYS)) == ()
    assert read_handovers({"handovers": []}) == {}


def test_what_is_written_is_read(chain: Chain) -> None:
    import json

    assert read_handovers(json.loads(encode_handovers(chain.handovers))) == chain.handovers


def test_every_way_to_break_it_is_refused(chain: Chain, tmp_path: Path) -> None:
    (first, _), (second, _) = chain.leaves
    stranger = KeySigner(Ed25519PrivateKey.from_private_bytes(b"\x09" * 32))
    handover = chain.handovers[first]
    forged = parse_note(handover.note)

    def broken(words: str) -> None:
        with pytest.raises(ProofError, match=words):
            chain.follow()

    real = dict(chain.handovers)
    del chain.handovers[second]
    broken("not signed by the key that should sign it")
    chain.handovers = {**real, first: replace(handover, proof=handover.proof[:-1])}
    broken("consist|proof")
    chain.handovers = {**real, first: real[second]}
    broken("no key of the log")
    checkpoint = Checkpoint(ORIGIN, 5, b"\1" * 32)
    early = encode_note(checkpoint.text, [sign_checkpoint(checkpoint, SIGNER)])
    chain.handovers = {**real, first: Handover(early, ())}
    broken("does not cover that leaf")
    signed = sign_checkpoint(chain.head, stranger)
    chain.handovers = {**real, first: Handover(Note(forged.text, (signed,)).encode(), handover.proof)}
    broken("no key of the log")
    alone = Note(forged.text, tuple(item for item in forged.signatures if item.name == ORIGIN)).encode()
    chain.handovers = {**real, first: Handover(alone, handover.proof)}
    broken("the quorum has not signed")
    chain.handovers = real
    chain.leaves[0] = (first, KeyLeaf(Verifier("another.example", ED25519, stranger.public_key).vkey))
    broken("of another log")
    chain.leaves[0] = (first, KeyLeaf(Verifier(ORIGIN, ED25519, stranger.public_key).vkey))
    broken("no key of the log")


def test_without_witnesses_nothing_is_handed_over(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="quorum has not signed"):
        Chain(tmp_path, is_witnessed=False).follow()


@pytest.mark.parametrize(
    "document",
    [{}, {"handovers": {}}, {"handovers": [5]}, {"handovers": [{"index": 1}]}, {"handovers": [{}] * 1001},
     {"handovers": [{"index": 1, "checkpoint": "%", "consistency": []}]}],
)  # fmt: skip
def test_what_is_no_chain_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((ProofError, TypeError, KeyError, ValueError)):
        read_handovers(document)
