"""What an MCP server's listener says of the tokens that it takes (RFC 9728). Pure but for where the API is now."""

import ipaddress
from typing import Final

from mitmproxy import http

from ingest.http import heads
from schemas.config import Settings
from schemas.oauth_metadata import PROTECTED_RESOURCE, api_url, is_own_host
from schemas.resources import Resource
from schemas.runtime import Home

MAX_PATH_CHARS: Final = 512
MCP: Final = "mcp"


def asks_for_metadata(request: http.Request, resource: Resource | None) -> bool:
    """Whether a request is for the description of an MCP server."""
    if resource is None or resource.speaks != MCP or request.method not in ("GET", "HEAD"):
        return False
    path = plain_path(request)
    return path == PROTECTED_RESOURCE or path.startswith(PROTECTED_RESOURCE + "/")


def describe(request: http.Request, settings: Settings, home: Home, *, port: int, is_tls: bool) -> dict[str, object]:
    """The description, of the server at the path that follows (RFC 9728, 3.1)."""
    server = api_url(home, settings.api.public_url, settings.ports.api, is_tls=bool(settings.api.tls_certificate))
    base = base_url(request, settings.capture.public_host, port=port, is_tls=is_tls)
    return {
        "resource": base + plain_path(request).removeprefix(PROTECTED_RESOURCE),
        "authorization_servers": [server],
        "bearer_methods_supported": ["header"],
    }


def challenge(request: http.Request, public_host: str, *, port: int, is_tls: bool) -> heads.Field:
    """The header of a 401 that leads to the description (RFC 9728, 5.1)."""
    base = base_url(request, public_host, port=port, is_tls=is_tls)
    path = plain_path(request).rstrip("/")
    value = f'Bearer realm="custody", resource_metadata="{base}{PROTECTED_RESOURCE}{path}"'
    return b"WWW-Authenticate", value.encode("ascii", "replace")


def plain_path(request: http.Request) -> str:
    """The path without its query; "" for one that cannot stand in a header."""
    path = request.path.partition("?")[0]
    is_plain = path.isascii() and path.isprintable() and not set(path) & set('"\\<> ')
    return path if is_plain and len(path) <= MAX_PATH_CHARS else ""


def base_url(request: http.Request, public_host: str, *, port: int, is_tls: bool) -> str:
    """The listener as the agent named it, where that is a name of ours; else as the settings do."""
    asked = heads.split_authority(request.authority or request.host_header or "", 0)
    host = asked[0] if asked is not None and is_own_host(asked[0], public_host) else public_host or "127.0.0.1"
    try:
        host = f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        pass
    return f"{'https' if is_tls else 'http'}://{host}:{port}"
