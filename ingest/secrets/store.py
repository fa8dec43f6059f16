"""Secrets as the proxies use them: asked for in a thread, kept for a while, asked for again when one is refused."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ingest.secrets.aws import AwsSource
from ingest.secrets.base import Secret, Source
from ingest.secrets.encrypted import EncryptedSource
from ingest.secrets.gcp import GcpSource
from ingest.secrets.kubernetes import KubernetesSource
from ingest.secrets.local import LocalSource
from ingest.secrets.vault import VaultSource
from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from schemas.secret_references import parse_reference
from schemas.secrets_config import Secrets

log = logging.getLogger(__name__)

LOCAL_S: Final = 1.0
"""What is on this host is read again after this."""
USED_UP: Final = 0.7
"""A secret that says how long it lives is asked for anew after this part of it."""
BETWEEN_S: Final = 1.0
"""Least time between two readings that refused logins cause."""
MAX_KEPT: Final = 1000


def make_sources(settings: Settings, home: Home) -> dict[str, Callable[[], Source]]:
    """Kind to what makes its source, when a first secret of it is asked for."""
    places, timeout_s = settings.secrets, settings.secrets.timeout_s

    def vault() -> Source:
        if not places.vault.url:
            raise ConfigError("secrets.vault.url is not set")
        return VaultSource(places.vault, home, timeout_s)

    def local() -> Source:
        return LocalSource(home)

    return {
        "env": local,
        "file": local,
        "encrypted": lambda: EncryptedSource(places.encrypted, home),
        "vault": vault,
        "vault-db": vault,
        "aws": lambda: AwsSource(places.aws, timeout_s),
        "gcp": lambda: GcpSource(places.gcp, timeout_s),
        "k8s": lambda: KubernetesSource(places.kubernetes, timeout_s),
    }


@dataclass(frozen=True, slots=True)
class _Kept:
    secret: Secret
    read_at: float
    fresh_until: float
    ends_at: float


class SecretStore:
    """Of one process, for its event loop."""

    def __init__(
        self,
        settings: Secrets,
        sources: Mapping[str, Callable[[], Source]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._makers = sources
        self._sources: dict[Callable[[], Source], Source] = {}
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._under_way: dict[str, asyncio.Task[Secret]] = {}

    def fresh(self, reference: str) -> Secret | None:
        """The secret, if nobody has to be asked for it now."""
        kept = self._kept.get(reference)
        return kept.secret if kept is not None and self._clock() < kept.fresh_until else None

    async def get(self, reference: str) -> Secret:
        """The secret of a reference. Raises ConfigError, Unreachable; neither holds it.

        When its place does not answer, the last one serves for `stale_s` more, unless it says itself that it has ended.
        """
        kept = self._kept.get(reference)
        now = self._clock()
        if kept is not None and now < kept.fresh_until:
            return kept.secret
        try:
            return await self._fetch(reference)
        except Unreachable as error:
            if kept is None or now >= kept.ends_at:
                raise
            log.warning("%s: %s; the secret read before serves on", reference.partition("#")[0], error)
            return kept.secret

    def refused(self, reference: str) -> bool:
        """An upstream refused the secret: whether it is worth asking for it again, since it may have been rotated."""
        kept = self._kept.get(reference)
        if kept is None or self._clock() - kept.read_at < BETWEEN_S:
            return False
        del self._kept[reference]
        return True

    async def _fetch(self, reference: str) -> Secret:
        """One asking at a time for each reference, however many connections wait for it."""
        task = self._under_way.get(reference)
        if task is None:
            task = asyncio.create_task(self._read(reference))
            self._under_way[reference] = task
            task.add_done_callback(lambda done: self._forget(reference, done))
        return await asyncio.shield(task)

    def _forget(self, reference: str, done: "asyncio.Task[Secret]") -> None:
        self._under_way.pop(reference, None)
        if not done.cancelled():
            done.exception()  # seen, though all who waited may be gone

    async def _read(self, reference: str) -> Secret:
        parsed = parse_reference(reference)
        secret = await asyncio.to_thread(lambda: self._source(parsed.kind).fetch(parsed))
        now = self._clock()
        fresh_s = LOCAL_S if parsed.is_local else self._settings.cache_s
        ends_at = math.inf
        if secret.ttl_s:
            fresh_s, ends_at = secret.ttl_s * USED_UP, now + secret.ttl_s
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        stale_until = now + fresh_s + self._settings.stale_s
        self._kept[reference] = _Kept(secret, now, now + fresh_s, min(ends_at, stale_until))
        return secret

    def _source(self, kind: str) -> Source:
        maker = self._makers[kind]
        if maker not in self._sources:
            self._sources[maker] = maker()
        return self._sources[maker]
