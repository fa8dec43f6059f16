"""Credentials that do not count, on every protocol that takes one; how far a compromised agent gets with a valid one.

The proxies are processes, clients and servers are real ones.
"""

import base64
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from console.api.routes import ROUTES
from console.exchange import ACCESS_TOKEN, GRANT_TYPE
from schemas.events import ControlKind
from schemas.runtime import Home, now_us
from schemas.wire.mint import mint_secret
from tests.ingest.test_postgres import register, url
from tests.support.api import Api
from tests.support.homes import connect_home
from tests.support.http_api import HttpApi
from tests.support.kafka import Kafka
from tests.support.oidc_provider import OidcProvider
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, issue_credential, read_trails, run_proxy
from tests.support.store import Store

NONE = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
CASES = ("expired", "revoked", "other-resource", "wrong-secret", "longer", "unknown", "foreign-key", "unsigned", "jwt")


@dataclass
class Gateway:
    """Both proxies, with a resource `mine` and one that is not, of each protocol."""

    home: Home
    tcp: Proxy
    http: Proxy
    ports: dict[str, int]
    provider: OidcProvider
    upstream_port: int

    def issue(self, **settings: object) -> Login:
        return issue_credential(self.home, self.tcp.writer, "case", **settings)  # type: ignore[arg-type]

    def bad(self, case: str) -> Login:
        """A login that must not count for the resources of the tests."""
        good = self.issue()
        expires_at = now_us() + 600_000_000
        match case:
            case "expired":
                return self.issue(ttl_s=-1)
            case "revoked":
                self.tcp.writer.put(ControlKind.REVOCATION, good.id, {"reason": "lost"})
                return good
            case "other-resource":
                return self.issue(resources=("elsewhere",))
            case "wrong-secret":
                return Login(good.id, self.issue().secret)
            case "longer":
                return Login(good.id, mint_secret(self.home.read_key("mint.key"), good.id, expires_at + 10**12))
            case "unknown":
                return Login("nobody-1", mint_secret(self.home.read_key("mint.key"), "nobody-1", expires_at))
            case "foreign-key":
                return Login(good.id, mint_secret(b"x" * 32, good.id, expires_at))
            case "unsigned":
                return Login(good.id, f"{NONE}.e30.")
            case _:
                return Login(good.id, self.provider.id_token())


@pytest.fixture(scope="module")
def gateway(
    secrets_home: Home,
    tmp_path_factory: pytest.TempPathFactory,
    kafka: Kafka,
    postgres_server: Postgres,
    http_server: HttpApi,
    shared_provider: OidcProvider,
) -> Iterator[Gateway]:
    home = Home(tmp_path_factory.mktemp("refused") / "home")
    shutil.copytree(secrets_home.root, home.root)
    connect_home(home, kafka, ports={"http_proxy": 0})
    with run_proxy(home) as tcp, run_proxy(home, "ingest.http", "proxy-http") as http:
        upstream = {"host": "127.0.0.1", "port": http_server.port}
        ports = {
            "scram": register(tcp, postgres_server, "refused-scram"),
            "md5": register(tcp, postgres_server, "refused-md5", agent_login="md5"),
            "http": http.register("refused-http", "http", upstream).listen,
            "proxy": http.ports["http_proxy"],
        }
        yield Gateway(home, tcp, http, ports, shared_provider, http_server.port)


def refusal_of(gateway: Gateway, protocol: str, login: Login) -> str:
    """What a client is told that logs in so: SQLSTATE or status, and the challenge."""
    if protocol in ("scram", "md5"):
        try:
            psycopg.connect(url(gateway.ports[protocol], login)).close()
        except psycopg.OperationalError as error:
            return str(error)
        return "served"
    if protocol == "proxy":
        proxy = httpx.Proxy(f"http://127.0.0.1:{gateway.ports['proxy']}", auth=(login.id, login.secret))
        with httpx.Client(proxy=proxy) as client:
            answer = client.get(f"http://127.0.0.1:{gateway.upstream_port}/orders")
        return f"{answer.status_code} {answer.headers.get('proxy-authenticate', '')}"
    address = f"http://127.0.0.1:{gateway.ports['http']}/orders"
    if protocol == "basic":
        answer = httpx.get(address, auth=(login.id, login.secret))
    else:
        answer = httpx.get(address, headers={"Authorization": f"Bearer {login.id}.{login.secret}"})
    return f"{answer.status_code} {answer.headers.get('www-authenticate', '')}"


TOLD = {
    "scram": "password authentication failed",
    "md5": "password authentication failed",
    "bearer": "401 Bearer",
    "basic": "401 Bearer",
    "proxy": "407 Basic",
}


@pytest.mark.parametrize("protocol", TOLD)
@pytest.mark.parametrize("case", CASES)
def test_a_credential_that_does_not_count_is_refused_in_the_protocols_own_words(
    gateway: Gateway, protocol: str, case: str
) -> None:
    login = gateway.bad(case)
    deadline = time.monotonic() + (10.0 if case == "revoked" else 0.0)  # control tells the proxies of a revocation
    while TOLD[protocol] not in (told := refusal_of(gateway, protocol, login)):
        assert time.monotonic() < deadline, told


