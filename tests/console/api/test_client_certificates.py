"""Workloads that prove themselves with client certificates (SPIFFE), at a running API."""

import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.api.client_certificates import make_tls
from console.api.endpoints.token import ID_TOKEN
from console.control import Place, open_view
from console.exchange import ACCESS_TOKEN, GRANT_TYPE
from schemas.api_config import Api as ApiSettings
from schemas.config import find_settings
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.identity_config import TrustDomain
from schemas.runtime import Home
from schemas.spiffe import TrustDomains
from tests.support.api import Api, document_of, oidc_settings, run_api
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.oidc_provider import OidcProvider
from tests.support.svids import SERVER, Authority, Issued

PLANNER, EXECUTOR = "spiffe://mesh.example/agents/planner", "spiffe://mesh.example/agents/executor"
OWN: dict[str, Any] = {"grant_type": "client_credentials"}


@dataclass
class Mesh:
    """A running API, and the authorities of two trust domains."""

    api: Api
    folder: Path
    server: Authority
    mesh: Authority
    other: Authority

    def ask(self, issued: Issued | None, **form: Any) -> httpx.Response:
        """POST /token, in a connection of its own."""
        context = ssl.create_default_context(cadata=self.server.pem.decode())
        if issued is not None:
            context.load_cert_chain(*issued.write(self.folder, "client"))
        with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
            return client.post(f"https://127.0.0.1:{self.api.port}/token", data=form)


