"""The SAML provider as the settings say it: where browsers are sent, its certificates, and our metadata."""

import threading
import zlib
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from cryptography import x509
from lxml import etree

from console.saml.response import Assertion, Expected, read_response
from console.saml.xml import ASSERTION, METADATA, PROTOCOL
from schemas.errors import ConfigError
from schemas.identity_config import Saml

POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
MAX_CERTIFICATES_BYTES: Final = 1 << 20


class SamlProvider:
    """Thread-safe."""

    def __init__(self, settings: Saml, acs_url: str) -> None:
        self.settings = settings
        self.acs_url = acs_url
        self._lock = threading.Lock()
        self._certificates: tuple[object, list[x509.Certificate]] | None = None
        self.certificates()

    def request_url(self, request_id: str, relay_state: str) -> str:
        """Where a browser is sent to sign in (HTTP-Redirect binding; bindings 2.0, 3.4)."""
        request = etree.Element(
            f"{{{PROTOCOL}}}AuthnRequest",
            {
                "ID": request_id,
                "Version": "2.0",
                "IssueInstant": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "Destination": self.settings.sso_url,
                "AssertionConsumerServiceURL": self.acs_url,
                "ProtocolBinding": POST,
            },
            nsmap={"samlp": PROTOCOL, "saml": ASSERTION},
        )
        etree.SubElement(request, f"{{{ASSERTION}}}Issuer").text = self.settings.entity_id
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(etree.tostring(request)) + packer.flush()
        query = urlencode({"SAMLRequest": b64encode(packed).decode(), "RelayState": relay_state})
        return f"{self.settings.sso_url}{'&' if '?' in self.settings.sso_url else '?'}{query}"

    def read(self, raw: bytes, request_id: str) -> Assertion:
        """What a response to a request proves. Raises TokenRefused, ConfigError."""
        expected = Expected(request_id, self.acs_url, datetime.now(UTC))
        return read_response(raw, self.certificates(), self.settings, expected)

    def certificates(self) -> list[x509.Certificate]:
        """What the provider may have signed with, read again when the file changes. Raises ConfigError."""
        path = Path(self.settings.certificate_file)
        with self._lock:
            try:
                stat = path.stat()
                stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
                if self._certificates is None or self._certificates[0] != stamp:
                    with path.open("rb") as file:
                        found = x509.load_pem_x509_certificates(file.read(MAX_CERTIFICATES_BYTES))
                    self._certificates = (stamp, found)
            except (OSError, ValueError):
                raise ConfigError(f"identity.saml.certificate_file: {path.name} holds no certificates in PEM") from None
            return self._certificates[1]

    def metadata(self) -> bytes:
        """Our description for the provider (metadata 2.0, 2.4.4)."""
        root = etree.Element(
            f"{{{METADATA}}}EntityDescriptor", entityID=self.settings.entity_id, nsmap={None: METADATA}
        )
        service = etree.SubElement(
            root,
            f"{{{METADATA}}}SPSSODescriptor",
            AuthnRequestsSigned="false",
            WantAssertionsSigned="true",
            protocolSupportEnumeration=PROTOCOL,
        )
        etree.SubElement(
            service,
            f"{{{METADATA}}}AssertionConsumerService",
            Binding=POST,
            Location=self.acs_url,
            index="0",
            isDefault="true",
        )
        return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
