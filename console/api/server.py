"""The API's process: its trail, its view of control, its listener."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from console.api.app import make_app
from console.api.authentication import Authentication
from console.api.authorize import AuthorizationPages
from console.api.client_certificates import PeerProtocol, make_tls
from console.api.handling import Handling
from console.api.local_logins import LocalLogins
from console.api.providers import make_sign_in
from console.api.recording import Recorder
from console.api.routes import ROUTES
from console.api.routing import Services
from console.control import COMPONENT, Place
from console.desk import Desk
from console.oidc.workloads import Workloads
from schemas.errors import ConfigError
from schemas.runtime import RunState, announce_ready, now_us, write_run_state
from schemas.spiffe import TrustDomains
from schemas.wire.control import ControlView
from schemas.wire.trail import Trail

log = logging.getLogger(__name__)

NAME: Final = "api"
MAX_CONNECTIONS: Final = 256
MAX_HEAD_BYTES: Final = 32_768
IDLE_S: Final = 15
STOP_TIMEOUT_S: Final = 5


class Server(uvicorn.Server):
    """uvicorn, with the signals left to the process around it, and `serving` set once it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(place: Place, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises AuditUnavailable, Unreachable, ConfigError when it cannot start."""
    write_run_state(place.home, RunState(NAME, os.getpid(), started_at=now_us()))
    trail = Trail(NAME, COMPONENT, place.settings, place.home)
    await trail.start()
    view = ControlView(place.settings, place.home, COMPONENT)
    handling: Handling | None = None
    desk: Desk | None = None
    try:
        await asyncio.to_thread(view.start)
        desk = Desk(place, view)
        desk.start()
        with contextlib.closing(bind(place.settings.api.bind, place.settings.ports.api)) as listener:
            local = LocalLogins(place.home) if place.settings.api.local_logins else None
            recorder = Recorder(trail)
            sign_in = make_sign_in(place, recorder, base_url(place, listener))
            workloads = Workloads(place.settings.identity.issuers)
            domains = TrustDomains(place.settings.identity.trust_domains)
            services = Services(place, view, sign_in.people, workloads, domains, desk=desk)
            handling = Handling(services, Authentication(local, sign_in.people), recorder)
            tls = make_tls(place.settings.api, domains)
            issuer = place.settings.api.public_url.rstrip("/") or base_url(place, listener)
            pages = [*sign_in.pages, *AuthorizationPages(services, recorder, issuer).routes()]
            await listen(place, make_app(ROUTES, handling, pages), listener, stop, tls)
    finally:
        if handling is not None:
            handling.close()
        if desk is not None:
            await asyncio.to_thread(desk.close)
        await asyncio.to_thread(view.close)
        await trail.stop()


def base_url(place: Place, listener: socket.socket) -> str:
    """The API as this host reaches it."""
    scheme = "https" if place.settings.api.tls_certificate else "http"
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


async def listen(
    place: Place, app: ASGIApp, listener: socket.socket, stop: asyncio.Event, tls: ssl.SSLContext | None
) -> None:
    """Say that it serves, and answer until `stop`."""
    server = Server(
        uvicorn.Config(
            app,
            loop="none",
            http=PeerProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
            ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
        )
    )
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(server.serving.wait())
    try:
        await asyncio.wait({serving, stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
        if server.serving.is_set():
            announce_ready(place.home, NAME, {"http": int(listener.getsockname()[1])})
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        starting.cancel()
        server.should_exit = True
        await serving


def bind(host: str, port: int) -> socket.socket:
    """A listener. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(f"the API cannot listen on {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


async def run(place: Place) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(place, stop)
