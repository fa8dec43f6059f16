"""What all connections of the HTTP proxy share: who may act, on what, and the secrets that upstreams want to see."""

import logging
from collections.abc import Mapping

from ingest.gate import Gate
from ingest.proxy import Proxy
from schemas.errors import ConfigError, Unreachable
from schemas.resources import Resource, Upstream, with_class

log = logging.getLogger(__name__)


class Shared:
    """One for each process."""

    def __init__(self, proxy: Proxy, gate: Gate) -> None:
        self.proxy = proxy
        self.gate = gate
        self.resources: dict[str, Resource] = {}
        self.by_address: dict[tuple[str, int], Resource] = {}
        self.max_unrecorded_bytes = proxy.settings.capture.max_unrecorded_bytes
        nowhere = Upstream(host="unregistered", port=1)
        self.unregistered = with_class(
            Resource(name="unregistered", protocol="http", listen=0, upstream=nowhere), proxy.settings.retention
        )

    def update(self, wanted: Mapping[str, Resource]) -> None:
        """Take over what is registered now. A resource that is equal stays the same object: its sessions go on."""
        before = self.resources
        self.resources = {name: before[name] if before.get(name) == found else found for name, found in wanted.items()}
        self.by_address = {(r.upstream.host.lower(), r.upstream.port): r for r in reversed(self.resources.values())}

    def fresh_secret(self, resource: Resource) -> str | None:
        """What the upstream wants to see, if nobody has to be asked for it; "" when the resource names none."""
        reference = resource.upstream.secret
        secret = self.proxy.secrets.fresh(reference) if reference else None
        return secret.value if secret is not None else None if reference else ""

    async def upstream_secret(self, resource: Resource) -> str:
        """What the upstream wants to see. Raises ConfigError when it is missing; the log says why."""
        try:
            return (await self.proxy.secrets.get(resource.upstream.secret)).value
        except (ConfigError, Unreachable) as error:
            log.error("resource %s: %s", resource.name, error)
            raise ConfigError("the secret for the upstream is missing") from None

    def secret_refused(self, resource: Resource) -> None:
        """The upstream does not take the secret: it may have been rotated, and is asked for again with the next use."""
        if resource.upstream.secret and self.proxy.secrets.refused(resource.upstream.secret):
            log.warning("resource %s: the upstream refused its secret, which is read again", resource.name)
