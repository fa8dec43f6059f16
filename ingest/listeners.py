"""The TCP listeners of a proxy: one a resource, opened and closed as control says, without dropping live sessions."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from ingest.admission import QUARANTINED
from ingest.connection import Service, listener_tls
from ingest.gate import Gate
from ingest.leg import Leg
from ingest.masks import Masks
from ingest.opaque import serve_opaque
from ingest.postgres import serve_postgres
from ingest.proxy import Proxy
from policy.decide import PolicyEngine
from schemas.config import is_loopback
from schemas.resources import Resource

log = logging.getLogger(__name__)

Serve = Callable[[Service, Leg], Awaitable[None]]

PROTOCOLS: Final[Mapping[str, tuple[Serve, str, bool]]] = {
    "postgres": (serve_postgres, "postgres", True),
    "tcp": (serve_opaque, "tcp", False),
}
"""Protocol -> who serves a connection, the dialect of its statements, and whether it is understood: then its answers
can be masked, and its actions wait for an approval. One more protocol = one line."""

SWEEP_S: Final = 1.0


class Listeners:
    """Keeps the listeners equal to the resources in control."""

    def __init__(self, proxy: Proxy, engine: PolicyEngine, masks: Masks) -> None:
        self._proxy = proxy
        self._engine = engine
        self._masks = masks
        capture = proxy.settings.capture
        self._tls = listener_tls(capture.tls_certificate, capture.tls_key, proxy.trust_domains)
        self._bind = capture.bind
        self._is_exposed = not is_loopback(capture.bind)
        self._open: dict[str, tuple[Service, asyncio.Server]] = {}
        self.shut: dict[str, str] = {}
        """Resource -> why its port could not be opened; tried again with every sweep."""
        self._draining: list[Service] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        proxy.on_resource = lambda _name: self._changed.set()
        proxy.on_quarantine = self._end_quarantined

    async def run(self, on_change: Callable[[dict[str, int]], None]) -> None:
        """Follow control until cancelled; `on_change` gets resource -> port after each change."""
        sweep = asyncio.create_task(self._sweep())
        try:
            while True:
                await self._reconcile()
                on_change({name: _port_of(server) for name, (_, server) in self._open.items()})
                await self._changed.wait()
                self._changed.clear()
        finally:
            sweep.cancel()

    async def close(self, timeout_s: float) -> None:
        """Stop listening and end live sessions with a reason."""
        for _, server in self._open.values():
            server.close()
        for service in self._services():
            for relay in list(service.relays):
                relay.stop("proxy_stopped", "57P01", "Custody: the proxy is stopping")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()

    def _services(self) -> list[Service]:
        return [service for service, _ in self._open.values()] + self._draining

    async def _reconcile(self) -> None:
        wanted = self._proxy.resources(*PROTOCOLS)
        for name, (service, server) in list(self._open.items()):
            if wanted.get(name) != service.resource:
                server.close()
                del self._open[name]
                self._draining.append(service)
        self.shut = {name: reason for name, reason in self.shut.items() if name in wanted}
        for name, resource in wanted.items():
            if name not in self._open:
                await self._listen(resource)

    async def _listen(self, resource: Resource) -> None:
        serve, dialect, is_understood = PROTOCOLS[resource.protocol]
        masks = self._masks if is_understood else None
        gate = Gate(self._engine, dialect, masks, can_hold=is_understood, can_limit=is_understood)
        service = Service(self._proxy, resource, gate, self._tls, self._is_exposed, set())

        def accept(leg: Leg) -> None:
            task = asyncio.get_running_loop().create_task(_guard(serve, service, leg))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: cast(asyncio.Protocol, Leg(accept)), self._bind, resource.listen, backlog=1024
            )
        except OSError as error:
            reason = f"port {resource.listen}: {os.strerror(error.errno) if error.errno else error}"
            if self.shut.get(resource.name) != reason:
                log.error("resource %s: %s", resource.name, reason)
            self.shut[resource.name] = reason
            return
        self.shut.pop(resource.name, None)
        self._open[resource.name] = (service, server)

    def _end_quarantined(self) -> None:
        for service in self._services():
            for relay in list(service.relays):
                reason = self._proxy.quarantines.reason_of(relay.session.context)
                if reason is not None:
                    relay.stop(QUARANTINED, "57P01", f"Custody: {reason}")

    async def _sweep(self) -> None:
        """End sessions that are idle too long, or whose credential is over."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            self._masks.follow()
            if self.shut:
                self._changed.set()
            self._draining = [service for service in self._draining if service.relays]
            self._end_quarantined()  # also a session that was only opening as the quarantine came
            for service in self._services():
                for relay in list(service.relays):
                    is_idle = relay.idle_s(loop.time()) > service.resource.limits.idle_timeout_s
                    if is_idle and not relay.is_waiting:
                        relay.stop("idle_timeout", "57P05", "Custody: idle for too long")
                    elif not self._proxy.identities.is_session_allowed(relay.session.context.credential_id):
                        relay.stop("credential_over", "57P01", "Custody: the credential has expired or was revoked")


async def _guard(serve: Serve, service: Service, leg: Leg) -> None:
    """A defect in one connection ends that connection, and is logged without its data."""
    try:
        await serve(service, leg)
    except asyncio.CancelledError:
        leg.abort()
        raise
    except (ConnectionError, TimeoutError, OSError) as error:
        log.info("%s: connection ended: %s", service.resource.name, type(error).__name__)
        leg.abort()
    except Exception:
        log.exception("%s: connection failed", service.resource.name)
        leg.abort()


def _port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
