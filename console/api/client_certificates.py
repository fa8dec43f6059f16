"""TLS of the API's listener: it asks for client certificates where trust domains are set, and works without one."""

import logging
import ssl
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.api_config import Api
from schemas.errors import ConfigError
from schemas.spiffe import TrustDomains

log = logging.getLogger(__name__)

CLIENT_CHAIN: Final = "custody.client_chain"
"""In a request's scope: the client's certificates in DER, its own first."""


def make_tls(settings: Api, domains: TrustDomains) -> ssl.SSLContext | None:
    """What new connections begin with; None without TLS. Raises ConfigError.

    With trust domains each handshake looks whether a bundle has changed, and goes on with a context made anew then: an
    authority that was taken out of a bundle vouches for no new connection.
    """
    if not settings.tls_certificate:
        if domains:
            raise ConfigError("identity.trust_domains need TLS of the API: api.tls_certificate, api.tls_key")
        return None
    first = _make_context(settings, domains)
    if domains:
        current = [(domains.stamp(), first)]

        def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _first: object) -> None:
            stamp = domains.stamp()
            if current[0][0] != stamp:
                try:
                    current[0] = (stamp, _make_context(settings, domains))
                except ConfigError as error:
                    log.warning("%s; the bundles read before count on", error)
            connection.context = current[0][1]

        first.set_servername_callback(choose)
    return first


def _make_context(settings: Api, domains: TrustDomains) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"api.tls_certificate, api.tls_key: {error}") from None
    if domains:
        authorities = b"".join(each.public_bytes(Encoding.DER) for each in domains.load())
        try:
            context.load_verify_locations(cadata=authorities)
        except ssl.SSLError as error:
            raise ConfigError(f"identity.trust_domains: {error.reason}") from None
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.options |= ssl.OP_NO_TICKET  # each connection proves its certificate itself
        context.num_tickets = 0
    return context


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, whose requests say which certificate their connection has proven."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        if connection is not None and connection.getpeercert(
            binary_form=True
        ):  # the chain of nobody cannot be asked for
            self.app = _WithChain(self.app, tuple(connection.get_unverified_chain()))


class _WithChain:
    def __init__(self, app: ASGIApp, chain: tuple[bytes, ...]) -> None:
        self._app = app
        self._chain = chain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLIENT_CHAIN] = self._chain
        await self._app(scope, receive, send)
