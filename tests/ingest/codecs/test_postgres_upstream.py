"""The upstream's leg of the start-up: by script, and against a real server."""

import socket
import ssl
import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs.base import Side
from ingest.codecs.postgres_scram import PLAIN, ScramServer, derive_secret, md5_hash, md5_response
from ingest.codecs.postgres_startup import SendTo, StartTls, StartupFailed, StartupStep, UpstreamReady
from ingest.codecs.postgres_upstream import UpstreamLogin, UpstreamStartup
from ingest.codecs.postgres_wire import PROTOCOL_3_0, PROTOCOL_3_2, CancelKey
from tests.ingest.codecs.postgres_messages import error, message, notice, ready
from tests.support.postgres import Postgres

OK = message("R", struct.pack("!I", 0))
KEY = message("K", struct.pack("!I", 9) + b"real")
SETTING = message("S", b"client_encoding\0UTF8\0")


def login(**changes: object) -> UpstreamLogin:
    given_login: dict[str, object] = {
        "user": "admin",
        "database": "db",
        "nonce": "client-nonce",
        "agent_key": CancelKey(7, b"k" * 32),
        "password": "secret",
        "tls": "disable",
    }
    return UpstreamLogin(**(given_login | changes))  # type: ignore[arg-type]


def begin(**changes: object) -> UpstreamStartup:
    leg = UpstreamStartup(login(**changes))
    leg.begin()
    return leg


def feed(leg: UpstreamStartup, data: bytes) -> list[StartupStep]:
    leg.receive(data)
    return leg.steps()


def sent(steps: list[StartupStep], side: Side) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, SendTo) and step.side is side)


def test_the_startup_packet_names_the_upstreams_user_and_the_agents_settings() -> None:
    leg = UpstreamStartup(login(parameters={"application_name": "psql", "_pq_.x": "1", "user": "agent"}))
    (step,) = leg.begin()
    assert isinstance(step, SendTo)
    body = struct.pack("!I", PROTOCOL_3_0) + b"user\0admin\0database\0db\0application_name\0psql\0\0"
    assert step.data == struct.pack("!I", len(body) + 4) + body


@pytest.mark.parametrize(("protocol", "size"), [(PROTOCOL_3_0, 4), (PROTOCOL_3_2, 32)])
def test_what_the_agent_is_told_carries_the_proxys_cancel_key(protocol: int, size: int) -> None:
    leg = begin(agent_protocol=protocol)
    steps = feed(leg, OK + SETTING + notice("hello") + KEY + ready())
    key = message("K", struct.pack("!I", 7) + b"k" * size)
    assert sent(steps, Side.AGENT) == SETTING + notice("hello") + key + ready()
    assert steps[-1] == UpstreamReady(
        {"client_encoding": "UTF8"}, CancelKey(9, b"real"), CancelKey(7, b"k" * size), ord("I"), PROTOCOL_3_0
    )


def test_it_works_byte_by_byte() -> None:
    leg = begin()
    steps = [step for byte in OK + SETTING + KEY + ready() for step in feed(leg, bytes((byte,)))]
    assert isinstance(steps[-1], UpstreamReady)


def test_md5() -> None:
    leg = begin()
    steps = feed(leg, message("R", struct.pack("!I", 5) + b"salt"))
    answer = md5_response(md5_hash("secret", "admin"), b"salt") + b"\0"
    assert sent(steps, Side.UPSTREAM) == message("p", answer)


def test_cleartext_only_over_tls() -> None:
    request = message("R", struct.pack("!I", 3))
    assert isinstance(feed(begin(), request)[-1], StartupFailed)
    assert sent(feed(begin(is_cleartext_allowed=True), request), Side.UPSTREAM) == message("p", b"secret\0")
    leg = begin(tls="require")
    feed(leg, b"S")
    leg.tls_started()
    leg.steps()
    assert sent(feed(leg, request), Side.UPSTREAM) == message("p", b"secret\0")


def _scram(leg: UpstreamStartup, server: ScramServer) -> list[StartupStep]:
    first = sent(feed(leg, message("R", struct.pack("!I", 10) + PLAIN.encode() + b"\0\0")), Side.UPSTREAM)
    answer = server.first(first[5 + len(PLAIN) + 1 + 4 :])
    final = sent(feed(leg, message("R", struct.pack("!I", 11) + answer)), Side.UPSTREAM)
    return feed(leg, message("R", struct.pack("!I", 12) + server.final(final[5:])) + OK + ready())


def test_scram() -> None:
    secret = derive_secret("secret", b"s" * 16)
    server = ScramServer(PLAIN, secret, "nonce", is_genuine=True, end_point=None)
    assert isinstance(_scram(begin(), server)[-1], UpstreamReady)


def test_an_upstream_that_skips_its_proof_is_not_believed() -> None:
    leg = begin()
    feed(leg, message("R", struct.pack("!I", 10) + PLAIN.encode() + b"\0\0"))
    steps = feed(leg, OK + ready())
    assert isinstance(steps[-1], StartupFailed)


