"""Policy files: groups that nest, and everything that must be refused at load."""

import pytest

from schemas.errors import ProofError
from sinks.transparency.note import COSIGNATURE, Checkpoint, Note, Verifier, cosign_checkpoint
from sinks.transparency.quorum import MAX_POLICY_BYTES, Witness, find_cosigners, format_policy, parse_policy
from tests.sinks.transparency.logs import ORIGIN, SIGNER, VERIFIER

KEYS = [Verifier(f"w{n}.example.test", COSIGNATURE, SIGNER.public_key) for n in range(4)]
WITNESSES = "".join(f"witness w{n} {KEYS[n].vkey} https://w{n}.example.test\n" for n in range(4))
LOG = f"log {VERIFIER.vkey}\n"


def test_groups_nest() -> None:
    text = (
        f"# ours\n{LOG}\n{WITNESSES}"
        "group either any w0 w1\ngroup both all w2 w3\ngroup most 2 either both w3\nquorum most\n"
    )
    policy = parse_policy(text)
    assert policy.origin == ORIGIN and policy.is_witnessed
    assert policy.witnesses["w0"].url == "https://w0.example.test"
    assert policy.is_met(["w0", "w3"]) and policy.is_met(["w2", "w3"]) and policy.is_met(["w1", "w2", "w3"])
    assert not policy.is_met(["w0", "w1", "w2"]) and not policy.is_met([]) and not policy.is_met(["nobody"])


def test_one_witness_or_none_may_be_the_quorum() -> None:
    assert parse_policy(f"{LOG}{WITNESSES}quorum w1\n").is_met(["w1"])
    policy = parse_policy(f"{LOG}quorum none\n")
    assert policy.is_met([]) and not policy.is_witnessed


def test_what_is_written_is_read() -> None:
    witnesses = [Witness(f"w{n}", KEYS[n], f"https://w{n}.example.test") for n in range(3)]
    policy = parse_policy(format_policy([VERIFIER], witnesses, 2))
    assert list(policy.witnesses.values()) == witnesses
    assert policy.is_met(["w0", "w2"]) and not policy.is_met(["w0"])
    assert not parse_policy(format_policy([VERIFIER], [], 0)).is_witnessed


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "needs a log"),
        (LOG, "needs a log and a quorum"),
        ("quorum none\n", "needs a log"),
        (f"{LOG}quorum w0\n", "line 2.*no witness"),
        (f"{LOG}{WITNESSES}group g 5 w0 w1\nquorum g\n", "cannot need 5"),
        (f"{LOG}{WITNESSES}group g 0 w0\nquorum g\n", "cannot need 0"),
        (f"{LOG}{WITNESSES}group g -1 w0\nquorum g\n", "cannot need"),
        (f"{LOG}{WITNESSES}group g any w0 w0\nquorum g\n", "twice"),
        (f"{LOG}group g any g\nquorum g\n", "no witness"),
        (f"{LOG}{WITNESSES}group w0 any w1\nquorum w0\n", "taken"),
        (f"{LOG}{WITNESSES}{WITNESSES}quorum w0\n", "taken"),
        (f"{LOG}witness none {KEYS[0].vkey}\nquorum none\n", "taken"),
        (f"{LOG}witness a {KEYS[0].vkey}\nwitness b {KEYS[0].vkey}\nquorum a\n", "of its own"),
        (f"{LOG}witness a {VERIFIER.vkey}\nquorum a\n", "cosigning"),
        (f"log {KEYS[0].vkey}\nquorum none\n", "one name"),
        (f"{LOG}log {Verifier('other', 1, SIGNER.public_key).vkey}\nquorum none\n", "one name"),
        (f"{LOG}quorum none\nquorum none\n", "not understood"),
        (f"{LOG}frob\nquorum none\n", "line 2.*not understood: frob"),
        (f"{LOG}quorum none\n" + "#" * MAX_POLICY_BYTES, "64 KiB"),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ProofError, match=fault):
        parse_policy(text)


def test_cosigners_are_those_the_policy_names() -> None:
    policy = parse_policy(f"{LOG}{WITNESSES}quorum w1\n")
    text = Checkpoint(ORIGIN, 1, bytes(32)).text
    stranger = cosign_checkpoint(text, "stranger.example.test", SIGNER, 4)
    signed = [cosign_checkpoint(text, KEYS[n].name, SIGNER, 100 + n) for n in (1, 3)]
    assert find_cosigners(Note(text, (stranger, *signed)), policy) == {"w1": 101, "w3": 103}
    bad = cosign_checkpoint("other text\n", KEYS[0].name, SIGNER, 5)
    with pytest.raises(ProofError, match="bad"):
        find_cosigners(Note(text, (bad,)), policy)
