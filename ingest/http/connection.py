"""One client connection: mitmproxy's handler of its sockets, and what it is to Custody (who, which sessions)."""

import asyncio
import collections
import contextlib
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mitmproxy import connection
from mitmproxy.proxy import commands, server, server_hooks
from mitmproxy.proxy.mode_specs import ProxyMode

from ingest.http.exchange import Exchange
from ingest.http.heads import Claim
from ingest.http.shared import Shared
from ingest.identity import Identity, LoginRefused, as_nobody
from ingest.session import Session
from schemas.errors import AuditUnavailable, CustodyError
from schemas.events import ControlKind, SessionContext
from schemas.resources import Resource
from schemas.runtime import now_us

if TYPE_CHECKING:
    from mitmproxy.master import Master  # at run time it would pull in every addon

log = logging.getLogger(__name__)

MAX_REFUSALS: Final = 5
"""Failed logins after which a connection is closed."""

AGENT_CLOSED: Final = "agent_closed"
"""Why sessions end when nothing else is known."""

UPSTREAM_CONNECTIONS: Final = 128
"""Connections to one upstream for one client connection (HTTP/2 streams to an HTTP/1 upstream need one each)."""

WRITE_HIGH_WATER: Final = 65_536
FIRST_REQUEST_S: Final = 10
"""A connection that has not logged in by then is closed."""

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

REGULAR: Final = ProxyMode.parse("regular")


@dataclass
class AwaitHook(commands.StartHook):
    """A layer waits for `run`; afterwards `error` says what went wrong, if anything."""

    name = "custody_await"
    run: Callable[[], Awaitable[None]]
    error: Exception | None = None


@dataclass
class AbortHook(commands.StartHook):
    """Reset a connection, so that its peer cannot take the end for a proper one."""

    name = "custody_abort"
    target: connection.Connection


@dataclass(slots=True)
class Live:
    """A logged-in session of this connection."""

    session: Session
    identity: Identity
    claim: Claim
    secret: bytes = field(repr=False)


class AgentConnection:
    """Who is on a client connection, and the sessions it has: one for each credential and resource."""

    def __init__(self, shared: Shared, client: connection.Client, resource: Resource | None) -> None:
        self.shared = shared
        self.client = client
        self.fixed = resource.name if resource else ""
        self.tunnel: tuple[str, Claim] | None = None
        self.close_reason = AGENT_CLOSED
        self.close_facts: dict[str, str] = {}
        self.exchanges: set[Exchange] = set()
        self.upstreams: dict[tuple[str, int], Resource] = {}
        self.refusals = 0
        self.is_closed = False
        self.handler: AgentHandler
        self._retired: list[Session] = []
        self._lives: dict[tuple[str, str], Live] = {}

    def find(self, claim: Claim, resource: Resource) -> Live | None:
        """The session for a request when this claim was checked before and still holds."""
        live = self._lives.get((claim.credential_id, resource.name))
        if (
            live is None
            or live.claim != claim
            or not self.shared.proxy.identities.is_session_allowed(live.identity.credential.id)
        ):
            return None
        return live if live.session.resource is resource else None

    async def login(self, claim: Claim, resource: Resource) -> Live:
        """Check a claim and open its session. Raises LoginRefused, SessionRefused, AuditUnavailable."""
        identity = await self.shared.proxy.identities.login(
            claim.credential_id, claim.secret, self._login_resource(claim, resource)
        )
        if self.is_closed:
            raise LoginRefused("the connection is closed")
        live = self.find(claim, resource)  # another stream of this connection may have been first
        if live is not None:
            return live
        context = self._context(resource)
        identity.apply_to(context)
        live = Live(self._open(context, resource), identity, claim, claim.secret.encode("latin-1"))
        before = self._lives.get((claim.credential_id, resource.name))
        if before is not None:  # other streams may still record in it
            self._retired.append(before.session)
        self._lives[claim.credential_id, resource.name] = live
        self.handler.timeout_watchdog.timeout = resource.limits.idle_timeout_s  # type: ignore[assignment]
        return live

    def refuse(self, reason: str, resource: Resource, credential_id: str = "", detail: str = "") -> None:
        """Record a connection attempt that was turned away, as a session of nobody."""
        self.refusals += 1
        if self.is_closed:
            return
        context = self._context(resource)
        as_nobody(context, credential_id)
        try:
            self.shared.proxy.recorder.open_session(context, resource).close(reason, error=detail)
        except AuditUnavailable:
            log.error("a refused request could not be recorded: %s", reason)

    def uses(self, credential_id: str) -> bool:
        """Whether a session of this connection logged in with this credential."""
        return any(key[0] == credential_id for key in self._lives)

    def has_expired(self) -> bool:
        """Whether a session's credential no longer holds."""
        return any(
            not self.shared.proxy.identities.is_session_allowed(live.identity.credential.id)
            for live in self._lives.values()
        )

    def find_quarantine(self) -> str | None:
        """Why a session of this connection is stopped; None when none is."""
        quarantines = self.shared.proxy.quarantines
        reasons = (quarantines.reason_of(live.session.context) for live in self._lives.values())
        return next((reason for reason in reasons if reason is not None), None)

    def close(self) -> None:
        """Record how everything of this connection ended."""
        self.is_closed = True
        for exchange in tuple(self.exchanges):
            try:
                exchange.completed(
                    499, error=f"{self.close_reason} before the end", body=None if exchange.answer else b""
                )
            except AuditUnavailable:
                log.error("the end of an action could not be recorded")
        self.exchanges.clear()
        for session in (*self._retired, *(live.session for live in self._lives.values())):
            approvals = self.shared.proxy.approvals
            approvals.end_session(session.context.session_id, f"the session ended: {self.close_reason}")
            try:
                session.close(self.close_reason, **self.close_facts)
            except AuditUnavailable:
                log.error("the end of a session could not be recorded")

    def _login_resource(self, claim: Claim, resource: Resource) -> Resource:
        """Nobody has a credential for what is not registered: there it proves only who asks."""
        payload = self.shared.proxy.view.get(ControlKind.CREDENTIAL, claim.credential_id)
        if resource is not self.shared.unregistered or not payload or not payload.get("resources"):
            return resource
        return resource.model_copy(update={"name": payload["resources"][0]})

    def _open(self, context: SessionContext, resource: Resource) -> Session:
        return self.shared.proxy.open_session(context, resource)

    def _context(self, resource: Resource) -> SessionContext:
        peer = self.client.peername
        upstream = resource.upstream
        return SessionContext(
            session_id="",  # drawn when it is opened
            principal="",
            agent="",
            resource=resource.name,
            protocol="http",
            source_ip=peer[0],
            source_port=peer[1],
            tls=self.client.tls_version or "",
            upstream=f"{upstream.host}:{upstream.port}",
            opened_at=now_us(),
            retention_class=resource.retention_class,
        )


