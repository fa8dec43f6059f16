"""XML of a SAML provider: read without entities, comments and bombs, and believed only as far as it is signed."""

from collections.abc import Sequence
from typing import Any, Final

from cryptography.x509 import Certificate
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from console.oidc.errors import TokenRefused

ASSERTION: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
NAMES: Final = {"a": ASSERTION, "p": PROTOCOL, "ds": "http://www.w3.org/2000/09/xmldsig#"}
MAX_BYTES: Final = 256 << 10
HASHES: Final = ("SHA256", "SHA384", "SHA512")
RULES: Final = SignatureConfiguration(
    require_x509=True,
    location="./",
    expect_references=1,
    signature_methods=frozenset(
        method
        for method in SignatureMethod
        if method.name.startswith(("RSA_", "ECDSA_", "SHA"))
        and any(name in method.name for name in HASHES)
        and not method.name.startswith("SHA3")
    ),
    digest_algorithms=frozenset(DigestAlgorithm[name] for name in HASHES),
)
"""Signatures with public keys and SHA-2 only; the signature stands directly in what it signs."""

Element = Any
"""lxml has no types of its own."""


def parse(raw: bytes) -> Element:
    """The root element, without comments and processing instructions. Raises TokenRefused."""
    if len(raw) > MAX_BYTES:
        raise TokenRefused(f"the response is larger than {MAX_BYTES} bytes")
    try:
        if "<!DOCTYPE" in raw.decode() or "<!ENTITY" in raw.decode():
            raise TokenRefused("the response has a document type, which SAML has no use for")
        return etree.fromstring(raw, _make_parser())
    except (UnicodeDecodeError, etree.XMLSyntaxError, ValueError):
        raise TokenRefused("the response is no XML in UTF-8") from None


def verify(element: Element, certificates: Sequence[Certificate]) -> Element:
    """What the signature directly in an element signs: that very element, read anew from the signed bytes.

    Only the certificates given here count, never one that the signature brings along. Raises TokenRefused.
    """
    raw = etree.tostring(element, with_tail=False)
    for certificate in certificates:
        try:
            result = XMLVerifier().verify(raw, x509_cert=certificate, expect_config=RULES, parser=_make_parser())
            signed = b"" if isinstance(result, list) else result.signed_data
        except MemoryError:
            raise
        except Exception:  # noqa: S112 - what a hostile signature may raise is no closed list; it counts as none
            continue
        found = parse(signed)
        if found.tag == element.tag and found.get("ID") and found.get("ID") == element.get("ID"):
            return found
    raise TokenRefused("its signature does not verify under the provider's certificates")


def text_of(element: Element) -> str:
    """The text of an element without children. Raises TokenRefused."""
    if len(element):
        raise TokenRefused("a value of the assertion holds elements instead of text")
    return (element.text or "").strip()


def only(parent: Element, path: str) -> Element:
    """The one element at a path. Raises TokenRefused."""
    found = parent.findall(path, NAMES)
    if len(found) != 1:
        raise TokenRefused(f"it has {len(found)} elements {path.rpartition(':')[2]} instead of one")
    return found[0]


def _make_parser() -> Any:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
