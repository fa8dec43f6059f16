"""Logins of the store."""

from base64 import b64encode

import pytest

from deploy.embedded.store_auth import Login, authenticate, find_login
from deploy.embedded.store_errors import QueryError
from deploy.embedded.store_roles import Role

PASSWORDS = {role: f"pw-{role}".encode() for role in Role}


def basic(text: bytes) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(text).decode()}


def test_where_a_login_is_found() -> None:
    assert find_login(basic(b"reader:a:b"), {}) == Login("reader", "a:b")
    assert find_login({"X-ClickHouse-User": "u", "X-ClickHouse-Key": "k"}, {"user": "v"}) == Login("u", "k")
    assert find_login({}, {"user": "u"}) == Login("u", "")
    assert find_login({}, {}) is None
    for header in ("Basic ???", "Basic", "Digest x", basic(b"\xff")["Authorization"]):
        assert find_login({"Authorization": header}, {"user": "reader"}) == Login("", "")


def test_only_the_right_password_gives_the_role() -> None:
    for role in Role:
        assert authenticate(Login(role, f"pw-{role}"), PASSWORDS) is role
    for login in (Login("reader", "pw-writer"), Login("default", ""), Login("", ""), Login("reader", "\udcff")):
        with pytest.raises(QueryError) as caught:
            authenticate(login, PASSWORDS)
        assert caught.value.code == 516
    with pytest.raises(QueryError) as caught:
        authenticate(None, PASSWORDS)
    assert caught.value.http_status == 401


def test_a_login_never_shows_its_password() -> None:
    assert "hidden" not in repr(Login("reader", "hidden"))
