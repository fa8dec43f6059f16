"""TLS of the API's listener, and requests that say which certificate their connection has proven."""

import ssl
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.api_config import Api
from schemas.client_tls import ask_for_certificates, client_chain
from schemas.errors import ConfigError
from schemas.spiffe import TrustDomains

CLIENT_CHAIN: Final = "custody.client_chain"
"""In a request's scope: the client's certificates in DER, its own first."""


def make_tls(settings: Api, domains: TrustDomains) -> ssl.SSLContext | None:
    """TLS, which asks for certificates where there are trust domains; None without TLS. Raises ConfigError."""
    if not settings.tls_certificate:
        if domains:
            raise ConfigError("identity.trust_domains need TLS of the API: api.tls_certificate, api.tls_key")
        return None
    return ask_for_certificates(lambda: _make_context(settings), domains)


def _make_context(settings: Api) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"api.tls_certificate, api.tls_key: {error}") from None
    return context


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, whose requests carry their connection's certificates."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        chain = client_chain(transport.get_extra_info("ssl_object"))
        if chain:
            self.app = _WithChain(self.app, chain)


class _WithChain:
    def __init__(self, app: ASGIApp, chain: tuple[bytes, ...]) -> None:
        self._app = app
        self._chain = chain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLIENT_CHAIN] = self._chain
        await self._app(scope, receive, send)
