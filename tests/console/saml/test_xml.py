import pytest
from lxml import etree

from console.oidc.errors import TokenRefused
from console.saml.xml import ASSERTION, MAX_BYTES, only, parse, text_of, verify
from tests.support.saml_provider import SamlIdp

IDP = SamlIdp()


def test_comments_and_instructions_are_gone_and_text_is_whole() -> None:
    root = parse(b"<a>one<!-- x -->two<?p q?>three</a>")
    assert text_of(root) == "onetwothree"
    with pytest.raises(TokenRefused, match="elements instead of text"):
        text_of(parse(b"<a>one<b/>two</a>"))


def test_input_is_bounded() -> None:
    with pytest.raises(TokenRefused, match="larger"):
        parse(b"<a>" + b" " * MAX_BYTES + b"</a>")


def test_there_must_be_one() -> None:
    root = parse(f'<r xmlns="{ASSERTION}"><x/><y/><y/></r>'.encode())
    assert only(root, "a:x").tag.endswith("x")
    for name, count in (("y", 2), ("z", 0)):
        with pytest.raises(TokenRefused, match=f"{count} elements {name}"):
            only(root, f"a:{name}")


def test_what_is_verified_is_what_was_signed() -> None:
    raw = IDP.respond("_r", "https://x.example/acs")
    assertion = parse(raw).find(f"{{{ASSERTION}}}Assertion")
    signed = verify(assertion, [SamlIdp().certificate, IDP.certificate])
    assert signed.get("ID") == assertion.get("ID") and signed is not assertion
    assert b"Signature" not in etree.tostring(signed)
    with pytest.raises(TokenRefused, match="does not verify"):
        verify(assertion, [])
    assertion.set("ID", "_other")
    with pytest.raises(TokenRefused, match="does not verify"):
        verify(assertion, [IDP.certificate])
