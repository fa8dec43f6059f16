import base64
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from console.oidc.errors import ProviderFailed, TokenRefused
from console.oidc.keys import BETWEEN_S, FRESH_S, MAX_KEYS, STALE_S, Keys, fits, read_keys

EC = ECKey.generate_key("P-256")
OTHER = ECKey.generate_key("P-256")


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **members}


class Issuer:
    """A key set that can change and go away, and a clock."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.entries, self.fetches, self.is_away, self.now = list(entries), 0, False, 1000.0
        self.keys = Keys(self.fetch, lambda: self.now)

    def fetch(self) -> dict[str, Any]:
        self.fetches += 1
        if self.is_away:
            raise ProviderFailed("away")
        return {"keys": self.entries}


def test_keys_are_fetched_once_and_kept() -> None:
    issuer = Issuer(jwk(EC, kid="a"))
    for _ in range(100):
        assert issuer.keys.find("a", "ES256").kid == "a"
    assert issuer.fetches == 1


def test_a_new_key_id_is_fetched_at_once_and_a_flood_of_unknown_ones_is_not() -> None:
    issuer = Issuer(jwk(EC, kid="a"))
    issuer.keys.find("a", "ES256")
    issuer.entries = [jwk(OTHER, kid="b")]
    issuer.now += BETWEEN_S
    assert issuer.keys.find("b", "ES256").kid == "b"
    for number in range(500):
        with pytest.raises(TokenRefused):
            issuer.keys.find(f"x{number}", "ES256")
    assert issuer.fetches == 2
    issuer.now += BETWEEN_S
    with pytest.raises(TokenRefused):
        issuer.keys.find("a", "ES256")  # withdrawn by the issuer
    assert issuer.fetches == 3


def test_keys_are_fetched_again_when_they_are_old_and_serve_for_a_day_when_the_issuer_is_away() -> None:
    issuer = Issuer(jwk(EC, kid="a"))
    issuer.keys.find("a", "ES256")
    issuer.is_away = True
    issuer.now += FRESH_S + 1
    assert issuer.keys.find("a", "ES256").kid == "a"
    assert issuer.fetches == 2
    issuer.now += STALE_S
    with pytest.raises(ProviderFailed):
        issuer.keys.find("a", "ES256")


def test_an_issuer_that_was_never_there_is_not_asked_at_every_token() -> None:
    issuer = Issuer()
    issuer.is_away = True
    for _ in range(50):
        with pytest.raises(ProviderFailed):
            issuer.keys.find("a", "ES256")
    assert issuer.fetches == 1
    issuer.is_away, issuer.entries = False, [jwk(EC, kid="a")]
    issuer.now += BETWEEN_S
    assert issuer.keys.find("a", "ES256").kid == "a"


def test_what_cannot_verify_signatures_is_left_out() -> None:
    entries = [
        jwk(EC, kid="fine"),
        {**OctKey.generate_key(256).as_dict(), "kid": "secret"},
        jwk(EC, kid="enc", use="enc"),
        jwk(EC, kid="ops", key_ops=["sign"]),
        {"kty": "RSA", "kid": "broken", "n": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "off the curve"},
        {"kty": "EC", "crv": "P-192", "x": "AAAA", "y": "AAAA", "kid": "unknown curve"},
        {"kty": ["RSA"], "kid": "no text"},
        "no object",
    ]  # fmt: skip
    assert [key.kid for key in read_keys({"keys": entries})] == ["fine"]


@pytest.mark.parametrize("bits", [512, 1024, 1536, 16_384])
def test_weak_and_monstrous_rsa_keys_are_left_out(bits: int) -> None:
    modulus = base64.urlsafe_b64encode(b"\xff" * (bits // 8)).rstrip(b"=").decode()
    assert read_keys({"keys": [{"kty": "RSA", "kid": "x", "n": modulus, "e": "AQAB"}]}) == []
    assert read_keys({"keys": [jwk(RSAKey.generate_key(2048), kid="x", e="A" * 400)]}) == []


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_usual_rsa_keys_are_taken(bits: int) -> None:
    assert len(read_keys({"keys": [jwk(RSAKey.generate_key(bits), kid="x")]})) == 1


def test_a_private_key_that_an_issuer_shows_is_taken_as_public_only() -> None:
    (key,) = read_keys({"keys": [{**EC.as_dict(private=True), "kid": "oops"}]})
    assert not key.is_private


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": [{}] * (MAX_KEYS + 1)}, {"keys": "x"}])
def test_a_set_is_a_list_of_some_keys(document: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        read_keys(document)


def test_an_algorithm_fits_a_kind_a_curve_and_what_the_key_says() -> None:
    assert fits(EC, "ES256") and not fits(EC, "ES384") and not fits(EC, "RS256") and not fits(EC, "HS256")
    assert fits(OKPKey.generate_key("Ed25519"), "Ed25519") and not fits(OKPKey.generate_key("X25519"), "Ed25519")
    rsa = RSAKey.generate_key(2048)
    assert fits(rsa, "RS256") and fits(rsa, "PS512") and not fits(rsa, "ES256")
    (declared,) = read_keys({"keys": [jwk(rsa, alg="PS256", kid="p")]})
    assert fits(declared, "PS256") and not fits(declared, "RS256")
