"""A SAML identity provider: reads requests, gives responses signed by the reference implementation (libxmlsec1)."""

import zlib
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

ENTITY, AUDIENCE, SSO = "https://idp.example/metadata", "https://custody.example/saml", "https://idp.example/sso?app=7"
A, P = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
Change = Callable[[Any], Any]


def time_in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class SamlIdp:
    """Its key, and everything that it or an attacker may put into a response."""

    def __init__(self, kind: str = "rsa", valid_for: timedelta = timedelta(days=1)) -> None:
        self.key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        self.kind = kind
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder(name, name, self.key.public_key(), 1, now - timedelta(days=2), now + valid_for)
            .sign(self.key, hashes.SHA256())
        )  # fmt: skip

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def settings(self, folder: Path, **changes: object) -> dict[str, object]:
        """`identity.saml` for this provider."""
        file = folder / "idp.pem"
        file.write_bytes(self.pem)
        roles = {"auditor": ["security"], "operator": ["sre"]}
        return {
            "idp_entity_id": ENTITY, "sso_url": SSO, "certificate_file": str(file), "entity_id": AUDIENCE,
            "roles": roles, **changes,
        }  # fmt: skip

    def respond(
        self,
        request_id: str,
        acs_url: str,
        *,
        sign: Sequence[str] = ("Assertion",),
        before: Change | None = None,
        method: str = "",
        digest: str = "SHA256",
        **values: Any,
    ) -> bytes:
        """A response. `before` changes the tree before it is signed; `sign`: what is, in this order."""
        root = etree.fromstring(make_response(request_id, acs_url, **values))
        if before is not None:
            root = before(root)
        for name in sign:
            self.sign(root if name == "Response" else root.find(f"{{{A}}}Assertion"), method, digest)
        return bytes(etree.tostring(root))

    def sign(self, element: Any, method: str = "", digest: str = "SHA256") -> None:
        """An enveloped signature behind the Issuer, by libxmlsec1."""
        method = method or ("RSA_SHA256" if self.kind == "rsa" else "ECDSA_SHA256")
        node = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, getattr(xmlsec.Transform, method), ns="ds")
        element.insert(1, node)
        reference = xmlsec.template.add_reference(node, getattr(xmlsec.Transform, digest), uri="#" + element.get("ID"))
        for transform in (xmlsec.Transform.ENVELOPED, xmlsec.Transform.EXCL_C14N):
            xmlsec.template.add_transform(reference, transform)
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(node))
        context = xmlsec.SignatureContext()
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)
        context.key.load_cert_from_memory(self.pem, xmlsec.KeyFormat.PEM)
        context.register_id(element, "ID")
        context.sign(node)


def make_response(request_id: str, acs_url: str, **values: Any) -> bytes:
    """Not signed. Every part can be replaced; a number is a time in so many seconds."""
    given: Mapping[str, Any] = {
        "issuer": ENTITY, "audience": AUDIENCE, "recipient": acs_url, "destination": acs_url,
        "name": "ann@example.com", "format": EMAIL, "groups": ["security", "developers"], "attributes": "",
        "begins": time_in(-5), "ends": time_in(300), "until": time_in(300), "session": "",
        "status": "urn:oasis:names:tc:SAML:2.0:status:Success", "id": f"_{uuid4().hex}", "answers": request_id,
        "conditions": "", "statement": f'<saml:AuthnStatement AuthnInstant="{time_in(-5)}"{{session}}/>',
        "confirmation": "urn:oasis:names:tc:SAML:2.0:cm:bearer", "prologue": "",
    } | {name: time_in(value) if isinstance(value, int) else value for name, value in values.items()}  # fmt: skip
    groups = "".join(f"<saml:AttributeValue>{group}</saml:AttributeValue>" for group in given["groups"])
    session = f' SessionNotOnOrAfter="{given["session"]}"' if given["session"] else ""
    answers = f' InResponseTo="{given["answers"]}"' if given["answers"] else ""
    return f"""{given["prologue"]}<samlp:Response xmlns:samlp="{P}" xmlns:saml="{A}" ID="_{uuid4().hex}" Version="2.0"
 IssueInstant="{time_in(0)}" Destination="{given["destination"]}"{answers}>
<saml:Issuer>{given["issuer"]}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="{given["status"]}"/></samlp:Status>
<saml:Assertion ID="{given["id"]}" Version="2.0" IssueInstant="{time_in(0)}">
<saml:Issuer>{given["issuer"]}</saml:Issuer><saml:Subject>
<saml:NameID Format="{given["format"]}">{given["name"]}</saml:NameID>
<saml:SubjectConfirmation Method="{given["confirmation"]}"><saml:SubjectConfirmationData NotOnOrAfter="{given["until"]}"
 Recipient="{given["recipient"]}"{answers}/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{given["begins"]}" NotOnOrAfter="{given["ends"]}"><saml:AudienceRestriction>
<saml:Audience>{given["audience"]}</saml:Audience></saml:AudienceRestriction>{given["conditions"]}</saml:Conditions>
{given["statement"].replace("{session}", session)}
<saml:AttributeStatement><saml:Attribute Name="groups">{groups}</saml:Attribute>{given["attributes"]}
</saml:AttributeStatement></saml:Assertion></samlp:Response>""".encode()


def read_request(url: str) -> tuple[Any, str]:
    """The AuthnRequest that a browser is sent with, and its RelayState."""
    query = parse_qs(urlsplit(url).query)
    request = etree.fromstring(zlib.decompress(b64decode(query["SAMLRequest"][0]), -15))
    return request, query["RelayState"][0]
