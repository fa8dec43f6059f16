"""What every place of secrets gives, and how it fails."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from schemas.errors import ConfigError
from schemas.secret_references import Reference

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts a pod's own token and the cluster's CA."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, and the user that goes with it where its place makes both. `ttl_s` 0: it says not how long it lives."""

    value: str = field(repr=False)
    user: str = ""
    ttl_s: float = 0.0


class Source(Protocol):
    """One place. `fetch` blocks, and may be called from any thread."""

    def fetch(self, reference: Reference) -> Secret:
        """Raises ConfigError (there is no such secret, it may not be read), Unreachable (ask again)."""


def text_of(value: object, reference: Reference) -> str:
    """A secret's text. Raises ConfigError, without it."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{reference.kind}:{reference.path} has no text {reference.field!r}")
    return value
