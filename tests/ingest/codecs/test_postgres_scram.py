"""SCRAM against the example of RFC 7677, both roles against each other, and md5."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.postgres_scram import (
    PLAIN,
    PLUS,
    AuthenticationError,
    ScramClient,
    ScramServer,
    derive_secret,
    md5_hash,
    md5_response,
    saslprep,
)

# RFC 7677 §3: user "user", password "pencil"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE, SERVER_NONCE = "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
END_POINT = b"e" * 32


def make_server(password: str = "pencil", mechanism: str = PLAIN, end_point: bytes | None = None) -> ScramServer:
    secret = derive_secret(password, SALT)
    return ScramServer(mechanism, secret, SERVER_NONCE, is_genuine=True, end_point=end_point)


def make_client(password: str = "pencil", mechanism: str = PLAIN, end_point: bytes | None = None) -> ScramClient:
    return ScramClient(
        mechanism, password, CLIENT_NONCE, end_point=end_point, is_tls=end_point is not None, user="user"
    )


def test_the_server_of_rfc_7677() -> None:
    server = make_server()
    assert server.first(CLIENT_FIRST) == SERVER_FIRST
    assert server.final(CLIENT_FINAL) == SERVER_FINAL


def test_the_client_of_rfc_7677() -> None:
    client = make_client()
    assert client.first() == CLIENT_FIRST
    assert client.final(SERVER_FIRST) == CLIENT_FINAL
    client.verify(SERVER_FINAL)


@pytest.mark.parametrize(
    ("mechanism", "offered", "end_point"), [(PLAIN, None, None), (PLUS, END_POINT, END_POINT), (PLAIN, None, END_POINT)]
)
def test_both_roles_agree(mechanism: str, offered: bytes | None, end_point: bytes | None) -> None:
    """The last case is a client that could bind and a server that did not offer it: flag y."""
    server, client = make_server("pässword", mechanism, offered), make_client("pässword", mechanism, end_point)
    client.verify(server.final(client.final(server.first(client.first()))))


def test_a_wrong_password_fails() -> None:
    server, client = make_server("right"), make_client("wrong")
    with pytest.raises(AuthenticationError, match="wrong password") as caught:
        server.final(client.final(server.first(client.first())))
    assert not caught.value.is_protocol


def test_an_exchange_that_is_not_genuine_fails_even_with_the_right_proof() -> None:
    server = ScramServer(PLAIN, derive_secret("pencil", SALT), SERVER_NONCE, is_genuine=False, end_point=None)
    server.first(CLIENT_FIRST)
    with pytest.raises(AuthenticationError, match="wrong password"):
        server.final(CLIENT_FINAL)


def test_a_downgrade_is_seen() -> None:
    """The server offered to bind and the client says that it did not."""
    with pytest.raises(AuthenticationError, match="negotiation"):
        make_server(end_point=END_POINT).first(b"y,,n=user,r=abc")


def test_another_channel_is_seen() -> None:
    server, client = make_server("p", PLUS, b"a" * 32), make_client("p", PLUS, b"b" * 32)
    with pytest.raises(AuthenticationError, match="binding"):
        server.final(client.final(server.first(client.first())))


def test_an_upstream_without_the_password_is_seen() -> None:
    client = make_client()
    client.first()
    client.final(SERVER_FIRST)
    with pytest.raises(AuthenticationError, match="signature"):
        client.verify(b"v=" + base64.b64encode(b"x" * 32))


@pytest.mark.parametrize(
    "first",
    [
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        SERVER_FIRST.replace(b"4096", b"99999999"),
        SERVER_FIRST.replace(b"4096", b"0"),
        SERVER_FIRST.replace(b"4096", b"x"),
        SERVER_FIRST.replace(b"W22", b"!!"),
        b"",
        b"\xff",
    ],
)
def test_a_bad_server_first_message_is_an_error(first: bytes) -> None:
    client = make_client()
    client.first()
    with pytest.raises(AuthenticationError):
        client.final(first)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_message_raises_anything_else(first: bytes, final: bytes) -> None:
    server = make_server()
    with pytest.raises(AuthenticationError):
        server.first(first)
        server.final(final)


@given(st.integers(0, len(CLIENT_FINAL) - 1), st.integers(0, 255))
def test_a_changed_final_message_fails(place: int, value: int) -> None:
    server = make_server()
    server.first(CLIENT_FIRST)
    data = CLIENT_FINAL[:place] + bytes((value,)) + CLIENT_FINAL[place + 1 :]
    if data != CLIENT_FINAL:
        with pytest.raises(AuthenticationError):
            server.final(data)


@pytest.mark.parametrize(
    ("given_text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007é", "\u0007é"),
        ("\u0627\u0031é", "\u0627\u0031é"),
    ],
)
def test_saslprep(given_text: str, prepared: str) -> None:
    """RFC 4013 §3; what it refuses stays as it is, as in PostgreSQL."""
    assert saslprep(given_text) == prepared


def test_md5() -> None:
    assert md5_hash("pencil", "user") == "20c46e3762c864548e296b33c3406aa9"
    assert md5_response(md5_hash("a", "b"), b"salt") != md5_response(md5_hash("a", "b"), b"tlas")


def test_no_secret_in_a_repr() -> None:
    secret = derive_secret("pencil", SALT)
    assert repr(secret.stored_key) not in repr(secret)
    assert "pencil" not in repr(make_client()) + repr(make_server())
