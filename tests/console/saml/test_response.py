"""What a SAML response proves, and every known way of making one prove something else."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from console.oidc.errors import TokenRefused
from console.saml.response import Assertion, Expected, read_response
from schemas.identity_config import Saml
from tests.support.saml_provider import A, P, SamlIdp, make_response

ACS, REQUEST = "https://custody.example/saml/acs", "_request-1"
IDP, OTHER = SamlIdp(), SamlIdp()
SETTINGS = Saml(
    idp_entity_id="https://idp.example/metadata", sso_url="https://idp.example/sso", certificate_file="x",
    entity_id="https://custody.example/saml",
)  # fmt: skip
DS = "http://www.w3.org/2000/09/xmldsig#"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


def read(raw: bytes, idp: SamlIdp = IDP, at: datetime | None = None, **changes: Any) -> Assertion:
    saml = SETTINGS.model_copy(update=changes)
    return read_response(raw, [idp.certificate], saml, Expected(REQUEST, ACS, at or datetime.now(UTC)))


def respond(idp: SamlIdp = IDP, **values: Any) -> bytes:
    return idp.respond(values.pop("request", REQUEST), ACS, **values)


@pytest.mark.parametrize("sign", [("Assertion",), ("Response",), ("Assertion", "Response")], ids="+".join)
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_signed_response_says_who_signed_in(sign: tuple[str, ...], kind: str) -> None:
    idp = IDP if kind == "rsa" else SamlIdp("ec")
    found = read(respond(idp, sign=sign), idp)
    assert (found.person.principal, found.person.groups) == ("ann@example.com", ("security", "developers"))
    assert found.session_ends_at is None and found.ends_at > datetime.now(UTC) + timedelta(seconds=250)


def test_attributes_name_people_and_groups_as_the_settings_say() -> None:
    more = (
        '<saml:Attribute Name="mail"><saml:AttributeValue>ann@corp.example</saml:AttributeValue></saml:Attribute>'
        '<saml:Attribute Name="member"><saml:AttributeValue>a,b</saml:AttributeValue>'
        "<saml:AttributeValue>sre</saml:AttributeValue></saml:Attribute>"
    )
    raw = respond(attributes=more, name="x7", format=TRANSIENT)
    found = read(raw, principal_attribute="mail", groups_attribute="member")
    assert (found.person.principal, found.person.groups, found.person.subject) == ("ann@corp.example", ("sre",), "x7")
    assert read(raw, principal_attribute="mail", groups_attribute="none").person.groups == ()
    for name in ("none", "groups"):
        with pytest.raises(TokenRefused, match="names nobody"):
            read(raw, principal_attribute=name)
    with pytest.raises(TokenRefused, match="another one each time"):
        read(raw)


def test_a_provider_that_changes_its_key_may_sign_with_both() -> None:
    for idp in (IDP, OTHER):
        certificates = [IDP.certificate, OTHER.certificate]
        expected = Expected(REQUEST, ACS, datetime.now(UTC))
        assert read_response(respond(idp), certificates, SETTINGS, expected).person.principal == "ann@example.com"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"audience": "https://other.example"}, "another audience"),
        ({"recipient": "https://other.example/acs"}, "Recipient"),
        ({"destination": "https://other.example/acs"}, "Destination"),
        ({"issuer": "https://evil.example"}, "Issuer"),
        ({"request": "_request-2"}, "InResponseTo"),
        ({"answers": ""}, "InResponseTo"),
        ({"ends": -60}, "expired"),
        ({"until": -60}, "expired"),
        ({"begins": 120}, "not valid yet"),
        ({"session": -1}, "session at the provider is over"),
        ({"until": "tomorrow"}, "no time"),
        ({"until": "2099-01-01T00:00:00"}, "no time"),
        ({"until": "9999-12-31T23:59:59Z"}, "no time"),
        ({"confirmation": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, "bearer"),
        ({"conditions": "<saml:Condition/>"}, "not known here"),
        ({"statement": ""}, "signed in"),
        ({"name": ""}, "names nobody"),
        ({"name": "root@local"}, "this host"),
        ({"name": "<b>ann@example.com</b>"}, "elements instead of text"),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}, "the provider says Responder"),
        ({"status": "<>&quot;".replace("<>", "x")}, "the provider says no"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "+".join(value),
)  # fmt: skip
def test_a_signed_response_that_is_not_for_this_sign_in_is_refused(values: dict[str, Any], words: str) -> None:
    for sign in (("Assertion",), ("Response",)):
        with pytest.raises(TokenRefused, match=words):
            read(respond(sign=sign, **values))


def test_clocks_may_differ_by_the_skew_and_no_more() -> None:
    raw = respond(ends=-10, until=-10)
    assert read(raw).id
    with pytest.raises(TokenRefused, match="expired"):
        read(raw, max_skew_s=0)
    limit = read(respond(session=100)).session_ends_at
    assert limit is not None and limit < datetime.now(UTC) + timedelta(seconds=101)


# -- signatures


def test_what_is_not_signed_proves_nothing() -> None:
    with pytest.raises(TokenRefused, match="signed"):
        read(make_response(REQUEST, ACS))
    with pytest.raises(TokenRefused, match="does not verify"):
        read(respond(OTHER))
    with pytest.raises(TokenRefused, match="does not verify"):
        read(respond(), SamlIdp(valid_for=timedelta(days=-1)))


@pytest.mark.parametrize("sign", ["Assertion", "Response"])
@pytest.mark.parametrize(
    "change",
    [
        (b"ann@example.com", b"eve@example.com"), (b"security", b"sre"), (b'Version="2.0"', b'Version="2.1"'),
        (b"custody.example/saml</saml:Audience>", b"custody.example/samm</saml:Audience>"),
    ],
    ids=lambda change: change[0].decode(),
)  # fmt: skip
def test_an_altered_response_is_refused(sign: str, change: tuple[bytes, bytes]) -> None:
    raw = respond(sign=(sign,))
    assert change[0] in raw
    with pytest.raises(TokenRefused):
        read(raw.replace(*change))


@pytest.mark.parametrize(
    ("method", "digest"), [("RSA_SHA1", "SHA1"), ("RSA_SHA1", "SHA256"), ("RSA_SHA256", "SHA1")], ids=str
)
def test_weak_algorithms_are_refused(method: str, digest: str) -> None:
    with pytest.raises(TokenRefused, match="does not verify"):
        read(respond(method=method, digest=digest))


def test_a_signature_with_a_shared_secret_is_refused() -> None:
    """Algorithm confusion: the certificate, which everybody knows, as the secret of an HMAC."""
    raw = respond().replace(b"2001/04/xmldsig-more#rsa-sha256", b"2001/04/xmldsig-more#hmac-sha256")
    with pytest.raises(TokenRefused, match="does not verify"):
        read(raw)


# -- signature wrapping: the signed assertion is somewhere, another one is shown


def evil_of(root: Any) -> Any:
    evil = copy.deepcopy(root.find(f"{{{A}}}Assertion"))
    evil.remove(evil.find(f"{{{DS}}}Signature"))
    evil.find(f".//{{{A}}}NameID").text = "eve@example.com"
    return evil


def beside(root: Any, first: bool) -> None:
    evil = evil_of(root)
    evil.set("ID", "_evil")
    root.insert(0 if first else len(root), evil)


def same_id(root: Any) -> None:
    root.insert(2, evil_of(root))


def inside_signature(root: Any) -> None:
    """The original within an Object of the signature, which the evil assertion carries."""
    original = root.find(f"{{{A}}}Assertion")
    signature = original.find(f"{{{DS}}}Signature")
    evil = evil_of(root)
    evil.set("ID", "_evil")
    original.remove(signature)
    root.replace(original, evil)
    etree.SubElement(signature, f"{{{DS}}}Object").append(original)
    evil.insert(1, signature)


def inside_extensions(root: Any) -> None:
    original = root.find(f"{{{A}}}Assertion")
    evil = evil_of(root)
    evil.set("ID", "_evil")
    root.replace(original, evil)
    extensions = etree.Element(f"{{{P}}}Extensions")
    extensions.append(original)
    root.insert(1, extensions)


def around(root: Any) -> None:
    """The original inside the evil one, whose signature refers to it."""
    original = root.find(f"{{{A}}}Assertion")
    signature = copy.deepcopy(original.find(f"{{{DS}}}Signature"))
    evil = evil_of(root)
    evil.set("ID", "_evil")
    root.replace(original, evil)
    evil.insert(1, signature)
    evil.append(original)


def moved_signature(root: Any) -> None:
    """The signature of the assertion put under the response, whose own ID it does not name."""
    original = root.find(f"{{{A}}}Assertion")
    root.insert(1, original.find(f"{{{DS}}}Signature"))
    original.find(f".//{{{A}}}NameID").text = "eve@example.com"


def id_taken_over(root: Any) -> None:
    """The response takes the ID that the assertion's signature names."""
    original = root.find(f"{{{A}}}Assertion")
    root.set("ID", original.get("ID"))
    beside(root, first=True)


