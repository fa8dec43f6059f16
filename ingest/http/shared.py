"""What all connections of the HTTP proxy share: who may act, on what, and the secrets that upstreams want to see."""

import logging
import math
import time
from collections.abc import Mapping
from typing import Final

from ingest.gate import Gate
from ingest.proxy import Proxy
from schemas.errors import ConfigError
from schemas.resources import Resource, Upstream, resolve_secret

log = logging.getLogger(__name__)

SECRET_S: Final = 1.0
"""An upstream's secret is read again when it is older: rotating it needs no restart."""


class Shared:
    """One for each process."""

    def __init__(self, proxy: Proxy, gate: Gate) -> None:
        self.proxy = proxy
        self.gate = gate
        self.resources: dict[str, Resource] = {}
        self.by_address: dict[tuple[str, int], Resource] = {}
        self.max_unrecorded_bytes = proxy.settings.capture.max_unrecorded_bytes
        self.unregistered = Resource(
            name="unregistered", protocol="http", listen=0, upstream=Upstream(host="unregistered", port=1)
        )
        self._secrets: dict[str, tuple[float, str]] = {}

    def update(self, wanted: Mapping[str, Resource]) -> None:
        """Take over what is registered now. A resource that is equal stays the same object: its sessions go on."""
        before = self.resources
        self.resources = {name: before[name] if before.get(name) == found else found for name, found in wanted.items()}
        self.by_address = {(r.upstream.host.lower(), r.upstream.port): r for r in reversed(self.resources.values())}

    def upstream_secret(self, resource: Resource) -> str:
        """What the upstream wants to see; "" when the resource names none. Raises ConfigError when it is missing."""
        reference = resource.upstream.secret
        if not reference:
            return ""
        read_at, secret = self._secrets.get(reference, (-math.inf, ""))
        if time.monotonic() - read_at >= SECRET_S:
            secret = self._read_secret(resource)
            self._secrets[reference] = time.monotonic(), secret
        if not secret:
            raise ConfigError("the secret for the upstream is missing")
        return secret

    def _read_secret(self, resource: Resource) -> str:
        try:
            secret = resolve_secret(resource.upstream.secret, self.proxy.home)
        except ConfigError as error:
            log.error("resource %s: %s", resource.name, error)
            return ""
        if not secret:
            log.error("resource %s: the secret for the upstream is empty", resource.name)
        return secret
