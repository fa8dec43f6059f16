"""What a token must not get away with."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from console.oidc.errors import TokenRefused
from console.oidc.keys import Keys, read_keys
from console.oidc.tokens import MAX_TOKEN_CHARS, Rules, check_claims, read_header, verify
from tests.support.oidc_provider import CLIENT, OidcProvider


def rules_of(provider: OidcProvider, **changes: Any) -> Rules:
    values: dict[str, Any] = {
        "issuer": provider.issuer, "audience": CLIENT, "algorithms": ["RS256", "ES256", "Ed25519"], "max_skew_s": 30,
    }  # fmt: skip
    return Rules(**(values | changes))


def keys_of(provider: OidcProvider) -> Keys:
    return Keys(lambda: {"keys": [{**key.as_dict(private=False), "kid": kid} for kid, key in provider.keys.items()]})


def check(provider: OidcProvider, token: str, **changes: Any) -> dict[str, Any]:
    return verify(token, rules_of(provider, **changes), keys_of(provider).find, time.time())


def part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "okp-1"])
def test_a_token_of_each_kind_of_key_is_accepted(provider: OidcProvider, kid: str) -> None:
    claims = check(provider, provider.sign(provider.claims(), kid))
    assert claims["sub"] == "ann-1" and claims["groups"] == ["security", "developers"]


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, ["RS256"], "HS256"])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_an_unsigned_token_is_refused(provider: OidcProvider, alg: Any, signature: str) -> None:
    token = f"{part({'alg': alg, 'kid': 'rsa-1'})}.{part(provider.claims())}.{signature}"
    with pytest.raises(TokenRefused, match="algorithm"):
        check(provider, token)


@pytest.mark.parametrize("format", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("is_allowed", [False, True])
def test_the_public_key_is_no_hmac_secret(
    provider: OidcProvider, format: PublicFormat, name: str, is_allowed: bool
) -> None:
    public = provider.keys["rsa-1"].public_key.public_bytes(Encoding.PEM, format)  # type: ignore[union-attr]
    algorithm = f"HS{name[3:]}"
    signed = f"{part({'alg': algorithm, 'kid': 'rsa-1'})}.{part(provider.claims())}"
    mac = base64.urlsafe_b64encode(hmac.new(public, signed.encode(), name).digest()).rstrip(b"=").decode()
    allowed = [algorithm] if is_allowed else ["RS256"]  # even a setting that allowed it would find no key for it
    with pytest.raises(TokenRefused):
        check(provider, f"{signed}.{mac}", algorithms=allowed)


@pytest.mark.parametrize("alg", ["RS512", "PS256", "ES384", "ES512", "RS256 ", "rs256"])
def test_only_listed_algorithms_count(provider: OidcProvider, alg: str) -> None:
    token = provider.id_token()
    with pytest.raises(TokenRefused, match="algorithm"):
        check(provider, f"{part({'alg': alg, 'kid': 'rsa-1'})}.{token.split('.', 1)[1]}")


@pytest.mark.parametrize(
    ("alg", "kid"), [("ES256", "rsa-1"), ("RS256", "ec-1"), ("Ed25519", "ec-1"), ("RS256", "okp-1")]
)
def test_an_algorithm_must_fit_the_key_it_names(provider: OidcProvider, alg: str, kid: str) -> None:
    token = provider.id_token()
    with pytest.raises(TokenRefused, match="key"):
        check(provider, f"{part({'alg': alg, 'kid': kid})}.{token.split('.', 1)[1]}")


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null", "rsa-1\x00", "rsa-1' UNION SELECT 'x", "http://evil.example/key", "", "x" * 257,
        "rsa-2", 7, ["rsa-1"], {"kid": "rsa-1"},
    ],
)  # fmt: skip
def test_a_key_id_only_names_a_key_of_the_issuer(provider: OidcProvider, kid: Any) -> None:
    mine = RSAKey.generate_key(2048)
    signed = jwt.encode({"alg": "RS256"}, provider.claims(), mine, algorithms=["RS256"])
    with pytest.raises(TokenRefused, match="key"):
        check(provider, f"{part({'alg': 'RS256', 'kid': kid})}.{signed.split('.', 1)[1]}")


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_keys_that_a_token_brings_along_are_not_looked_at(provider: OidcProvider, member: str) -> None:
    mine = RSAKey.generate_key(2048)
    brought: Any = mine.as_dict(private=False) if member == "jwk" else ["x"] if member == "x5c" else provider.issuer
    token = jwt.encode({"alg": "RS256", "kid": "rsa-1"}, provider.claims(), mine, algorithms=["RS256"])
    forged = f"{part({'alg': 'RS256', 'kid': 'rsa-1', member: brought})}.{token.split('.', 1)[1]}"
    asked = len(provider.asked)
    with pytest.raises(TokenRefused, match="signature"):
        check(provider, forged)
    assert len(provider.asked) == asked


def test_without_a_key_id_one_fitting_key_is_enough_and_two_are_not(provider: OidcProvider) -> None:
    token = jwt.encode({"alg": "RS256"}, provider.claims(), provider.keys["rsa-1"], algorithms=["RS256"])
    assert check(provider, token)["sub"] == "ann-1"
    two = read_keys({"keys": [RSAKey.generate_key(2048).as_dict(private=False) for _ in range(2)]})
    keys = Keys(lambda: {"keys": [key.as_dict() for key in two]})
    with pytest.raises(TokenRefused, match="which key"):
        verify(token, rules_of(provider), keys.find, time.time())


@pytest.mark.parametrize("change", [{"crit": ["exp"]}, {"enc": "A256GCM"}, {"b64": False, "crit": ["b64"]}])
def test_what_is_not_understood_is_refused(provider: OidcProvider, change: dict[str, Any]) -> None:
    token = provider.id_token()
    with pytest.raises(TokenRefused, match="not understood"):
        check(provider, f"{part({'alg': 'RS256', 'kid': 'rsa-1'} | change)}.{token.split('.', 1)[1]}")


@pytest.mark.parametrize("typ", ["logout+jwt", "application/dpop+jwt", "SECEVENT+JWT"])
def test_tokens_of_another_type_prove_something_else(provider: OidcProvider, typ: str) -> None:
    with pytest.raises(TokenRefused, match="type"):
        check(provider, provider.sign(provider.claims(), typ=typ))


@pytest.mark.parametrize("index", range(3))
def test_a_changed_part_is_refused(provider: OidcProvider, index: int) -> None:
    parts = provider.id_token().split(".")
    parts[index] = parts[index][:-6] + ("AAAAAA" if not parts[index].endswith("AAAAAA") else "BBBBBB")
    with pytest.raises(TokenRefused):
        check(provider, ".".join(parts))


class FromNow(float):
    """Seconds after the moment in which the test runs; cases are made long before."""


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"iss": "http://127.0.0.1:1"}, "issuer"), ({"iss": None}, "issuer"), ({"iss": ["x"]}, "issuer"),
    ({"aud": "other"}, "audience"), ({"aud": []}, "audience"), ({"aud": None}, "audience"),
    ({"aud": {"custody": 1}}, "audience"), ({"aud": "custody "}, "audience"), ({"aud": ["custodyx"]}, "audience"),
    ({"aud": ["custody", "other"]}, "another party"), ({"azp": "other"}, "another party"),
    ({"exp": FromNow(-31)}, "expired"), ({"exp": None}, "no expiry"), ({"exp": "never"}, "not a time"),
    ({"exp": True}, "not a time"), ({"exp": 1e300}, "too long"), ({"exp": FromNow(400 * 86_400)}, "too long"),
    ({"nbf": FromNow(300)}, "not valid yet"), ({"iat": FromNow(300)}, "future"), ({"nbf": "x"}, "not a time"),
    ({"sub": ""}, "subject"), ({"sub": 7}, "subject"), ({"sub": "x" * 513}, "subject"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[f"{index}-{words}" for index, (_, words) in enumerate(WRONG)])
def test_a_claim_that_breaks_a_rule_is_named(provider: OidcProvider, change: dict[str, Any], words: str) -> None:
    at = {name: time.time() + value if isinstance(value, FromNow) else value for name, value in change.items()}
    claims = {name: value for name, value in provider.claims(**at).items() if value is not None}
    with pytest.raises(TokenRefused, match=words):
        check(provider, provider.sign(claims))


def test_infinity_is_no_time(provider: OidcProvider) -> None:
    for value in (float("inf"), float("nan")):
        with pytest.raises(TokenRefused, match="not a time"):
            check_claims(provider.claims(exp=value), rules_of(provider), time.time())


def test_clocks_may_differ_up_to_the_skew_and_no_further(provider: OidcProvider) -> None:
    now = 1_800_000_000.0
    fine = provider.claims(iat=now + 29, nbf=now + 29, exp=now - 29)
    check_claims(fine, rules_of(provider), now)
    for change in ({"iat": now + 31}, {"nbf": now + 31}, {"exp": now - 30}):
        with pytest.raises(TokenRefused):
            check_claims(fine | change, rules_of(provider), now)
    with pytest.raises(TokenRefused):
        check_claims(fine, rules_of(provider, max_skew_s=0), now)


def test_several_audiences_need_the_authorized_party(provider: OidcProvider) -> None:
    claims = provider.claims(aud=["other", CLIENT], azp=CLIENT)
    assert check(provider, provider.sign(claims))["azp"] == CLIENT


@pytest.mark.parametrize("nonce", [None, "", "other", 5])
def test_a_nonce_of_another_sign_in_is_refused(provider: OidcProvider, nonce: Any) -> None:
    with pytest.raises(TokenRefused, match="nonce"):
        check(provider, provider.id_token(nonce=nonce), nonce="mine")


def test_the_nonce_of_this_sign_in_is_accepted(provider: OidcProvider) -> None:
    assert check(provider, provider.id_token(nonce="mine"), nonce="mine")


def test_a_token_of_another_provider_with_the_same_key_id_is_refused(provider: OidcProvider) -> None:
    other = ECKey.generate_key("P-256")
    token = jwt.encode({"alg": "ES256", "kid": "ec-1"}, provider.claims(), other, algorithms=["ES256"])
    with pytest.raises(TokenRefused, match="signature"):
        check(provider, token)


def test_no_message_holds_the_token(provider: OidcProvider) -> None:
    token = provider.id_token(aud="other")
    with pytest.raises(TokenRefused) as caught:
        check(provider, token)
    assert not any(piece in str(caught.value) for piece in token.split("."))


@pytest.mark.parametrize(
    "token",
    ["", "a.b", "a.b.c.d", "...", "x" * (MAX_TOKEN_CHARS + 1), "ü.ü.ü", "W10.W10.", "e30." + "A" * 9000 + ".",
     base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.AA"],
    ids=lambda token: token[:12],
)  # fmt: skip
def test_what_is_no_token_is_refused(provider: OidcProvider, token: str) -> None:
    with pytest.raises(TokenRefused):
        check(provider, token)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.binary(max_size=200))
def test_any_text_is_a_header_or_refused(text: str, data: bytes) -> None:
    for token in (text, f"{base64.urlsafe_b64encode(data).decode()}.e30.AA"):
        try:
            assert isinstance(read_header(token), dict)
        except TokenRefused as error:
            assert str(error)


def test_the_digest_of_what_was_signed_is_what_counts(provider: OidcProvider) -> None:
    """The payload cannot be swapped for another that was signed, too."""
    first, second = provider.id_token().split("."), provider.id_token(sub="eve").split(".")
    with pytest.raises(TokenRefused, match="signature"):
        check(provider, ".".join([first[0], second[1], first[2]]))