def test_what_was_refused_is_on_record_and_no_secret_is(gateway: Gateway) -> None:
    login = gateway.bad("other-resource")
    refusal_of(gateway, "scram", login)
    refusal_of(gateway, "bearer", login)
    gateway.tcp.wait_for(lambda: count_refused(gateway, "refused-scram") > 0)
    trails = read_trails(gateway.home, "refused-scram") + read_trails(gateway.home, "refused-http")
    assert login.secret not in repr(trails)
    assert not any(trail.of("action.requested") for trail in trails if trail.context.protocol == "postgres")


def count_refused(gateway: Gateway, resource: str) -> int:
    return sum(trail.events[-1].status == "login_refused" for trail in read_trails(gateway.home, resource))


@contextmanager
def tapped(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A port in front of another, and what its one client sends."""
    sent: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def relay() -> None:
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=pump, args=(server, client, []))
                back.start()
                pump(client, server, sent)
                back.join(30)

        thread = threading.Thread(target=relay)
        thread.start()
        yield listener.getsockname()[1], sent
        thread.join(30)


def pump(source: socket.socket, target: socket.socket, seen: list[bytes]) -> None:
    try:
        while data := source.recv(65_536):
            seen.append(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_login_that_was_listened_to_cannot_be_replayed(gateway: Gateway) -> None:
    login = gateway.issue()
    for protocol in ("scram", "md5"):
        with (
            tapped(gateway.ports[protocol]) as (port, sent),
            psycopg.connect(url(port, login, sslmode="disable"), autocommit=True) as connection,
        ):
            logged_in = len(sent)
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with socket.create_connection(("127.0.0.1", gateway.ports[protocol]), 30) as again:
            answers = b""
            for piece in sent[:logged_in]:
                again.sendall(piece)
                answers += again.recv(65_536)
            while piece := again.recv(65_536):
                answers += piece
        assert b"28P01" in answers or b"08P01" in answers, answers
        assert b"R\x00\x00\x00\x08\x00\x00\x00\x00" not in answers  # AuthenticationOk


def test_a_compromised_agent_reaches_what_it_was_given_and_nothing_else(
    gateway: Gateway, api: Api, kafka: Kafka, store: Store
) -> None:
    mine = gateway.issue(resources=("refused-scram",))
    with psycopg.connect(url(gateway.ports["scram"], mine)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    for protocol in ("md5", "bearer", "basic"):  # resources of others
        assert TOLD[protocol] in refusal_of(gateway, protocol, mine)
    check_no_way_through_the_proxy(gateway, mine, [gateway.upstream_port, api.port, store.port])
    check_the_api_is_closed(api, mine)
    check_kafka_is_closed(kafka, mine)
    check_the_store_is_closed(store, mine)


def check_no_way_through_the_proxy(gateway: Gateway, mine: Login, ports: list[int]) -> None:
    """Neither other resources nor the control plane, plain or by CONNECT."""
    proxy = httpx.Proxy(f"http://127.0.0.1:{gateway.ports['proxy']}", auth=(mine.id, mine.secret))
    with httpx.Client(proxy=proxy, verify=False) as client:
        for port in ports:
            assert client.get(f"http://127.0.0.1:{port}/").status_code in (403, 407)
            with pytest.raises(httpx.ProxyError):
                client.get(f"https://127.0.0.1:{port}/")


def check_the_api_is_closed(api: Api, mine: Login) -> None:
    for token in (f"{mine.id}.{mine.secret}", mine.secret):
        for route in ROUTES:
            if route.is_open:
                continue
            path = route.path.replace("{id}", mine.id).replace("{name}", "refused-http")
            assert api.ask(route.method, path, token=token).status_code == 401, route.operation
    widened = {
        "grant_type": GRANT_TYPE,
        "subject_token": f"{mine.id}.{mine.secret}",
        "subject_token_type": ACCESS_TOKEN,
        "audience": "refused-http",
    }
    assert api.ask("POST", "/token", data=widened).status_code == 400


def check_kafka_is_closed(kafka: Kafka, mine: Login) -> None:
    for security in (
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": mine.id,
         "sasl.password": mine.secret},
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "proxy",
         "sasl.password": mine.secret},
        {"security.protocol": "PLAINTEXT"},
    ):  # fmt: skip
        client = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0, **security})
        with pytest.raises(KafkaException):
            client.list_topics(timeout=2)


def check_the_store_is_closed(store: Store, mine: Login) -> None:
    for user in (mine.id, "reader", "writer", "default", ""):
        answer = httpx.post(store.url, content=b"SELECT 1", auth=(user, mine.secret))
        assert answer.status_code in (401, 403), user
    assert httpx.post(store.url, content=b"SELECT 1").status_code in (401, 403)
    bearer = {"Authorization": f"Bearer {mine.id}.{mine.secret}"}
    assert httpx.post(store.url, content=b"SELECT 1", headers=bearer).status_code in (401, 403)
