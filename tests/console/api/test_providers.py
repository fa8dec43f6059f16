"""Which kind of sign-in the settings make."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from console.api.people import People
from console.api.providers import make_sign_in
from console.control import Place, find_place
from schemas.errors import ConfigError
from schemas.runtime import Home
from tests.support.homes import write_settings
from tests.support.saml_provider import SamlIdp

URL = "http://127.0.0.1:1"
OIDC = {"issuer": "https://idp.example", "client_id": "custody"}


def place(home: Home, **identity: object) -> Place:
    write_settings(home, identity=identity)
    return find_place()


def make(home: Home, **identity: object) -> Any:
    return make_sign_in(place(home, **identity), None, URL)  # type: ignore[arg-type] - nothing is recorded here


def test_one_provider_or_none(bare_home: Home, tmp_path: Path) -> None:
    assert make(bare_home).people is None and make(bare_home).pages == []
    by_oidc = make(bare_home, oidc=OIDC)
    assert isinstance(by_oidc.people, People) and {page.path for page in by_oidc.pages} == {"/login", "/callback"}
    by_saml = make(bare_home, saml=SamlIdp().settings(tmp_path))
    assert {page.path for page in by_saml.pages} >= {"/login", "/saml/login", "/saml/acs", "/saml/metadata"}
    with pytest.raises(ConfigError, match="oidc or saml"):
        place(bare_home, oidc=OIDC, saml=SamlIdp().settings(tmp_path))


def test_unknown_roles_are_said_at_the_start(bare_home: Home, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"identity\.oidc\.roles: no role 'chief'"):
        make(bare_home, oidc=OIDC | {"roles": {"chief": ["x"]}})
    with pytest.raises(ConfigError, match=r"identity\.saml\.roles: no role 'chief'"):
        make(bare_home, saml=SamlIdp().settings(tmp_path, roles={"chief": ["x"]}))


def test_missing_packages_are_named(bare_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_saml(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "console.api.saml":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_saml)
    with pytest.raises(ConfigError, match=r"lxml>=6\.1 signxml>=5\.2"):
        make(bare_home, saml=SamlIdp().settings(tmp_path))
