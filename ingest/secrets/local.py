"""`env:NAME` and `file:NAME`: this process's environment, and files of mode 0600 under secrets/."""

from ingest.secrets.base import Secret
from schemas.errors import ConfigError
from schemas.resources import resolve_secret
from schemas.runtime import Home
from schemas.secret_references import Reference


class LocalSource:
    """Read anew each time: a rotated file counts at once."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def fetch(self, reference: Reference) -> Secret:
        value = resolve_secret(reference.text, self._home)
        if not value:
            raise ConfigError(f"{reference.text} is empty")
        return Secret(value)