@pytest.mark.parametrize("answer", [b"N", b"E", b"S" + OK, b"N" + OK])
def test_an_upstream_without_tls_is_refused_where_the_resource_requires_it(answer: bytes) -> None:
    steps = feed(begin(tls="require"), answer)
    assert isinstance(steps[-1], StartupFailed)
    assert not sent(steps, Side.UPSTREAM)


def test_tls_preferred_goes_on_without() -> None:
    leg = begin(tls="prefer")
    assert b"admin" in sent(feed(leg, b"N"), Side.UPSTREAM)
    assert isinstance(feed(leg, OK + ready())[-1], UpstreamReady)


def test_tls_is_started_when_offered() -> None:
    leg = begin(tls="prefer")
    assert feed(leg, b"S") == [StartTls(Side.UPSTREAM)]
    leg.tls_started()
    assert b"admin" in sent(leg.steps(), Side.UPSTREAM)


def test_errors_of_the_upstream_reach_the_agent_but_not_its_users_name() -> None:
    refused = feed(begin(), OK + error("3D000", 'database "x" does not exist', "FATAL"))
    assert refused[-1] == StartupFailed("3D000", 'database "x" does not exist')
    assert b'database "x" does not exist' in sent(refused, Side.AGENT)
    login_failed = feed(begin(), error("28P01", 'password authentication failed for user "admin"', "FATAL"))
    assert isinstance(login_failed[-1], StartupFailed) and login_failed[-1].sqlstate == "08004"
    assert b"admin" not in sent(login_failed, Side.AGENT)


def test_an_upstream_that_leaves() -> None:
    leg = begin()
    leg.receive_eof()
    assert isinstance(leg.steps()[-1], StartupFailed)


def test_bytes_behind_the_start_up_are_kept_for_the_codec() -> None:
    leg = begin()
    feed(leg, OK + ready() + notice("early"))
    assert leg.unread() == notice("early")


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=5), st.sampled_from(["disable", "prefer", "require"]))
def test_random_bytes_never_raise(chunks: list[bytes], tls: str) -> None:
    leg = begin(tls=tls)
    for chunk in chunks:
        if StartTls(Side.UPSTREAM) in feed(leg, chunk):
            leg.tls_started(b"e" * 32)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from("REKSvNZ"), st.binary(max_size=20)), max_size=8))
def test_random_messages_never_raise(messages: list[tuple[str, bytes]]) -> None:
    leg = begin()
    for kind, body in messages:
        feed(leg, message(kind, body))


# the real server


def drive(given_login: UpstreamLogin, postgres: Postgres) -> StartupStep:
    """Log in over a real socket; the last step."""
    connection = socket.create_connection((postgres.host, postgres.port), timeout=20)
    leg = UpstreamStartup(given_login)
    steps = leg.begin()
    try:
        while True:
            for step in steps:
                match step:
                    case SendTo(side=Side.UPSTREAM, data=data):
                        connection.sendall(data)
                    case StartTls():
                        context = ssl.create_default_context(cafile=str(postgres.ca_file))
                        connection = context.wrap_socket(connection, server_hostname=postgres.host)
                        shown = connection.getpeercert(binary_form=True)
                        assert shown is not None
                        leg.tls_started(x509.load_der_x509_certificate(shown).fingerprint(hashes.SHA256()))
                    case UpstreamReady() | StartupFailed():
                        return step
            steps = leg.steps()
            if not steps:
                data = connection.recv(65_536)
                leg.receive(data) if data else leg.receive_eof()
                steps = leg.steps()
    finally:
        connection.close()


@pytest.mark.parametrize("tls", ["disable", "require"])
@pytest.mark.parametrize("protocol", [PROTOCOL_3_0, PROTOCOL_3_2])
@pytest.mark.parametrize("is_md5", [False, True])
def test_a_real_server_takes_the_login(postgres_server: Postgres, tls: str, protocol: int, is_md5: bool) -> None:
    """SCRAM (with channel binding over TLS) and md5."""
    user = postgres_server.md5_user if is_md5 else postgres_server.user
    given_login = login(
        user=user,
        database=postgres_server.database,
        password=postgres_server.password,
        tls=tls,
        protocol=protocol,
        agent_protocol=PROTOCOL_3_2,
    )
    last = drive(given_login, postgres_server)
    assert isinstance(last, UpstreamReady), last
    assert last.key is not None and last.parameters["client_encoding"] == "UTF8"
    assert len(last.key.secret) == (32 if last.protocol == PROTOCOL_3_2 else 4)


def test_a_real_server_refuses_a_wrong_password(postgres_server: Postgres) -> None:
    given_login = login(user=postgres_server.user, database=postgres_server.database, password="wrong")
    last = drive(given_login, postgres_server)
    assert isinstance(last, StartupFailed) and last.sqlstate == "08004"


def test_no_secret_in_a_repr() -> None:
    text = repr(login())
    assert "secret'" not in text.replace("secret=", "") and "client-nonce" not in text and "kkkk" not in text
