"""The registered resource that a URL means (RFC 8707): an MCP server, by the port of its listener at our own host."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from console.api.problems import Problem
from console.control import Place
from schemas.oauth_metadata import is_own_host
from schemas.resources import Resource
from schemas.runtime import read_run_state

PROXY: Final = "proxy-http"


def find_resource(url: str, resources: Mapping[str, Resource], place: Place) -> str:
    """Its name. Raises Problem (invalid_target): no token is for what only has the same port at another host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if host and is_own_host(host, place.settings.capture.public_host):
        state = read_run_state(place.home, PROXY)
        opened = state.ports if state is not None else {}
        for name, resource in resources.items():
            if resource.speaks == "mcp" and port and port in (resource.listen, opened.get(name)):
                return name
    raise Problem(400, "invalid_target", "resource is not the URL of an MCP server that is registered here")
