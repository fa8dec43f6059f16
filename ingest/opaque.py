"""Generic TCP: whatever the protocol, nothing registered goes uncaptured. The resource says whose authority it is."""

import logging

from ingest.admission import SessionRefused
from ingest.codecs.opaque import OpaqueCodec
from ingest.connection import Service, connect_upstream, upstream_tls
from ingest.leg import Leg
from ingest.relay import Relay
from schemas.errors import AuditUnavailable, Unreachable

log = logging.getLogger(__name__)


async def serve_opaque(service: Service, agent: Leg) -> None:
    """One connection of an agent, from its first byte to its end."""
    if service.is_tls_required and service.listener_tls is not None:
        await agent.start_tls(service.listener_tls, server_side=True)
    upstream_at = service.resource.upstream
    context = service.new_context(agent)
    try:
        session = service.proxy.open_session(context, service.resource)
        await session.wait(session.opened_ticket)
    except (AuditUnavailable, SessionRefused) as error:
        log.error("%s: connection refused: %s", service.resource.name, error)
        agent.abort()
        return
    try:
        upstream = await connect_upstream(upstream_at, service.resource.limits.connect_timeout_s)
        if upstream_at.tls != "off":
            await upstream.start_tls(upstream_tls(upstream_at), server_side=False, server_name=upstream_at.host)
    except (Unreachable, OSError, TimeoutError) as error:
        session.close("upstream_unreachable", error=str(error))
        agent.abort()
        return
    codec = OpaqueCodec(f"TUNNEL {context.upstream}")
    relay = Relay(session, service.gate, codec, agent, upstream, lambda _code, _message: b"")
    relay.start()
    await service.run(relay)
