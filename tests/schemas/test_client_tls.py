"""Handshakes in memory: certificates are asked for, needed by nobody, and renewed with their bundles."""

import ssl
from pathlib import Path

import pytest

from schemas.client_tls import ask_for_certificates, client_chain
from schemas.errors import ConfigError
from schemas.identity_config import TrustDomain
from schemas.spiffe import TrustDomains
from tests.support.svids import Authority, Issued

SERVER, MESH = Authority("server"), Authority("mesh")
PLANNER = "spiffe://mesh.example/planner"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.pem"
    path.write_bytes(MESH.pem)
    return path


@pytest.fixture
def domains(bundle: Path) -> TrustDomains:
    return TrustDomains([TrustDomain(name="mesh", trust_domain="mesh.example", bundle_file=str(bundle))])


class Listener:
    """A server's context that is made when it is needed."""

    def __init__(self, folder: Path, domains: TrustDomains) -> None:
        self.folder, self.made = folder, 0
        self.files = SERVER.issue(dns=["server"]).write(folder, "server")
        self.context = ask_for_certificates(self.make, domains)

    def make(self) -> ssl.SSLContext:
        self.made += 1
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files)
        return context

    def meet(self, issued: Issued | None = None) -> tuple[bytes, ...]:
        """One handshake; the chain that the server has of it. Raises ssl.SSLError."""
        context = ssl.create_default_context(cadata=SERVER.pem.decode())
        if issued is not None:
            context.load_cert_chain(*issued.write(self.folder, "client"))
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname="server")
        server = self.context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for end in (client, server):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return client_chain(server)


def test_certificates_are_asked_for_and_needed_by_nobody(tmp_path: Path, domains: TrustDomains) -> None:
    listener, issued = Listener(tmp_path, domains), MESH.issue(PLANNER)
    assert listener.meet() == ()
    assert listener.meet(issued) == tuple(issued.chain)
    below = Authority("below", MESH).issue(PLANNER)
    assert listener.meet(below) == tuple(below.chain) and len(below.chain) == 2
    with pytest.raises(ssl.SSLError):
        listener.meet(Authority("mesh").issue(PLANNER))
    assert client_chain(None) == ()


def test_without_trust_domains_nothing_is_asked_for(tmp_path: Path) -> None:
    listener = Listener(tmp_path, TrustDomains(()))
    assert listener.context.verify_mode is ssl.CERT_NONE
    assert listener.meet(MESH.issue(PLANNER)) == ()


def test_a_changed_bundle_makes_a_new_context(tmp_path: Path, domains: TrustDomains, bundle: Path) -> None:
    listener, issued, renewed = Listener(tmp_path, domains), MESH.issue(PLANNER), Authority("mesh 2")
    assert listener.meet(issued) and listener.made == 1
    bundle.write_bytes(renewed.pem)
    assert listener.meet(renewed.issue(PLANNER)) and listener.made == 2
    with pytest.raises(ssl.SSLError):
        listener.meet(issued)
    Path(listener.files[0]).write_text("half of a certif")
    bundle.write_bytes(MESH.pem + renewed.pem)
    assert listener.meet(renewed.issue(PLANNER))  # what was read before counts on
    bundle.unlink()
    assert listener.meet(renewed.issue(PLANNER))


def test_a_bundle_that_cannot_be_read_is_said_at_the_start(tmp_path: Path, domains: TrustDomains, bundle: Path) -> None:
    bundle.unlink()
    with pytest.raises(ConfigError, match=r"mesh\.pem"):
        Listener(tmp_path, domains)
