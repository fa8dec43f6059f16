"""SPIFFE: which workload a client certificate is of (X.509-SVID), checked against the bundles of trust domains.

A certificate proves what its one URI says only under the bundle of the trust domain that this URI names: an authority
of one domain cannot vouch for a workload of another.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from schemas.errors import ConfigError, CustodyError, Fault
from schemas.identity_config import TrustDomain

log = logging.getLogger(__name__)

MAX_ID_CHARS: Final = 2048
MAX_CHAIN: Final = 8
MAX_CERTIFICATE_BYTES: Final = 65_536
MAX_BUNDLE_BYTES: Final = 1 << 20
ID: Final = re.compile(r"spiffe://(?P<domain>[a-z0-9._-]{1,255})(?P<path>(?:/[A-Za-z0-9._-]+)+)")
"""SPIFFE-ID, 2: of a workload, so with a path."""


class SvidRefused(CustodyError):
    """A client certificate does not prove a workload. The message quotes nothing of it."""

    fault = Fault.CALLER


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """Who a workload is: `spiffe://DOMAIN/PATH`."""

    domain: str
    path: str

    def __str__(self) -> str:
        return f"spiffe://{self.domain}{self.path}"


@dataclass(frozen=True, slots=True)
class Svid:
    """A verified certificate; `issuer` is the trust domain's name in the settings."""

    issuer: str
    id: SpiffeId
    serial: str


def parse_id(text: str) -> SpiffeId:
    """Raises SvidRefused."""
    match = ID.fullmatch(text) if len(text) <= MAX_ID_CHARS else None
    if match is None or {".", ".."} & set(match["path"].split("/")):
        raise SvidRefused("the certificate's URI is no SPIFFE id of a workload")
    return SpiffeId(match["domain"], match["path"])


class TrustDomains:
    """The bundles of the settings, read again when their files change. Thread-safe."""

    def __init__(self, settings: Iterable[TrustDomain], clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._settings: Final[Mapping[str, TrustDomain]] = {each.trust_domain: each for each in settings}
        self._clock = clock
        self._lock = threading.Lock()
        self._read: dict[str, tuple[object, list[x509.Certificate]]] = {}

    def __bool__(self) -> bool:
        return bool(self._settings)

    def stamp(self) -> object:
        """Another value once a bundle's file has changed."""
        return tuple(_stamp(each.bundle_file) for each in self._settings.values())

    def load(self) -> list[x509.Certificate]:
        """Every authority of every domain. Raises ConfigError when one was never read."""
        return [authority for each in self._settings.values() for authority in self._bundle(each)]

    def verify(self, chain: Sequence[bytes]) -> Svid:
        """Who a chain of certificates in DER, the workload's own first, is of. Raises SvidRefused, ConfigError."""
        if not 0 < len(chain) <= MAX_CHAIN or any(len(der) > MAX_CERTIFICATE_BYTES for der in chain):
            raise SvidRefused("the chain of certificates is empty, or too long")
        try:
            own, *others = [x509.load_der_x509_certificate(der) for der in chain]
            found = _id_of(own)
            settings = self._settings.get(found.domain)
            if settings is None:
                raise SvidRefused("the certificate's trust domain is not among identity.trust_domains")
            store = Store(self._bundle(settings))
            policy = PolicyBuilder().store(store).time(self._clock()).max_chain_depth(MAX_CHAIN)
            policy.build_client_verifier().verify(own, others)
        except VerificationError as error:
            raise SvidRefused(f"the certificate does not verify under its trust domain: {_why(error)}") from None
        except (CustodyError, MemoryError):
            raise
        except Exception:  # what parsing a hostile certificate may raise is no closed list
            raise SvidRefused("the certificate cannot be read") from None
        return Svid(settings.name, found, f"{own.serial_number:x}")

    def _bundle(self, settings: TrustDomain) -> list[x509.Certificate]:
        with self._lock:
            stamp = _stamp(settings.bundle_file)
            kept = self._read.get(settings.trust_domain)
            if kept is None or kept[0] != stamp:
                try:
                    kept = (stamp, _read_bundle(settings))
                except ConfigError as error:
                    if kept is None:
                        raise
                    log.warning("%s; what was read before counts on", error)  # perhaps it is being written
                    return kept[1]
                self._read[settings.trust_domain] = kept
            return kept[1]


def _id_of(certificate: x509.Certificate) -> SpiffeId:
    """X509-SVID, 2 and 4: one URI, and no right to sign certificates. Raises SvidRefused."""
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise SvidRefused("the certificate must have exactly one URI")
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    if usage.key_cert_sign or usage.crl_sign or not usage.digital_signature:
        raise SvidRefused("the certificate is not for signing in")
    return parse_id(uris[0])


def _read_bundle(settings: TrustDomain) -> list[x509.Certificate]:
    path = Path(settings.bundle_file)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BUNDLE_BYTES + 1)
        if len(raw) > MAX_BUNDLE_BYTES:
            raise ValueError("too large")
        return x509.load_pem_x509_certificates(raw)
    except OSError as error:
        raise ConfigError(f"{path.name}, the bundle of {settings.name}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path.name}, the bundle of {settings.name}, holds no certificates in PEM") from None


def _stamp(file: str) -> object:
    try:
        stat = Path(file).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _why(error: VerificationError) -> str:
    """The verifier's own words in one short line."""
    return " ".join(str(error).split())[:200]
