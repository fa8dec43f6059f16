"""Looking at a resource from outside: does the upstream answer, is its secret there, does the proxy listen."""

import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from console.control import Place
from schemas.errors import ConfigError, Unreachable
from schemas.resources import Resource, Upstream
from schemas.runtime import read_run_state
from schemas.secret_references import parse_reference

TIMEOUT_S: Final = 5.0
PROXY_OF: Final = {"postgres": "proxy-tcp", "tcp": "proxy-tcp", "http": "proxy-http"}
SSL_REQUEST: Final = struct.pack("!II", 8, 80_877_103)
LOOPBACK: Final = "127.0.0.1"
ANY_ADDRESS: Final = {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}  # noqa: S104


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one look found."""

    name: str
    is_ok: bool
    detail: str


def probe_resource(place: Place, resource: Resource) -> list[ProbeResult]:
    """Every check, none stopping another."""
    checks: dict[str, Callable[[], str]] = {
        "upstream": lambda: probe_upstream(resource),
        "secret": lambda: probe_secret(place, resource),
        "proxy": lambda: probe_proxy(place, resource),
    }
    return [_run(name, check) for name, check in checks.items()]


def proxy_address(place: Place, resource: Resource) -> tuple[str, int]:
    """Where agents reach a resource. A port of 0 was chosen by the proxy, which says it in its run state."""
    host = ANY_ADDRESS.get(place.settings.capture.bind, place.settings.capture.bind)
    state = read_run_state(place.home, PROXY_OF[resource.protocol])
    alarms = state.detail.get("alarms") if state else None
    if isinstance(alarms, dict) and resource.name in alarms:
        raise Unreachable(f"the proxy does not listen for {resource.name}: {alarms[resource.name]}")
    port = (state.ports.get(resource.name) if state else None) or resource.listen
    if not port:
        raise Unreachable(f"the proxy does not listen for {resource.name} yet; see `custody status`")
    return host, port


def probe_upstream(resource: Resource) -> str:
    """Connect to the upstream, with TLS when it asks for it. Raises OSError."""
    upstream = resource.upstream
    started = time.monotonic()
    with closing(socket.create_connection((upstream.host, upstream.port), TIMEOUT_S)) as connection:
        how = "TCP"
        if upstream.tls != "off":
            how = _start_tls(connection, resource)
    return f"{upstream.host}:{upstream.port} answers ({how}, {(time.monotonic() - started) * 1000:.1f} ms)"


def probe_secret(place: Place, resource: Resource) -> str:
    """Whether the named secret exists. Never shows it."""
    reference = resource.upstream.secret
    if not reference:
        return "none is configured"
    parsed = parse_reference(reference)
    from ingest.secrets.store import make_sources  # the clients of every place of secrets: only where one is asked

    make_sources(place.settings, place.home)[parsed.kind]().fetch(parsed)
    where = " (here; the proxy has its own environment)" if reference.startswith("env:") else ""
    return f"{reference} is there{where}"


def probe_proxy(place: Place, resource: Resource) -> str:
    """Whether something listens where agents connect. Raises OSError, Unreachable."""
    host, port = proxy_address(place, resource)
    with closing(socket.create_connection((host, port), TIMEOUT_S)):
        return f"listens on {host}:{port}"


def _start_tls(connection: socket.socket, resource: Resource) -> str:
    if resource.protocol == "postgres":
        connection.sendall(SSL_REQUEST)
        if connection.recv(1) != b"S":
            raise ConnectionError("the upstream refuses TLS")
    with make_tls_context(resource.upstream).wrap_socket(connection, server_hostname=resource.upstream.host) as secure:
        return secure.version() or "TLS"


def make_tls_context(upstream: Upstream) -> ssl.SSLContext:
    """What the proxy does: `verify` checks the certificate, `require` only encrypts."""
    context = ssl.create_default_context(cafile=upstream.ca_file or None)
    if upstream.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _run(name: str, check: Callable[[], str]) -> ProbeResult:
    try:
        return ProbeResult(name, True, check())
    except UnicodeDecodeError:
        return ProbeResult(name, False, "is not text")
    except (OSError, ConfigError, Unreachable) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ProbeResult(name, False, reason)