@pytest.fixture(scope="module")
def running(
    secrets_home: Home, kafka: Kafka, shared_provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("mesh")
    home = Home(folder / "home")
    shutil.copytree(secrets_home.root, home.root)
    server, mesh, other = Authority("server"), Authority("mesh"), Authority("other")
    for name, authority in (("mesh", mesh), ("other", other)):
        (folder / f"{name}.bundle").write_bytes(authority.pem)
    certificate, key = server.issue(ips=["127.0.0.1"]).write(folder, "api")
    domains = [
        {"name": name, "trust_domain": f"{name}.example", "bundle_file": str(folder / f"{name}.bundle")}
        for name in ("mesh", "other")
    ]
    planner = {"issuer": "mesh", "claims": {"sub": PLANNER}}
    executor = {"issuer": "mesh", "claims": {"trust_domain": "mesh.example", "path": "/agents/exec*"}}
    grants = [
        {"agent": "planner", "workload": planner, "groups": ["developers"], "resources": ["demo-*"]},
        {"agent": "executor", "workload": executor, "after": ["planner"], "on_its_own": True, "resources": ["demo-*"]},
        {
            "agent": "bound", "workload": {"issuer": "mesh", "claims": {"path": "/agents/bound"}}, "on_its_own": True,
            "resources": ["demo-*"], "bound": True,
        },
    ]  # fmt: skip
    connect_home(
        home, kafka, ports={"api": 0}, api={"tls_certificate": certificate, "tls_key": key},
        identity={"oidc": oidc_settings(shared_provider), "trust_domains": domains, "grants": grants},
    )  # fmt: skip
    with run_api(home) as api:
        yield Mesh(api, folder, server, mesh, other)


def test_a_workload_gets_a_credential_for_itself(running: Mesh) -> None:
    issued = running.mesh.issue(EXECUTOR)
    answer = document_of(running.ask(issued, **OWN, client_id=EXECUTOR, audience=["demo-http"], lifetime="600"))
    assert (answer["principal"], answer["agent"]) == (f"mesh:{EXECUTOR}", "executor")
    assert (answer["audience"], answer["expires_in"], answer["delegation"]) == (["demo-http"], 600, [])
    context, events = running.api.recorded("token.exchange")[-1]
    assert context.principal == f"mesh:{EXECUTOR}" and events[1].attributes["via"] == "certificate"


def test_a_workload_acts_for_a_person_and_hands_on(running: Mesh, provider: OidcProvider) -> None:
    for_ann = {"grant_type": GRANT_TYPE, "subject_token": provider.id_token(), "subject_token_type": ID_TOKEN}
    first = document_of(running.ask(running.mesh.issue(PLANNER), **for_ann, client_id=PLANNER))
    assert first["delegation"] == [{"actor": "planner", "on_behalf_of": "ann@example.com"}]
    handed = {
        "grant_type": GRANT_TYPE, "subject_token": first["access_token"], "subject_token_type": ACCESS_TOKEN,
        "client_id": EXECUTOR,
    }  # fmt: skip
    executor = running.mesh.issue(EXECUTOR)
    second = document_of(running.ask(executor, **handed))
    assert [link["actor"] for link in second["delegation"]] == ["planner", "executor"]
    token = running.api.home.read_secret("api/operator.password")
    with httpx.Client(verify=False, trust_env=False) as client:
        url = f"https://127.0.0.1:{running.api.port}/v1/credentials/{first['credential_id']}"
        assert client.delete(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    revoked = running.ask(executor, **handed)
    assert (revoked.status_code, revoked.json()["error"]) == (400, "invalid_grant")


def test_a_bound_grant_gives_credentials_that_are_bound(running: Mesh) -> None:
    spiffe_id = "spiffe://mesh.example/agents/bound"
    answer = document_of(running.ask(running.mesh.issue(spiffe_id), **OWN, client_id=spiffe_id))
    with open_view(Place(running.api.home, find_settings(running.api.home))) as view:
        payload = view.get(ControlKind.CREDENTIAL, answer["credential_id"])
    assert payload is not None and payload["spiffe_id"] == spiffe_id


def test_who_sends_no_certificate_is_served_as_before(running: Mesh, provider: OidcProvider) -> None:
    with httpx.Client(verify=False, trust_env=False) as client:
        assert client.get(f"https://127.0.0.1:{running.api.port}/healthz").status_code == 200
    refused = running.ask(None, **OWN, client_id=EXECUTOR)
    assert refused.json()["error"] == "invalid_client" and "has none" in refused.json()["error_description"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({**OWN}, "invalid_request"),
        ({**OWN, "client_id": PLANNER}, "invalid_client"),
        ({**OWN, "client_id": "executor"}, "invalid_client"),
        ({**OWN, "client_id": EXECUTOR, "subject_token": "x"}, "invalid_request"),
        ({**OWN, "client_id": EXECUTOR, "agent": "planner"}, "access_denied"),
        ({**OWN, "client_id": EXECUTOR, "audience": ["nowhere"]}, "invalid_target"),
        ({"grant_type": GRANT_TYPE, "client_id": EXECUTOR, "subject_token": "x", "subject_token_type": ACCESS_TOKEN,
          "actor_token": "a.b.c", "actor_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"grant_type": GRANT_TYPE, "client_id": EXECUTOR, "subject_token_type": ACCESS_TOKEN}, "invalid_request"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_request_is_refused_as_oauth_says(running: Mesh, form: dict[str, Any], error: str) -> None:
    refused = running.ask(running.mesh.issue(EXECUTOR), **form)
    assert (refused.status_code, refused.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("uris", "changes"),
    [
        ((EXECUTOR, PLANNER), {}),
        ((), {"dns": ["executor"]}),
        (("spiffe://other.example/agents/executor",), {}),
        (("spiffe://mesh.example/agents/other",), {}),
        ((EXECUTOR,), {"signs": True}),
    ],
    ids=str,
)
def test_a_certificate_of_somebody_else_gets_nothing(
    running: Mesh, uris: tuple[str, ...], changes: dict[str, Any]
) -> None:
    refused = running.ask(running.mesh.issue(*uris, **changes), **OWN, client_id=EXECUTOR)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")


def test_another_domains_authority_vouches_for_none_of_this_one(running: Mesh) -> None:
    """It is trusted, so the handshake succeeds; the name is not its to give."""
    refused = running.ask(running.other.issue(EXECUTOR), **OWN, client_id=EXECUTOR)
    assert refused.json()["error"] == "invalid_client"
    assert "does not verify under its trust domain" in refused.json()["error_description"]


@pytest.mark.parametrize("fault", ["foreign", "expired", "early", "server"])
def test_what_no_authority_vouches_for_ends_the_handshake(running: Mesh, fault: str) -> None:
    issued = {
        "foreign": lambda: Authority("mesh").issue(EXECUTOR),
        "expired": lambda: running.mesh.issue(EXECUTOR, ends=timedelta(seconds=-1)),
        "early": lambda: running.mesh.issue(EXECUTOR, begins=timedelta(minutes=5)),
        "server": lambda: running.mesh.issue(EXECUTOR, extended=[SERVER]),
    }[fault]()
    with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
        running.ask(issued, **OWN, client_id=EXECUTOR)
    assert document_of(running.ask(running.mesh.issue(EXECUTOR), **OWN, client_id=EXECUTOR))


def test_bundles_that_change_are_taken_up_while_the_api_runs(running: Mesh) -> None:
    renewed, bundle = Authority("mesh 2"), running.folder / "mesh.bundle"
    before = bundle.read_bytes()
    try:
        bundle.write_bytes(renewed.pem)
        assert document_of(running.ask(renewed.issue(EXECUTOR), **OWN, client_id=EXECUTOR))
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            running.ask(running.mesh.issue(EXECUTOR), **OWN, client_id=EXECUTOR)
    finally:
        bundle.write_bytes(before)
    assert document_of(running.ask(running.mesh.issue(EXECUTOR), **OWN, client_id=EXECUTOR))


def test_a_connection_that_outlives_its_bundle_proves_nothing_more(running: Mesh) -> None:
    issued, bundle = running.mesh.issue(EXECUTOR), running.folder / "mesh.bundle"
    before = bundle.read_bytes()
    context = ssl.create_default_context(cadata=running.server.pem.decode())
    context.load_cert_chain(*issued.write(running.folder, "lasting"))
    url, form = f"https://127.0.0.1:{running.api.port}/token", {**OWN, "client_id": EXECUTOR}
    with httpx.Client(verify=context, trust_env=False) as client:
        assert client.post(url, data=form).status_code == 200
        try:
            bundle.write_bytes(Authority("mesh 3").pem)
            assert client.post(url, data=form).json()["error"] == "invalid_client"
        finally:
            bundle.write_bytes(before)


def test_tls_is_needed_and_its_files(tmp_path: Path) -> None:
    authority = Authority("mesh")
    (tmp_path / "mesh.bundle").write_bytes(authority.pem)
    mesh = TrustDomain(name="mesh", trust_domain="mesh.example", bundle_file=str(tmp_path / "mesh.bundle"))
    assert make_tls(ApiSettings(), TrustDomains(())) is None
    with pytest.raises(ConfigError, match=r"api\.tls_certificate"):
        make_tls(ApiSettings(), TrustDomains([mesh]))
    with pytest.raises(ConfigError, match=r"api\.tls_certificate"):
        make_tls(ApiSettings(tls_certificate=str(tmp_path / "nowhere")), TrustDomains(()))
    certificate, key = authority.issue(dns=["api"]).write(tmp_path, "api")
    plain = make_tls(ApiSettings(tls_certificate=certificate, tls_key=key), TrustDomains(()))
    assert plain is not None and plain.verify_mode is ssl.CERT_NONE


def test_a_client_that_never_ends_its_handshake_holds_nobody_up(running: Mesh) -> None:
    with socket.create_connection(("127.0.0.1", running.api.port)) as stuck:
        stuck.sendall(b"\x16\x03\x01\x02\x00\x01")
        started = time.monotonic()
        assert document_of(running.ask(running.mesh.issue(EXECUTOR), **OWN, client_id=EXECUTOR))
        assert time.monotonic() - started < 60
