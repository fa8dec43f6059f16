"""The HTTP proxy: mitmproxy's engine in our loop, one listener per registered resource and the regular proxy."""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mitmproxy import options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState
from mitmproxy.master import Master
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers import ClientTLSLayer

from ingest.admission import QUARANTINED
from ingest.gate import Gate
from ingest.http.connection import AgentConnection, AgentHandler
from ingest.http.engine import HTTPMode
from ingest.http.layers import CapturedHttpLayer, install
from ingest.http.shared import Shared
from ingest.http.tls import InterceptionTls, ensure_ca, listener_context
from ingest.proxy import Proxy
from schemas.errors import ConfigError, CustodyError
from schemas.resources import Resource

log = logging.getLogger(__name__)

REGULAR: Final = "http_proxy"
CHECK_S: Final = 1.0
BACKLOG: Final = 512


@dataclass(slots=True)
class _Listener:
    """An open port and the resource it stands for ("" for the regular proxy)."""

    server: asyncio.Server
    port: int
    resource: Resource | None
    handlers: set[AgentHandler] = field(default_factory=set)


class Options:
    """The options that mitmproxy's core reads; only its proxyserver addon would declare them."""

    def load(self, loader: Any) -> None:
        Proxyserver.load(self, loader)  # type: ignore[arg-type]


class LayerChooser:
    """What follows an accepted CONNECT: TLS to intercept, or plain HTTP."""

    def __init__(self, agents: Mapping[str, AgentConnection]) -> None:
        self._agents = agents

    def next_layer(self, data: layer.NextLayer) -> None:
        """mitmproxy asks with the first bytes of the tunnel."""
        agent = self._agents.get(data.context.client.id)
        first = data.data_client()
        if agent is None or not first:
            return
        is_inner = any(isinstance(item, ClientTLSLayer) for item in data.context.layers)
        if not is_inner and first[0] == 0x16:
            if len(first) >= 3 and starts_like_tls_record(first):
                data.layer = ClientTLSLayer(data.context)
                return
            if len(first) < 3:
                return
        data.layer = CapturedHttpLayer(data.context, HTTPMode.transparent, agent)


