"""What every TCP handler has at hand for a connection of an agent, and how it opens an upstream."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ingest.gate import Gate
from ingest.leg import Leg
from ingest.proxy import Proxy
from ingest.relay import Relay
from schemas.client_tls import ask_for_certificates
from schemas.errors import Unreachable
from schemas.events import SessionContext
from schemas.resources import Resource, Upstream
from schemas.runtime import now_us
from schemas.spiffe import TrustDomains


@dataclass(slots=True)
class Service:
    """One resource, as a listener serves it."""

    proxy: Proxy
    resource: Resource
    gate: Gate
    listener_tls: ssl.SSLContext | None
    is_tls_required: bool
    relays: set[Relay]

    def new_context(self, agent: Leg) -> SessionContext:
        """The context of a session that opens now; who acts is filled in by the login."""
        address, port = agent.peer
        upstream = self.resource.upstream
        return SessionContext(
            session_id="",  # drawn when it is opened
            principal=self.resource.principal or "unknown",
            agent="unknown",
            resource=self.resource.name,
            protocol=self.resource.protocol,
            source_ip=address,
            source_port=port,
            tls=agent.tls_name,
            upstream=f"{upstream.host}:{upstream.port}",
            opened_at=now_us(),
            retention_class=self.resource.retention_class,
        )

    async def run(self, relay: Relay) -> None:
        """Keep a started relay in sight until it is over."""
        self.relays.add(relay)
        try:
            await relay.closed.wait()
        finally:
            self.relays.discard(relay)


async def connect_upstream(upstream: Upstream, timeout_s: float) -> Leg:
    """A plain leg to the upstream. Raises Unreachable."""
    loop = asyncio.get_running_loop()
    leg = Leg()
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(lambda: cast(asyncio.Protocol, leg), upstream.host, upstream.port)
    except (OSError, TimeoutError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
        raise Unreachable(f"{upstream.host}:{upstream.port}: {reason}") from None
    return leg


def upstream_tls(upstream: Upstream) -> ssl.SSLContext:
    """TLS towards the upstream: `verify` checks chain and name, `require` only encrypts."""
    context = ssl.create_default_context(cafile=upstream.ca_file or None)
    if upstream.tls != "verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def listener_tls(certificate: str, key: str, domains: TrustDomains | None = None) -> ssl.SSLContext | None:
    """TLS of the proxy's own listeners, None when no certificate is configured. Raises OSError, ConfigError.

    With trust domains agents are asked for a client certificate; who has none goes on without.
    """
    if not certificate:
        return None
    return ask_for_certificates(lambda: _listener_tls(certificate, key), domains or TrustDomains(()))


def _listener_tls(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(certificate), Path(key) if key else None)
    return context
