"""What a SAML response proves: a pure reading of it, clause by clause (core 2.0; profiles 2.0, 4.1.4)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.x509 import Certificate

from console.oidc.errors import TokenRefused
from console.oidc.people import Person, check_principal, groups_of
from console.saml.xml import ASSERTION, NAMES, PROTOCOL, Element, only, parse, text_of, verify
from schemas.identity_config import Saml

SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
CONDITIONS: Final = frozenset(
    f"{{{ASSERTION}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")
)
STATUS: Final = re.compile(r"urn:oasis:names:tc:SAML:2\.0:status:([A-Za-z]{1,40})")


@dataclass(frozen=True, slots=True)
class Expected:
    """The request that is answered, and where and when the answer came."""

    request_id: str
    acs_url: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Assertion:
    """Verified: who signed in. `ends_at`: until when it could be shown; `session_ends_at`: the provider's own limit."""

    id: str
    person: Person
    ends_at: datetime
    session_ends_at: datetime | None


def read_response(raw: bytes, certificates: Sequence[Certificate], settings: Saml, expected: Expected) -> Assertion:
    """Raises TokenRefused, which names the rule that is broken."""
    root = parse(raw)
    if root.tag != f"{{{PROTOCOL}}}Response" or root.get("Version") != "2.0":
        raise TokenRefused("it is no SAML 2.0 response")
    _check_status(root)
    if root.findall(".//a:EncryptedAssertion", NAMES):
        raise TokenRefused("its assertion is encrypted: switch that off at the provider")
    if len(root.findall(".//a:Assertion", NAMES)) != 1:
        raise TokenRefused("it must hold exactly one assertion")
    is_signed = root.find("ds:Signature", NAMES) is not None
    if is_signed:
        root = verify(root, certificates)
        _check_status(root)
    assertion = only(root, "a:Assertion")
    if not is_signed:
        if assertion.find("ds:Signature", NAMES) is None:
            raise TokenRefused("neither the response nor its assertion is signed")
        assertion = verify(assertion, certificates)
    _check_envelope(root, settings, expected)
    return _read_assertion(assertion, settings, expected)


def _check_status(root: Element) -> None:
    status = only(root, "p:Status/p:StatusCode")
    if status.get("Value") != SUCCESS:
        inner = status.find("p:StatusCode", NAMES)
        value = (inner if inner is not None else status).get("Value", "")
        match = STATUS.fullmatch(value)
        raise TokenRefused(f"the provider says {match[1] if match else 'no'}")


def _check_envelope(root: Element, settings: Saml, expected: Expected) -> None:
    """Of an unsigned response these say little, but what contradicts is refused."""
    if root.get("Destination", expected.acs_url) != expected.acs_url:
        raise TokenRefused("it is meant for another place (Destination)")
    if root.get("InResponseTo") != expected.request_id:
        raise TokenRefused("it answers another request (InResponseTo)")
    issuer = root.find("a:Issuer", NAMES)
    if issuer is not None and text_of(issuer) != settings.idp_entity_id:
        raise TokenRefused("it is of another provider (Issuer)")


def _read_assertion(assertion: Element, settings: Saml, expected: Expected) -> Assertion:
    if assertion.get("Version") != "2.0" or text_of(only(assertion, "a:Issuer")) != settings.idp_entity_id:
        raise TokenRefused("its assertion is of another provider (Issuer)")
    skew = timedelta(seconds=settings.max_skew_s)
    subject = only(assertion, "a:Subject")
    ends_at = _check_confirmation(subject, expected, skew)
    _check_conditions(only(assertion, "a:Conditions"), settings.entity_id, expected.at, skew)
    session_ends_at = _session_end(assertion, expected.at)
    return Assertion(assertion.get("ID"), _person_of(assertion, subject, settings), ends_at + skew, session_ends_at)


def _check_confirmation(subject: Element, expected: Expected, skew: timedelta) -> datetime:
    """Profiles, 4.1.4.3: one bearer confirmation that is for us, now, and for this request; when it ends."""
    bearers = [each for each in subject.findall("a:SubjectConfirmation", NAMES) if each.get("Method") == BEARER]
    if len(bearers) != 1:
        raise TokenRefused("its subject needs exactly one bearer confirmation")
    data = only(bearers[0], "a:SubjectConfirmationData")
    if data.get("Recipient") != expected.acs_url:
        raise TokenRefused("it is meant for another place (Recipient)")
    if data.get("InResponseTo") != expected.request_id:
        raise TokenRefused("its assertion answers another request (InResponseTo)")
    ends_at = _instant(data, "NotOnOrAfter")
    if ends_at is None or ends_at + skew <= expected.at:
        raise TokenRefused("its subject's confirmation has expired, or says no end")
    if (begins_at := _instant(data, "NotBefore")) is not None and begins_at - skew > expected.at:
        raise TokenRefused("its subject's confirmation is not valid yet")
    return ends_at


def _check_conditions(conditions: Element, audience: str, at: datetime, skew: timedelta) -> None:
    begins_at, ends_at = _instant(conditions, "NotBefore"), _instant(conditions, "NotOnOrAfter")
    if begins_at is not None and begins_at - skew > at:
        raise TokenRefused("it is not valid yet (NotBefore)")
    if ends_at is not None and ends_at + skew <= at:
        raise TokenRefused("it has expired (NotOnOrAfter)")
    if any(each.tag not in CONDITIONS for each in conditions):
        raise TokenRefused("it has a condition that is not known here")
    restrictions = conditions.findall("a:AudienceRestriction", NAMES)
    named = [{text_of(each) for each in one.findall("a:Audience", NAMES)} for one in restrictions]
    if not named or any(audience not in each for each in named):
        raise TokenRefused("it is for another audience")


def _session_end(assertion: Element, at: datetime) -> datetime | None:
    """When the provider says that the session ends. Raises TokenRefused when nobody signed in."""
    statements = assertion.findall("a:AuthnStatement", NAMES)
    if not statements:
        raise TokenRefused("it does not say that somebody signed in (AuthnStatement)")
    found = [end for each in statements if (end := _instant(each, "SessionNotOnOrAfter")) is not None]
    if found and min(found) <= at:
        raise TokenRefused("the session at the provider is over (SessionNotOnOrAfter)")
    return min(found, default=None)


def _person_of(assertion: Element, subject: Element, settings: Saml) -> Person:
    name = only(subject, "a:NameID")
    principal = text_of(name)
    if settings.principal_attribute:
        values = _values(assertion, settings.principal_attribute)
        if len(values) != 1:
            raise TokenRefused(f"its attribute {settings.principal_attribute} names nobody, or several")
        principal = values[0]
    elif name.get("Format") == TRANSIENT:
        raise TokenRefused("its NameID is another one each time: set identity.saml.principal_attribute")
    check_principal(principal, settings.principal_attribute or "NameID")
    groups = groups_of({"groups": _values(assertion, settings.groups_attribute)}, "groups")
    return Person(principal, groups, text_of(name))


def _values(assertion: Element, attribute: str) -> list[str]:
    found = assertion.findall("a:AttributeStatement/a:Attribute", NAMES)
    named = [each for each in found if each.get("Name") == attribute]
    return [text_of(value) for each in named for value in each.findall("a:AttributeValue", NAMES)]


def _instant(element: Element, name: str) -> datetime | None:
    """An attribute's time; None without one. Raises TokenRefused."""
    text = element.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1970 < moment.year < 9999:
        raise TokenRefused(f"{name} is no time in UTC")
    return moment.astimezone(UTC)
