"""Holds and erasures where people sign in: one asks, another approves, each by their own sign-in."""

import json
from collections.abc import Callable

import pytest

from console.remote import Login, write_login
from schemas.runtime import Home
from tests.console.conftest import Record, Run
from tests.support.api import Api, document_of, oidc_settings
from tests.support.homes import write_settings
from tests.support.kafka import Kafka
from tests.support.oidc_provider import OidcProvider

SESSION = "2b" * 16
HOLD = ("--session", SESSION, "--authority", "court 12/26", "--reason", "litigation")
SignIn = Callable[[str], None]


@pytest.fixture
def sign_in(home: Home, kafka: Kafka, api: Api, provider: OidcProvider) -> SignIn:
    """A home whose people sign in, and a way for them to do so."""
    settings = {"oidc": oidc_settings(provider)}
    write_settings(home, kafka={"bootstrap": kafka.bootstrap}, ports={"api": api.port}, identity=settings)

    def begin(name: str) -> None:
        token = provider.id_token(sub=name, email=f"{name}@example.com")
        session = document_of(api.ask("POST", "/v1/sign-in", json={"id_token": token}))
        write_login(home, Login(api.url, session["token"], session["principal"], session["expires_at"]))

    return begin


def test_a_hold_takes_two_sign_ins(custody: Run, sign_in: SignIn) -> None:
    named = custody("legal-hold", "place", *HOLD, "--by", "ann@example.com", "--approved-by", "bob@example.com")
    assert named.code == 2 and "signs in, too" in named.err
    assert "`custody login` first" in custody("legal-hold", "place", *HOLD, "--by", "ann@example.com").err
    sign_in("ann")
    assert "is somebody else" in custody("legal-hold", "place", *HOLD, "--by", "eve@example.com").err
    asked = custody("legal-hold", "place", *HOLD, "--json")
    id = json.loads(asked.out)["request_id"]
    assert SESSION not in custody("legal-hold", "list").out  # it is not in force yet
    own = custody("legal-hold", "approve", id, "--yes")
    assert (own.code, "cannot approve what ann@example.com asks for" in own.err) == (2, True)
    sign_in("bob")
    placed = custody("legal-hold", "approve", id, "--yes", "--json")
    assert placed.code == 0 and "litigation" in placed.err
    hold = json.loads(placed.out)
    assert (hold["placed_by"], hold["approved_by"]) == ("ann@example.com", "bob@example.com")
    assert "no request" in custody("legal-hold", "approve", id, "--yes").err
    released = custody("legal-hold", "release", hold["id"], "--reason", "over", "--json")
    id = json.loads(released.out)["request_id"]
    sign_in("ann")
    done = json.loads(custody("legal-hold", "approve", id, "--yes", "--json").out)
    assert (done["released_by"], done["release_approved_by"]) == ("bob@example.com", "ann@example.com")


def test_an_erasure_takes_two_sign_ins(custody: Run, sign_in: SignIn) -> None:
    sign_in("ann")
    asked = custody("erase", "--session", "s1", "--ground", "b")
    assert asked.code == 0 and "custody erase --approve " in asked.out
    id = asked.out.split()[-1]
    assert "takes what was asked for as it is" in custody("erase", "--approve", id, "--ground", "a").err
    assert "cannot approve" in custody("erase", "--approve", id, "--yes").err
    assert "no request" in custody("legal-hold", "approve", id, "--yes").err
    sign_in("bob")
    assert custody("erase", "--approve", id, "--yes").code == 2  # the store of this home does not answer
    sign_in("ann")
    assert "cannot approve" in custody("erase", "--approve", id, "--yes").err  # so it waits again


def test_where_nobody_signs_in_both_are_named(custody: Run, filled: Record) -> None:
    assert "Missing option '--by'" in custody("legal-hold", "place", *HOLD).err
    missing = custody("legal-hold", "release", "h", "--reason", "x", "--by", "ann")
    assert "Missing option '--approved-by'" in missing.err
    assert "Missing option '--ground'" in custody("erase", "--session", "s1").err
    answer = custody("erase", "--approve", "0" * 8)
    assert answer.code == 2 and "nobody signs in here" in answer.err