def whole_in_new_response(root: Any) -> None:
    inner = copy.deepcopy(root)
    for child in list(root):
        if child.tag == f"{{{A}}}Assertion":
            root.replace(child, evil_of(inner))
    extensions = etree.Element(f"{{{P}}}Extensions")
    extensions.append(inner)
    root.insert(1, extensions)


WRAPPINGS: list[Callable[[Any], None]] = [
    lambda root: beside(root, True), lambda root: beside(root, False), same_id, inside_signature, inside_extensions,
    around, moved_signature, id_taken_over, whole_in_new_response,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRAPPINGS)))
@pytest.mark.parametrize("sign", [("Assertion",), ("Assertion", "Response")], ids="+".join)
def test_a_signature_elsewhere_vouches_for_nothing_here(number: int, sign: tuple[str, ...]) -> None:
    root = etree.fromstring(respond(sign=sign))
    WRAPPINGS[number](root)
    with pytest.raises(TokenRefused):
        read(etree.tostring(root))


# -- the XML itself


@pytest.mark.parametrize("comment", ["<!-- -->", "<?x y?>", "<!----><!---->"])
def test_a_comment_in_a_name_does_not_cut_it(comment: str) -> None:
    """Signed for ann@example.com.evil.example; comments are not signed, and must not make a shorter name of it."""
    raw = respond(name="ann@example.com.evil.example").replace(b"com.evil", f"com{comment}.evil".encode())
    assert read(raw).person.principal == "ann@example.com.evil.example"