class HttpService:
    """Serves until closed. Create on a running loop, after the proxy has started."""

    def __init__(self, proxy: Proxy, gate: Gate, on_check: Callable[[], None] = lambda: None) -> None:
        self.proxy = proxy
        self._on_check = on_check  # called at each look at live sessions
        self.shared = Shared(proxy, gate)
        self.agents: dict[str, AgentConnection] = {}
        self.on_ports: Callable[[dict[str, int]], None] = lambda ports: None
        self.shut: dict[str, str] = {}
        """Resource -> why its port could not be opened; tried again with every look at live sessions."""
        self._listeners: dict[str, _Listener] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.master = Master(options.Options(), asyncio.get_running_loop(), with_termlog=False)

    @property
    def ports(self) -> dict[str, int]:
        """Listener name (resource, or http_proxy) to port."""
        return {name: listener.port for name, listener in self._listeners.items()}

    async def start(self) -> None:
        """Make the CA, open every listener, follow control. Raises ConfigError when a port is taken."""
        install()
        store = await asyncio.to_thread(ensure_ca, self.proxy.home)
        self.master.addons.add(Options(), LayerChooser(self.agents), InterceptionTls(self.agents, store))
        self.master.options.update(connection_strategy="lazy", keep_host_header=True, http2_ping_keepalive=0)
        self.proxy.on_resource = lambda name: self._changed.set()
        self.proxy.on_revocation = self._end_revoked
        self.proxy.on_quarantine = self._end_quarantined
        await self._open(REGULAR, None, self.proxy.settings.ports.http_proxy)
        await self._apply(is_start=True)
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._watch_expiry())]

    async def close(self, timeout_s: float = 5.0) -> None:
        """Stop listening, close every connection, and wait until their ends are recorded."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for name in tuple(self._listeners):
            self._close_listener(name, "proxy_stopped")
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout_s)
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self.master.done()

    # -- listeners

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._apply()
            except CustodyError as error:
                log.error("%s", error)

    async def _apply(self, *, is_start: bool = False) -> None:
        """Make the listeners those of the registered resources."""
        wanted = self.proxy.resources("http")
        for name in tuple(self._listeners):
            if name == REGULAR:
                continue
            known = wanted.get(name)
            if known is None or (known.listen != self._listeners[name].port and known.listen != 0):
                self._close_listener(name, "resource_removed" if known is None else "resource_changed")
        self.shut = {name: reason for name, reason in self.shut.items() if name in wanted}
        self.shared.update(wanted)
        for name, resource in self.shared.resources.items():
            if name in self._listeners:
                continue
            try:
                await self._open(name, resource, resource.listen)
                self.shut.pop(name, None)
            except ConfigError as error:
                if self.shut.get(name) != str(error):
                    log.error("%s", error)
                self.shut[name] = str(error)
        self.on_ports(self.ports)

    async def _open(self, name: str, resource: Resource | None, port: int) -> None:
        bind = self.proxy.settings.capture.bind

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(listener, reader, writer)

        try:
            server = await asyncio.start_server(accept, bind, port, ssl=self._tls_context(name), backlog=BACKLOG)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)  # asyncio's own names the address again
            raise ConfigError(f"port {port} of {name} cannot be opened: {reason}") from None
        listener = _Listener(server, server.sockets[0].getsockname()[1], resource)
        self._listeners[name] = listener

    def _tls_context(self, name: str) -> ssl.SSLContext | None:
        context = listener_context(self.proxy.settings.capture)
        if context is not None:
            context.set_alpn_protocols(["http/1.1"] if name == REGULAR else ["h2", "http/1.1"])
        return context

    def _close_listener(self, name: str, reason: str) -> None:
        listener = self._listeners.pop(name)
        listener.server.close()
        for handler in tuple(listener.handlers):
            handler.end(reason)

    # -- connections

    async def _serve(self, listener: _Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        handler = AgentHandler(self.shared, self.master, reader, writer, listener.resource)
        client = handler.client
        _note_tls(handler, writer)
        context = handler.layer.context
        mode = HTTPMode.transparent if listener.resource else HTTPMode.regular
        handler.layer = CapturedHttpLayer(context, mode, handler.agent)
        self._connections.add(task)
        listener.handlers.add(handler)
        self.agents[client.id] = handler.agent
        try:
            await handler.handle_client()
        finally:
            handler.agent.close()
            self._connections.discard(task)
            listener.handlers.discard(handler)
            self.agents.pop(client.id, None)
            with contextlib.suppress(OSError):
                writer.close()

    async def _watch_expiry(self) -> None:
        """A live session ends with its credential, or when it is still for too long."""
        while True:
            await asyncio.sleep(CHECK_S)
            self._on_check()
            if self.shut:
                self._changed.set()
            self._end_quarantined()  # also a session that was only opening as the quarantine came
            for agent in tuple(self.agents.values()):
                if agent.has_expired():
                    agent.handler.end("credential_over")
                elif agent.handler.is_idle:
                    agent.handler.end("idle_timeout")

    def _end_quarantined(self) -> None:
        for agent in tuple(self.agents.values()):
            reason = agent.find_quarantine()
            if reason is not None:
                agent.handler.end(QUARANTINED, told=reason)

    def _end_revoked(self, credential_id: str) -> None:
        for agent in tuple(self.agents.values()):
            if agent.uses(credential_id) and agent.has_expired():
                agent.handler.end("credential_over")


def _note_tls(handler: AgentHandler, writer: asyncio.StreamWriter) -> None:
    """Tell mitmproxy of the TLS that the listener has already taken off."""
    tls = writer.get_extra_info("ssl_object")
    if tls is None:
        return
    client = handler.client
    client.tls = True
    client.tls_version = tls.version()
    client.alpn = (tls.selected_alpn_protocol() or "").encode() or None
    client.state = ConnectionState.OPEN
