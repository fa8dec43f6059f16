"""The agent's leg of the start-up."""

import base64
import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs.base import Side
from ingest.codecs.postgres_scram import PLAIN, PLUS, ScramClient, derive_secret, md5_hash, md5_response
from ingest.codecs.postgres_startup import (
    AgentStartup,
    AgentTerms,
    Authenticated,
    CancelRequested,
    CredentialNeeded,
    Md5Hash,
    Password,
    Proven,
    SendTo,
    StartTls,
    StartupFailed,
    StartupStep,
)
from ingest.codecs.postgres_wire import PROTOCOL_3_0, PROTOCOL_3_2, CancelKey

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)
END_POINT = hashlib.sha256(b"certificate").digest()


def terms(**changes: object) -> AgentTerms:
    given_terms = {"nonce": "server-nonce", "md5_salt": b"salt", "salt_key": b"key"} | changes
    return AgentTerms(**given_terms)  # type: ignore[arg-type]


def packet(version: int = PROTOCOL_3_0, **parameters: str) -> bytes:
    pairs = "".join(f"{name}\0{value}\0" for name, value in parameters.items())
    body = struct.pack("!I", version) + pairs.encode() + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def password(body: bytes) -> bytes:
    return b"p" + struct.pack("!I", len(body) + 4) + body


def sent(steps: list[StartupStep]) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, SendTo))


def feed(leg: AgentStartup, data: bytes) -> list[StartupStep]:
    leg.receive(data)
    return leg.steps()


def begin(leg: AgentStartup, credential: object, user: str = "ann") -> bytes:
    """Up to the authentication request, which is given back."""
    (step,) = feed(leg, packet(user=user, database="db", application_name="psql"))
    assert step == CredentialNeeded(user, "db", {"application_name": "psql"})
    leg.provide(credential)  # type: ignore[arg-type]
    return sent(leg.steps())


def scram(leg: AgentStartup, secret: str, mechanism: str = PLAIN, end_point: bytes | None = None) -> list[StartupStep]:
    client = ScramClient(mechanism, secret, "client-nonce", end_point=end_point, is_tls=end_point is not None)
    first = client.first()
    answer = sent(feed(leg, password(mechanism.encode() + b"\0" + struct.pack("!I", len(first)) + first)))
    steps = feed(leg, password(client.final(answer[9:])))
    if isinstance(steps[-1], Authenticated):
        final = sent(steps)
        client.verify(final[9 : 1 + struct.unpack_from("!I", final, 1)[0]])
    return steps


@pytest.mark.parametrize("credential", [Password("secret"), derive_secret("secret", b"salt" * 4)])
def test_scram_with_the_right_password(credential: object) -> None:
    leg = AgentStartup(terms())
    assert begin(leg, credential) == b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
    steps = scram(leg, "secret")
    assert steps[-1] == Authenticated("ann", "db", {"application_name": "psql"}, PROTOCOL_3_0, "scram-sha-256")
    assert sent(steps).endswith(b"R\0\0\0\x08\0\0\0\0")
    assert leg.is_done


@pytest.mark.parametrize("credential", [Password("secret"), None])
def test_a_wrong_password_and_an_unknown_user_look_the_same(credential: object) -> None:
    leg = AgentStartup(terms())
    begin(leg, credential)
    steps = scram(leg, "wrong")
    assert steps[-1] == StartupFailed("28P01", 'password authentication failed for user "ann"')
    assert b"C28P01" in sent(steps) and b"SFATAL" in sent(steps)


def test_the_salt_of_a_user_is_the_same_whether_known_or_not() -> None:
    salts = set()
    for credential in (Password("secret"), None, Password("other")):
        leg = AgentStartup(terms())
        begin(leg, credential)
        first = b"n,,n=,r=abc"
        answer = sent(feed(leg, password(PLAIN.encode() + b"\0" + struct.pack("!I", len(first)) + first)))
        salts.add(answer.split(b",s=")[1])
    assert len(salts) == 1