BOMB = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    "prologue",
    [
        BOMB, '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>', '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE r [<!ATTLIST r a CDATA "&x;">]>',
    ],
    ids=["bomb", "file", "external", "default"],
)  # fmt: skip
def test_document_types_are_refused_unread(prologue: str) -> None:
    for name in ("ann@example.com", "&x;", "&j;"):
        with pytest.raises(TokenRefused, match=r"document type|no XML"):
            read(make_response(REQUEST, ACS, prologue=prologue, name=name))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "cp037"])
def test_other_encodings_hide_nothing(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + BOMB + "<r/>"
    with pytest.raises(TokenRefused):
        read(text.encode(encoding))


def test_large_deep_and_senseless_input_is_refused() -> None:
    for raw in (b"", b"x", b"<a/>", b"\xff", b"<a>" * 50_000, b" " * (300 << 10), b"<a>" * 1000 + b"</a>" * 1000):
        with pytest.raises(TokenRefused):
            read(raw)
    encrypted = make_response(REQUEST, ACS).replace(b"saml:Assertion", b"saml:EncryptedAssertion")
    with pytest.raises(TokenRefused, match="encrypted"):
        read(encrypted)


WHOLE, MADE_AT = respond(), datetime.now(UTC)


def test_the_response_that_is_changed_next_is_accepted() -> None:
    assert read(WHOLE, at=MADE_AT).person.principal == "ann@example.com"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    raw = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(9, 126))
    try:
        found = read(bytes(raw), at=MADE_AT)
    except TokenRefused:
        return
    assert (found.person.principal, found.person.groups) == ("ann@example.com", ("security", "developers"))
