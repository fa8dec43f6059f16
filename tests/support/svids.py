"""Certificate authorities of trust domains, and the certificates they give to workloads."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Issued:
    """A certificate with its key, and those above it that its holder sends along."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, above: Sequence[x509.Certificate]
    ):
        self.certificate, self.key, self.above = certificate, key, above

    @cached_property
    def chain(self) -> list[bytes]:
        """DER, its own first."""
        return [each.public_bytes(Encoding.DER) for each in (self.certificate, *self.above)]

    def write(self, folder: Path, name: str) -> tuple[str, str]:
        """Certificate chain and key in PEM: their paths."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.above)))
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key.chmod(0o600)
        return str(chain), str(key)


class Authority:
    """A root, or an authority under another."""

    def __init__(self, name: str, above: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.above = above
        self.certificate = (above or self)._sign(self.name, self.key.public_key(), is_ca=True)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, *uris: str, dns: Sequence[str] = (), ips: Sequence[str] = (), **changes: Any) -> Issued:
        """A certificate for these names. `changes`: begins, ends (from now), usage, is_ca, signs, extended."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [x509.DNSName(each) for each in dns] + [x509.IPAddress(ip_address(each)) for each in ips]
        certificate = self._sign(x509.Name([]), key.public_key(), names=names, **changes)
        above: list[x509.Certificate] = []
        authority: Authority | None = self
        while authority is not None and authority.above is not None:
            above.append(authority.certificate)
            authority = authority.above
        return Issued(certificate, key, above)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        names: Sequence[x509.GeneralName] = (),
        is_ca: bool = False,
        signs: bool | None = None,
        begins: timedelta = timedelta(minutes=-5),
        ends: timedelta = timedelta(hours=1),
        extended: Sequence[x509.ObjectIdentifier] = (CLIENT, SERVER),
    ) -> x509.Certificate:
        now, signs = datetime.now(UTC), is_ca if signs is None else signs
        builder = x509.CertificateBuilder(
            self.name, subject, key, x509.random_serial_number(), now + begins, now + ends
        ).add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        usage = x509.KeyUsage(not is_ca, False, False, False, False, signs, signs, False, False)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(authority, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not subject.rdns)
        if not is_ca and extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        return builder.sign(self.key, hashes.SHA256())