def test_channel_binding_when_the_relay_offers_it() -> None:
    leg = AgentStartup(terms(has_tls=True))
    assert feed(leg, SSL_REQUEST) == [SendTo(Side.AGENT, b"S"), StartTls(Side.AGENT)]
    leg.tls_started(END_POINT)
    assert b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0" in begin(leg, Password("secret"))
    assert isinstance(scram(leg, "secret", PLUS, END_POINT)[-1], Authenticated)


def test_a_client_that_prefers_channel_binding_is_fine_without_the_offer() -> None:
    leg = AgentStartup(terms(has_tls=True))
    feed(leg, SSL_REQUEST)
    leg.tls_started(None)
    begin(leg, Password("secret"))
    assert isinstance(scram(leg, "secret", PLAIN, END_POINT)[-1], Authenticated)


def test_a_mechanism_that_was_not_offered_is_refused() -> None:
    leg = AgentStartup(terms())
    begin(leg, Password("secret"))
    steps = feed(leg, password(b"SCRAM-SHA-256-PLUS\0\0\0\0\0"))
    assert isinstance(steps[-1], StartupFailed) and steps[-1].sqlstate == "08P01"


@pytest.mark.parametrize(
    ("credential", "given_password", "is_right"),
    [
        (Password("secret"), "secret", True),
        (Md5Hash(md5_hash("secret", "ann")), "secret", True),
        (Password("secret"), "wrong", False),
        (None, "secret", False),
        (None, "", False),
    ],
)
def test_md5(credential: object, given_password: str, is_right: bool) -> None:
    leg = AgentStartup(terms(method="md5"))
    assert begin(leg, credential) == b"R\0\0\0\x0c\0\0\0\x05salt"
    steps = feed(leg, password(md5_response(md5_hash(given_password, "ann"), b"salt") + b"\0"))
    last = steps[-1]
    assert isinstance(last, Authenticated) is is_right
    assert isinstance(last, StartupFailed) is not is_right


@pytest.mark.parametrize("method", ["md5", "scram-sha-256"])
def test_who_has_proven_it_already_is_asked_for_no_password(method: str) -> None:
    leg = AgentStartup(terms(method=method))
    (step,) = feed(leg, packet(user="ann", database="db"))
    assert isinstance(step, CredentialNeeded)
    leg.provide(Proven())
    ok, last = leg.steps()
    assert ok == SendTo(Side.AGENT, b"R\0\0\0\x08\0\0\0\0")
    assert isinstance(last, Authenticated) and (last.user, last.method) == ("ann", "certificate")
    leg.receive(password(b"x\0"))
    assert leg.steps() == [] and leg.unread() == password(b"x\0")


def test_requests_for_encryption_that_is_not_there_get_n() -> None:
    leg = AgentStartup(terms())
    assert feed(leg, GSS_REQUEST) == [SendTo(Side.AGENT, b"N")]
    assert feed(leg, SSL_REQUEST) == [SendTo(Side.AGENT, b"N")]
    assert isinstance(feed(leg, packet(user="ann"))[0], CredentialNeeded)


def test_plaintext_behind_an_ssl_request_is_refused() -> None:
    leg = AgentStartup(terms(has_tls=True))
    steps = feed(leg, SSL_REQUEST + packet(user="ann"))
    assert isinstance(steps[-1], StartupFailed)
    assert not any(isinstance(step, StartTls) for step in steps)


def test_direct_tls_needs_its_alpn() -> None:
    hello = b"\x16\x03\x01\x00\x05hello"
    for alpn, is_fine in (("postgresql", True), (None, False), ("h2", False)):
        leg = AgentStartup(terms(has_tls=True))
        assert feed(leg, hello) == [StartTls(Side.AGENT, is_direct=True, unread=hello)]
        leg.tls_started(None, alpn)
        steps = leg.steps() + feed(leg, packet(user="ann"))
        assert isinstance(steps[-1], CredentialNeeded) is is_fine