class AgentHandler(server.LiveConnectionHandler):
    """mitmproxy's connection handler with awaits of layers, pauses of single connections and bounded connects."""

    def __init__(self, shared: Shared, master: "Master", reader: Any, writer: Any, resource: Resource | None) -> None:
        super().__init__(reader, writer, master.options, REGULAR)
        self.agent = AgentConnection(shared, self.client, resource)
        self._master = master
        self.agent.handler = self
        self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(UPSTREAM_CONNECTIONS))
        self.timeout_watchdog.timeout = int(resource.limits.connect_timeout_s) if resource else FIRST_REQUEST_S
        self._paused: set[connection.Connection] = set()
        self._resumed = asyncio.Event()

    async def handle_hook(self, hook: commands.StartHook) -> None:
        """Layers' own waits first: they are on the way of every request."""
        if isinstance(hook, AwaitHook):
            try:
                await hook.run()
            except CustodyError as error:
                hook.error = error
            except Exception as error:
                log.exception("a wait of the HTTP proxy failed")
                hook.error = error
            return
        if isinstance(hook, AbortHook):
            self._abort(hook.target)
            return
        if isinstance(hook, server_hooks.ServerConnectHook):
            self._limit_connect(hook.data.server)
        await self._master.addons.trigger_event(hook)

    def pause(self, connection_: connection.Connection) -> None:
        """Stop reading from a connection: its stream cannot take more now."""
        self._paused.add(connection_)

    def resume(self, connection_: connection.Connection) -> None:
        """Read on."""
        self._paused.discard(connection_)
        self._resumed.set()

    async def drain_writers(self) -> None:
        """Back-pressure: full write buffers stop all reading, a pause stops that connection's."""
        if any(_buffered(io) > WRITE_HIGH_WATER for io in self.transports.values()):
            await super().drain_writers()  # type: ignore[no-untyped-call]
        if self._paused:
            task = asyncio.current_task()
            mine = next((c for c, io in self.transports.items() if io.handler is task), None)
            while mine in self._paused:
                self._resumed.clear()
                await self._resumed.wait()

    @property
    def is_idle(self) -> bool:
        """Whether nothing moved for longer than allowed."""
        watch = self.timeout_watchdog
        return not watch.blocker and time.time() - watch.last_activity > watch.timeout

    async def on_timeout(self) -> None:
        """Nothing moved for too long."""
        self.agent.close_reason = "idle_timeout"
        await super().on_timeout()

    def end(self, reason: str, **facts: str) -> None:
        """Close the agent's connection from our side. `facts` go into the record of its sessions' ends."""
        self.agent.close_reason, self.agent.close_facts = reason, facts
        io = self.transports.get(self.client)
        if io is not None and io.handler is not None:
            io.handler.cancel(reason)

    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        """mitmproxy's messages may quote content: only that something crashed is kept, and where."""
        if level >= logging.ERROR:
            log.log(level, "the HTTP engine failed on a connection", exc_info=exc_info)
            self.end("failed")  # its state is unknown: nothing more may pass

    def _abort(self, connection_: connection.Connection) -> None:
        io = self.transports.get(connection_)
        if io is not None and isinstance(io.writer, asyncio.StreamWriter):
            with contextlib.suppress(OSError):
                raw = io.writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            io.writer.transport.abort()

    def _limit_connect(self, upstream: connection.Server) -> None:
        resource = self.agent.upstreams.get((upstream.address or ("", 0))[:2])
        limit = resource.limits.connect_timeout_s if resource else 10.0

        def give_up() -> None:
            io = self.transports.get(upstream)
            if io is not None and io.handler is not None and upstream.timestamp_tcp_setup is None:
                io.handler.cancel("the upstream does not answer")

        asyncio.get_running_loop().call_later(limit, give_up)


def _buffered(io: server.ConnectionIO) -> int:
    return io.writer.transport.get_write_buffer_size() if io.writer is not None else 0  # type: ignore[union-attr]
