"""Proof files: back and forth, and what must not pass."""

import pytest

from schemas.errors import ProofError
from sinks.transparency.proof import LeafProof, encode_leaf_proof, parse_leaf_proof

PROOF = LeafProof(7, [b"\x01" * 32, b"\x02" * 32], b"origin\n9\nAAAA\n\n\xe2\x80\x94 name AAAA\n")


def test_a_proof_is_the_text_of_the_specification() -> None:
    data = encode_leaf_proof(PROOF)
    lines = data.decode().split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 7"] and lines[4] == ""
    assert parse_leaf_proof(data) == PROOF
    assert parse_leaf_proof(data.replace(b"index 7", b"extra AAAA\nindex 7")) == PROOF
    assert parse_leaf_proof(encode_leaf_proof(LeafProof(0, [], b"x"))) == LeafProof(0, [], b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"c2sp.org/tlog-proof@v1", b"c2sp.org/tlog-proof@v2\nindex 1\n\nx", b"c2sp.org/tlog-proof@v1\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 01\n\nx", b"c2sp.org/tlog-proof@v1\nindex -1\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 1\n!!\n\nx", b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"AAAA\n" * 64 + b"\nx",
        b"x" * 200_000,
    ],
)  # fmt: skip
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    with pytest.raises(ProofError):
        parse_leaf_proof(data)
