"""Where OAuth metadata lies, and which hosts are this installation's own: what proxies and the API both say of them."""

from typing import Final

from schemas.runtime import Home, read_run_state
from schemas.settings_base import is_loopback

AUTHORIZATION_SERVER: Final = "/.well-known/oauth-authorization-server"
"""RFC 8414, at the API."""
PROTECTED_RESOURCE: Final = "/.well-known/oauth-protected-resource"
"""RFC 9728, at the listeners of MCP servers; the path of the server follows."""


def is_own_host(host: str, public_host: str) -> bool:
    """Whether agents reach our listeners under this name: a loopback one, or the one that is set."""
    return is_loopback(host) or (bool(public_host) and host.lower() == public_host.lower())


def api_url(home: Home, public_url: str, port: int, *, is_tls: bool) -> str:
    """The API as agents and browsers reach it; without a setting: where it listens on this host."""
    if public_url:
        return public_url.rstrip("/")
    state = read_run_state(home, "api")
    found = state.ports.get("http") if state is not None and state.is_alive() else None
    return f"{'https' if is_tls else 'http'}://127.0.0.1:{found or port}"
