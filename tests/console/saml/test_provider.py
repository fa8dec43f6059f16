"""Requests to the provider, our metadata, and its certificates while they change."""

from pathlib import Path

import pytest
from lxml import etree

from console.oidc.errors import TokenRefused
from console.saml.provider import SamlProvider
from schemas.errors import ConfigError
from schemas.identity_config import Saml
from tests.support.saml_provider import AUDIENCE, SSO, SamlIdp, read_request

ACS = "https://custody.example/saml/acs"


def make(idp: SamlIdp, folder: Path, **changes: object) -> SamlProvider:
    return SamlProvider(Saml.model_validate(idp.settings(folder, **changes)), ACS)


def test_a_request_says_who_asks_and_where_to_answer(tmp_path: Path) -> None:
    url = make(SamlIdp(), tmp_path).request_url("_r1", "state & more")
    assert url.startswith(SSO + "&SAMLRequest=")
    request, state = read_request(url)
    assert (request.get("ID"), request.get("Destination"), state) == ("_r1", SSO, "state & more")
    assert request.get("AssertionConsumerServiceURL") == ACS and request.findtext("{*}Issuer") == AUDIENCE
    bare = make(SamlIdp(), tmp_path, sso_url="https://idp.example/sso").request_url("_r1", "s")
    assert bare.startswith("https://idp.example/sso?SAMLRequest=")


def test_our_metadata_names_us(tmp_path: Path) -> None:
    root = etree.fromstring(make(SamlIdp(), tmp_path).metadata())
    service = root.find("{*}SPSSODescriptor/{*}AssertionConsumerService")
    assert root.get("entityID") == AUDIENCE and service is not None and service.get("Location") == ACS


def test_new_certificates_count_at_once(tmp_path: Path) -> None:
    old, new = SamlIdp(), SamlIdp()
    provider = make(old, tmp_path)
    assert provider.read(old.respond("_r", ACS), "_r").person.principal == "ann@example.com"
    (tmp_path / "idp.pem").write_bytes(new.pem)
    assert provider.read(new.respond("_r", ACS), "_r").person.principal == "ann@example.com"
    with pytest.raises(TokenRefused, match="does not verify"):
        provider.read(old.respond("_r", ACS), "_r")


@pytest.mark.parametrize("content", [None, b"", b"no pem"], ids=["none", "empty", "text"])
def test_certificates_that_cannot_be_read_are_said_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    settings = Saml.model_validate(SamlIdp().settings(tmp_path))
    (tmp_path / "idp.pem").unlink()
    if content is not None:
        (tmp_path / "idp.pem").write_bytes(content)
    with pytest.raises(ConfigError, match=r"certificate_file: idp\.pem"):
        SamlProvider(settings, ACS)
