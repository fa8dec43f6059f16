import time
from pathlib import Path

import pytest

from console.api.people import People
from console.api.sessions import Sessions
from console.oidc.errors import TokenRefused
from console.oidc.provider import Provider
from schemas.identity_config import Oidc
from tests.support.api import oidc_settings
from tests.support.oidc_provider import OidcProvider


def make(provider: OidcProvider, path: Path, **changes: object) -> People:
    settings = Oidc.model_validate(oidc_settings(provider, **changes))
    return People(settings, Provider(settings), Sessions(path / "sessions.json"))


def test_a_proof_becomes_a_session_with_roles_by_groups(provider: OidcProvider, tmp_path: Path) -> None:
    people = make(provider, tmp_path)
    token, session = people.begin(people.prove(provider.id_token()))
    caller = people.find(token)
    assert caller is not None
    assert (caller.principal, caller.roles, caller.via) == ("ann@example.com", ("auditor",), "session")
    assert caller.expires_at == session.expires_at and token not in repr(caller)
    assert people.end(token) and people.find(token) is None


def test_roles_are_those_of_the_settings_now(provider: OidcProvider, tmp_path: Path) -> None:
    token, _ = (people := make(provider, tmp_path)).begin(people.prove(provider.id_token()))
    caller = make(provider, tmp_path, roles={"operator": ["developers"]}).find(token)
    assert caller is not None and caller.roles == ("operator",)


def test_an_id_token_begins_one_session(provider: OidcProvider, tmp_path: Path) -> None:
    people = make(provider, tmp_path)
    proof = people.prove(provider.id_token())
    people.begin(proof)
    with pytest.raises(TokenRefused, match="before"):
        people.begin(proof)


def test_a_proof_is_remembered_as_long_as_it_could_be_shown(provider: OidcProvider, tmp_path: Path) -> None:
    expiry = int(time.time()) + 100
    proof = make(provider, tmp_path).prove(provider.id_token(exp=expiry))
    assert proof.ends_at_us == (expiry + 30) * 1_000_000
