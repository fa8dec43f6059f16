"""TLS of a listener that asks for client certificates (SPIFFE) and works without one."""

import logging
import ssl
from collections.abc import Callable

from cryptography.hazmat.primitives.serialization import Encoding

from schemas.errors import ConfigError
from schemas.spiffe import TrustDomains

log = logging.getLogger(__name__)


def ask_for_certificates(make: Callable[[], ssl.SSLContext], domains: TrustDomains) -> ssl.SSLContext:
    """What new connections begin with; `make` gives a context with the server's own certificate. Raises ConfigError.

    Each handshake looks whether a bundle has changed, and goes on with a context made anew then: an authority that was
    taken out of a bundle vouches for no new connection. Without trust domains it is just what `make` gives.
    """
    first = make()
    if not domains:
        return first
    _trust(first, domains)
    current = [(domains.stamp(), first)]

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _first: object) -> None:
        stamp = domains.stamp()
        if current[0][0] != stamp:
            try:
                renewed = make()
                _trust(renewed, domains)
                current[0] = (stamp, renewed)
            except (ConfigError, OSError) as error:
                log.warning("%s; what was read before counts on", error)
        connection.context = current[0][1]

    first.set_servername_callback(choose)
    return first


def _trust(context: ssl.SSLContext, domains: TrustDomains) -> None:
    authorities = b"".join(each.public_bytes(Encoding.DER) for each in domains.load())
    try:
        context.load_verify_locations(cadata=authorities)
    except ssl.SSLError as error:
        raise ConfigError(f"identity.trust_domains: {error.reason}") from None
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.options |= ssl.OP_NO_TICKET  # each connection proves its certificate itself
    context.num_tickets = 0


def client_chain(connection: ssl.SSLObject | None) -> tuple[bytes, ...]:
    """The certificates (DER, its own first) that the other end has shown, and has the key of; none: empty."""
    if connection is None or not connection.getpeercert(binary_form=True):
        return ()  # the chain of nobody cannot be asked for
    return tuple(connection.get_unverified_chain())
