"""Whose a client certificate is, and every way in which it is nobody's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigError
from schemas.identity_config import TrustDomain
from schemas.spiffe import SvidRefused, TrustDomains, parse_id
from tests.support.svids import CLIENT, SERVER, Authority

PLANNER = "spiffe://mesh.example/ns/agents/sa/planner"
MESH, OTHER = Authority("mesh"), Authority("other")


@pytest.fixture
def domains(tmp_path: Path) -> TrustDomains:
    (tmp_path / "mesh.pem").write_bytes(MESH.pem)
    (tmp_path / "other.pem").write_bytes(OTHER.pem)
    return TrustDomains(
        [
            TrustDomain(name="mesh", trust_domain="mesh.example", bundle_file=str(tmp_path / "mesh.pem")),
            TrustDomain(name="other", trust_domain="other.example", bundle_file=str(tmp_path / "other.pem")),
        ]
    )


def test_a_certificate_says_who_it_is_of(domains: TrustDomains) -> None:
    found = domains.verify(MESH.issue(PLANNER).chain)
    assert (found.issuer, str(found.id), found.id.domain) == ("mesh", PLANNER, "mesh.example")
    below = Authority("below", MESH)
    assert str(domains.verify(below.issue(PLANNER, dns=["planner.agents"]).chain).id) == PLANNER
    assert domains and not TrustDomains(())


@pytest.mark.parametrize(
    ("uris", "changes", "words"),
    [
        ((PLANNER, "spiffe://mesh.example/other"), {}, "exactly one URI"),
        ((PLANNER, PLANNER), {}, "exactly one URI"),
        ((), {"dns": ["planner"]}, "exactly one URI"),
        ((), {}, "cannot be read"),
        (("https://mesh.example/planner",), {}, "no SPIFFE id"),
        (("spiffe://mesh.example",), {}, "no SPIFFE id"),
        (("spiffe://mesh.example/",), {}, "no SPIFFE id"),
        (("spiffe://mesh.example/a/../b",), {}, "no SPIFFE id"),
        (("spiffe://mesh.example/a?b",), {}, "no SPIFFE id"),
        (("spiffe://MESH.example/a",), {}, "no SPIFFE id"),
        (("spiffe://mesh.example:1/a",), {}, "no SPIFFE id"),
        (("spiffe://u@mesh.example/a",), {}, "no SPIFFE id"),
        (("spiffe://mesh.example/" + "a" * 2048,), {}, "no SPIFFE id"),
        (("spiffe://unknown.example/a",), {}, "not among"),
        (("spiffe://other.example/a",), {}, "does not verify"),
        ((PLANNER,), {"ends": timedelta(seconds=-1)}, "does not verify"),
        ((PLANNER,), {"begins": timedelta(minutes=5)}, "does not verify"),
        ((PLANNER,), {"extended": [SERVER]}, "does not verify"),
        ((PLANNER,), {"is_ca": True}, "not for signing in"),
        ((PLANNER,), {"signs": True}, "not for signing in"),
    ],
    ids=str,
)  # fmt: skip
def test_what_proves_nobody_is_refused(
    domains: TrustDomains, uris: tuple[str, ...], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SvidRefused, match=words):
        domains.verify(MESH.issue(*uris, **changes).chain)


def test_an_authority_vouches_for_its_own_domain_only(domains: TrustDomains) -> None:
    with pytest.raises(SvidRefused, match="does not verify"):
        domains.verify(OTHER.issue(PLANNER).chain)
    forged = Authority("mesh")  # the same name, another key
    with pytest.raises(SvidRefused, match="does not verify"):
        domains.verify(forged.issue(PLANNER).chain)
    with pytest.raises(SvidRefused, match="does not verify"):
        domains.verify([*forged.issue(PLANNER).chain, *[each for each in Authority("x", MESH).issue(PLANNER).chain]])


def test_a_workload_vouches_for_no_other(domains: TrustDomains) -> None:
    """A leaf's key that signs another certificate makes no authority."""
    leaf = MESH.issue(PLANNER, extended=[CLIENT])
    below = Authority("below", MESH)
    below.key, below.name = leaf.key, leaf.certificate.subject
    forged = below.issue("spiffe://mesh.example/admin")
    with pytest.raises(SvidRefused, match="does not verify"):
        domains.verify([forged.chain[0], *leaf.chain])


def test_bundles_are_read_again_when_they_change(domains: TrustDomains, tmp_path: Path) -> None:
    chain = MESH.issue(PLANNER).chain
    domains.verify(chain)
    stamp, renewed = domains.stamp(), Authority("mesh 2")
    (tmp_path / "mesh.pem").write_bytes(MESH.pem + renewed.pem)
    assert domains.stamp() != stamp
    for issued in (chain, renewed.issue(PLANNER).chain):
        assert domains.verify(issued).issuer == "mesh"
    (tmp_path / "mesh.pem").write_bytes(b"half of a bund")
    assert domains.verify(chain).issuer == "mesh"  # what was read before counts on
    (tmp_path / "mesh.pem").write_bytes(renewed.pem)
    with pytest.raises(SvidRefused, match="does not verify"):
        domains.verify(chain)
    assert len(domains.load()) == 2


def test_time_is_what_the_clock_says(tmp_path: Path) -> None:
    (tmp_path / "mesh.pem").write_bytes(MESH.pem)
    mesh = TrustDomain(name="mesh", trust_domain="mesh.example", bundle_file=str(tmp_path / "mesh.pem"))
    later = TrustDomains([mesh], lambda: datetime.now(UTC) + timedelta(hours=2))
    with pytest.raises(SvidRefused, match="does not verify"):
        later.verify(MESH.issue(PLANNER).chain)


@pytest.mark.parametrize(
    "content", [None, b"", b"no pem", b"x" * ((1 << 20) + 1)], ids=["none", "empty", "text", "large"]
)
def test_a_bundle_that_cannot_be_read_is_said_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "mesh.pem").write_bytes(content)
    mesh = TrustDomain(name="mesh", trust_domain="mesh.example", bundle_file=str(tmp_path / "mesh.pem"))
    with pytest.raises(ConfigError, match=r"mesh\.pem, the bundle of mesh"):
        TrustDomains([mesh]).load()


def test_too_many_and_too_large_certificates_are_not_looked_at(domains: TrustDomains) -> None:
    chain = MESH.issue(PLANNER).chain
    for many in ([], chain * 9, [b"0" * 65_537]):
        with pytest.raises(SvidRefused, match="chain"):
            domains.verify(many)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.data())
def test_any_bytes_are_refused(domains: TrustDomains, data: st.DataObject) -> None:
    whole = bytearray(CHAIN[0])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    if cut != CHAIN[0]:
        with pytest.raises(SvidRefused):
            domains.verify([cut])


CHAIN = MESH.issue(PLANNER).chain


@given(st.text(max_size=60))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        assert str(parse_id("spiffe://" + text)) == "spiffe://" + text
    except SvidRefused:
        pass