def test_tls_may_be_demanded() -> None:
    steps = feed(AgentStartup(terms(has_tls=True, is_tls_required=True)), packet(user="ann"))
    assert isinstance(steps[-1], StartupFailed) and steps[-1].sqlstate == "28000"


@pytest.mark.parametrize("secret", [b"abcd", b"k" * 32, b"k" * 256])
def test_a_cancel_request(secret: bytes) -> None:
    data = struct.pack("!III", 12 + len(secret), 80877102, 77) + secret
    assert feed(AgentStartup(terms()), data) == [CancelRequested(CancelKey(77, secret))]


@pytest.mark.parametrize(
    ("asked", "agreed", "declined"),
    [
        (PROTOCOL_3_0, PROTOCOL_3_0, []),
        (PROTOCOL_3_2, PROTOCOL_3_2, []),
        (0x0003_270F, PROTOCOL_3_2, []),
        (PROTOCOL_3_0, PROTOCOL_3_0, ["_pq_.one", "_pq_.two"]),
    ],
)
def test_version_negotiation(asked: int, agreed: int, declined: list[str]) -> None:
    leg = AgentStartup(terms(method="md5"))
    steps = feed(leg, packet(asked, user="ann", **dict.fromkeys(declined, "x")))
    if asked > PROTOCOL_3_2 or declined:
        names = b"".join(name.encode() + b"\0" for name in declined)
        assert sent(steps) == b"v" + struct.pack("!III", 12 + len(names), agreed, len(declined)) + names
    else:
        assert sent(steps) == b""
    leg.provide(Password("s"))
    leg.steps()
    (*_, last) = feed(leg, password(md5_response(md5_hash("s", "ann"), b"salt") + b"\0"))
    assert isinstance(last, Authenticated)
    assert (last.protocol, last.parameters, last.database) == (agreed, {}, "ann")


def test_another_major_version_is_refused() -> None:
    assert isinstance(feed(AgentStartup(terms()), packet(0x0002_0000, user="ann"))[-1], StartupFailed)


def test_bytes_behind_the_start_up_are_kept_for_the_codec() -> None:
    leg = AgentStartup(terms(method="md5"))
    begin(leg, Password("s"))
    feed(leg, password(md5_response(md5_hash("s", "ann"), b"salt") + b"\0") + b"early")
    assert leg.unread() == b"early"


def test_an_agent_that_leaves() -> None:
    leg = AgentStartup(terms())
    leg.receive_eof()
    assert isinstance(leg.steps()[-1], StartupFailed)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_random_bytes_never_raise(chunks: list[bytes], has_tls: bool) -> None:
    _survive(AgentStartup(terms(has_tls=has_tls)), chunks)


@settings(max_examples=300)
@given(st.data())
def test_changed_start_ups_never_raise(data: st.DataObject) -> None:
    first = b"n,,n=,r=abc"
    good = (
        packet(user="ann", database="db")
        + password(PLAIN.encode() + b"\0" + struct.pack("!I", len(first)) + first)
        + password(b"c=" + base64.b64encode(b"n,,") + b",r=abcserver-nonce,p=" + base64.b64encode(b"p" * 32))
    )
    place = data.draw(st.integers(0, len(good) - 1))
    changed = good[:place] + data.draw(st.binary(max_size=3)) + good[place + 1 :]
    size = data.draw(st.integers(1, len(changed)))
    _survive(AgentStartup(terms()), [changed[i : i + size] for i in range(0, len(changed), size)])


def _survive(leg: AgentStartup, chunks: list[bytes]) -> None:
    for chunk in chunks:
        leg.receive(chunk)
        for step in leg.steps():
            if isinstance(step, CredentialNeeded):
                leg.provide(None)
            elif isinstance(step, StartTls):
                leg.tls_started(None)
            assert not isinstance(step, Authenticated)
        leg.steps()


def test_no_secret_in_a_repr() -> None:
    text = repr(
        [terms(), Password("secret"), Md5Hash("secret"), CancelKey(1, b"secret"), SendTo(Side.AGENT, b"secret")]
    )
    assert "secret" not in text and "server-nonce" not in text
