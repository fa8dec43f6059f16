"""Deciding over the API, with a real proxy, masking processor, database and sign-in: who may, and who wins."""

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from console.remote import Login as SignedIn
from console.remote import write_login
from deploy.embedded.registration import register as register_keys
from schemas.config import find_settings
from schemas.runtime import Home
from tests.console.conftest import Run
from tests.ingest.test_held_sessions import Asked, Client
from tests.ingest.test_postgres import register
from tests.processors.pipeline import Log
from tests.support.api import Api, connect_to, document_of, oidc_settings, run_api
from tests.support.approvals import HOLDS, events_of, policy_in_force
from tests.support.kafka import Kafka
from tests.support.oidc_provider import OidcProvider
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, issue_credential, run_proxy
from tests.support.store import Store

CEDAR = HOLDS.replace(
    '@id("short")',
    '@id("dual") @approval("two; approvers=2") permit (principal, action == Action::"delete", resource in '
    'Label::"people=two");\n@id("short")',
)
CARD = "4111 1111 1111 1111"


@dataclass
class Office:
    """A proxy whose deletions wait, the API, and people who have signed in."""

    api: Api
    proxy: Proxy
    server: Postgres
    login: Login
    tokens: dict[str, str]
    clients: list[Client] = field(default_factory=list)

    def client(self, name: str, **settings: Any) -> Client:
        client = Client(register(self.proxy, self.server, name, **settings), self.login)
        self.clients.append(client)
        client.connection.execute("CREATE TABLE t AS SELECT generate_series(1, 9) AS a")
        return client

    def ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        with httpx.Client(timeout=60, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {self.tokens[who]}"}
            return client.request(method, f"{self.api.url}/v1/approvals{path}", headers=headers, **options)

    def held(self, resource: str) -> dict[str, Any]:
        """The one action that waits on a resource."""
        deadline = time.monotonic() + 60
        while True:
            waiting = document_of(self.ask("bob", "GET", ""))["approvals"]
            if found := [each for each in waiting if each["resource"] == resource]:
                (held,) = found
                return dict(held)
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def decide_at_once(self, id: str, *people: str) -> list[httpx.Response]:
        """All of them approve, each in a thread of their own."""
        answers: list[httpx.Response] = []
        barrier = threading.Barrier(len(people))

        def run(who: str) -> None:
            barrier.wait(30)
            answers.append(self.ask(who, "POST", f"/{id}/approve", json={}))

        threads = [threading.Thread(target=run, args=(who,)) for who in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return sorted(answers, key=lambda answer: answer.status_code)


@pytest.fixture(scope="module")
def office(
    secrets_home: Home,
    tmp_path_factory: pytest.TempPathFactory,
    kafka: Kafka,
    filled_store: Store,
    shared_provider: OidcProvider,
    postgres_server: Postgres,
) -> Iterator[Office]:
    kafka.reset_topics()
    home = Home(tmp_path_factory.mktemp("office") / "home")
    shutil.copytree(secrets_home.root, home.root)
    oidc = oidc_settings(shared_provider, roles={"approver": ["leads"]})
    connect_to(home, kafka, filled_store, identity={"oidc": oidc})
    register_keys(find_settings(home), home)
    log = Log(kafka, home)
    try:
        log.start("mask")
        with run_proxy(home) as proxy, policy_in_force(proxy, CEDAR), run_api(home) as api:
            login = issue_credential(home, proxy.writer, "office-agent")
            tokens = {name: sign_in(api, shared_provider, name) for name in ("ann", "bob", "eve")}
            yield Office(api, proxy, postgres_server, login, tokens)
    finally:
        log.close()


@pytest.fixture(autouse=True)
def closed(office: Office) -> Iterator[None]:
    yield
    while office.clients:
        office.clients.pop().connection.close()


def sign_in(api: Api, provider: OidcProvider, name: str) -> str:
    token = provider.id_token(sub=name, email=f"{name}@example.test", groups=["leads"])
    return str(document_of(api.ask("POST", "/v1/sign-in", json={"id_token": token}))["token"])


def decided(office: Office, resource: str) -> list[tuple[str, str]]:
    found = events_of(office.proxy, resource, "approval.decided")
    return [(event.status, event.attributes.get("approval.approver", "")) for event in found]


def rows(client: Client) -> int:
    row = client.connection.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


def finish(asked: Asked) -> None:
    asked.wait()
    assert asked.error is None


def test_an_approver_sees_what_waits_masked_and_lets_it_go_on(office: Office) -> None:
    client = office.client("office-once")
    asked = client.execute("DELETE FROM t WHERE a = 2 AND %s <> ''", CARD)
    held = office.held("office-once")
    id = held["approval_id"]
    assert (held["principal"], held["agent"], held["reason"]) == ("ann@example.test", "planner/1.0", "deletions wait")
    shown = office.ask("bob", "GET", f"/{id}")
    assert document_of(shown)["past"] is not None
    assert "payment_card" in shown.text and "4111" not in shown.text

    own = office.ask("ann", "POST", f"/{id}/approve", json={})
    assert (own.status_code, own.json()["type"]) == (409, "urn:custody:problem:decision-refused")
    assert "of their own" in own.json()["detail"]
    assert office.ask("ann", "POST", f"/{id}/approve", json={"approver": "bob@example.test"}).status_code == 422
    assert asked.is_alive()

    done = document_of(office.ask("bob", "POST", f"/{id}/approve", json={"reason": "ticket 7"}))
    assert (done["status"], done["delay_us"] > 0) == ("approved", True)
    finish(asked)
    assert rows(client) == 8
    assert decided(office, "office-once") == [("refused", "ann@example.test"), ("approved", "bob@example.test")]
    context, events = office.api.recorded("approvals.approve")[-1]
    assert (context.principal, events[1].statement) == ("bob@example.test", f"POST /v1/approvals/{id}/approve")
    assert events[1].attributes["reason"] == "ticket 7" and events[2].status == "200"


def test_two_people_at_once_one_wins_and_the_other_is_told(office: Office) -> None:
    client = office.client("office-race")
    for _ in range(3):
        asked = client.execute("DELETE FROM t WHERE a = (SELECT min(a) FROM t)")
        before = approvals_on(office, "office-race")
        id = office.held("office-race")["approval_id"]
        won, lost = office.decide_at_once(id, "bob", "eve")
        assert (won.status_code, lost.status_code) == (200, 409), (won.text, lost.text)
        assert lost.json()["type"] == "urn:custody:problem:decided-already"
        finish(asked)
        assert approvals_on(office, "office-race") - before == 1
    assert rows(client) == 6


def approvals_on(office: Office, resource: str) -> int:
    """How often something was approved there."""
    return [status for status, _ in decided(office, resource)].count("approved")


def test_a_double_click_decides_once(office: Office) -> None:
    client = office.client("office-click")
    asked = client.execute("DELETE FROM t WHERE a = 1")
    id = office.held("office-click")["approval_id"]
    answers = office.decide_at_once(id, "bob", "bob", "bob")
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert all("decided-already" in answer.text for answer in answers[1:])
    finish(asked)
    assert approvals_on(office, "office-click") == 1 and rows(client) == 8


def test_after_a_denial_or_the_time_limit_nothing_can_be_approved(office: Office) -> None:
    client = office.client("office-late")
    asked = client.execute("DELETE FROM t")
    id = office.held("office-late")["approval_id"]
    assert office.ask("bob", "POST", f"/{id}/deny", json={}).status_code == 422
    assert document_of(office.ask("bob", "POST", f"/{id}/deny", json={"reason": "not now"}))["status"] == "denied"
    late = office.ask("eve", "POST", f"/{id}/approve", json={})
    assert (late.status_code, late.json()["detail"]) == (409, f"approval {id} is over: denied by bob@example.test")
    asked.wait()
    assert "denied by bob@example.test: not now" in str(asked.error)

    short = office.client("office-timeout", labels={"wait": "short"})
    asked = short.execute("DELETE FROM t")
    asked.wait()
    assert "nobody has decided within 1 s" in str(asked.error)
    (event,) = events_of(office.proxy, "office-timeout", "approval.requested")
    path = f"/{event.attributes['approval.id']}"
    deadline = time.monotonic() + 60
    while (late := office.ask("eve", "POST", f"{path}/approve", json={})).status_code == 404:
        assert time.monotonic() < deadline  # masking has not come so far
        time.sleep(0.1)
    assert late.status_code == 409 and "timeout" in late.text
    assert office.ask("eve", "GET", path).status_code == 409
    assert rows(short) == 9 and rows(client) == 9


def test_two_are_two_and_a_shape_is_for_a_time(office: Office) -> None:
    client = office.client("office-dual", labels={"people": "two"})
    asked = client.execute("DELETE FROM t WHERE a = 1")
    id = office.held("office-dual")["approval_id"]
    first = document_of(office.ask("bob", "POST", f"/{id}/approve", json={"minutes": 5}))
    assert (first["status"], first["told"]) == ("counted", "1 of 2")
    assert office.held("office-dual")["approved_by"] == ["bob@example.test"]
    again = office.ask("bob", "POST", f"/{id}/approve", json={"minutes": 5})
    assert (again.status_code, "approved it already" in again.text) == (409, True)
    assert asked.is_alive()
    assert document_of(office.ask("eve", "POST", f"/{id}/approve", json={"minutes": 5}))["status"] == "approved"
    finish(asked)
    client.connection.execute("DELETE FROM t WHERE a = 2")  # does not wait
    assert rows(client) == 7
    assert office.ask("bob", "POST", f"/{id}/approve", json={"minutes": 5000}).status_code == 422


def test_what_is_not_there_is_not_found(office: Office) -> None:
    assert office.ask("bob", "GET", "/feedfacecafe").status_code == 404
    for path, body in (("/feedfacecafe/approve", {}), ("/feedfacecafe/deny", {"reason": "x"})):
        assert office.ask("bob", "POST", path, json=body).status_code == 404


def test_the_command_of_who_is_signed_in_asks_the_api(office: Office, bare_home: Home, custody: Run) -> None:
    """No key and no password of the installation is at hand: the login is all there is."""
    shutil.rmtree(bare_home.secrets)
    write_login(bare_home, SignedIn(office.api.url, office.tokens["bob"], "bob@example.test", 1 << 60))
    client = office.client("office-command")
    asked = client.execute("DELETE FROM t WHERE a = 4")
    id = office.held("office-command")["approval_id"]
    shown = custody("approvals", "list")
    assert shown.code == 0 and "planner/1.0 for ann@example.test" in shown.out and "last day:" in shown.out
    other = custody("approvals", "approve", id, "--as", "eve@example.test")
    assert (other.code, "signed in as bob@example.test" in other.err) == (2, True)
    done = custody("approvals", "approve", id[:5], "--reason", "fine")
    assert (done.code, done.out.startswith(f"{id} approved after")) == (0, True), done.err
    finish(asked)
    late = custody("approvals", "deny", id, "--reason", "too late")
    assert (late.code, "is over: approved by bob@example.test" in late.out) == (1, True)
    stopped = custody("quarantine", "add", "agent", "office wild/1", "--reason", "wild", "--json")
    assert stopped.code == 0 and '"by": "bob@example.test"' in stopped.out
    assert custody("quarantine", "lift", "agent", "office wild/1").code == 0
    assert custody("quarantine", "lift", "agent", "office wild/1").code == 2
