"""Where a running Custody keeps things: the home directory, secrets, readiness of processes."""

import json
import os
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.clock import now_us as now_us
from schemas.errors import ConfigError
from schemas.wire.suites import UnsealPrivate, UnsealPublic, private_from, public_from

ENV_HOME = "CUSTODY_HOME"


def find_home() -> Path:
    """The home directory: $CUSTODY_HOME, else ./.custody."""
    return Path(os.environ.get(ENV_HOME, ".custody")).absolute()


@dataclass(frozen=True, slots=True)
class Home:
    """Paths under one home directory."""

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def public(self) -> Path:
        return self.root / "public"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def ca(self) -> Path:
        return self.root / "ca"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def read_secret(self, name: str) -> str:
        """A secret file's text without its final newline, e.g. `kafka/proxy.password`. Raises ConfigError."""
        try:
            return self.read_key(name).decode().rstrip("\n")
        except UnicodeDecodeError:
            raise ConfigError(f"secrets/{name} is not text") from None

    def read_key(self, name: str) -> bytes:
        """A secret file's bytes. Raises ConfigError when it is missing or others may read it."""
        path = self.secrets / name
        if not path.resolve().is_relative_to(self.secrets.resolve()):
            raise ConfigError(f"{name} is outside secrets/")
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"secrets/{name} must have mode 0600")
            return path.read_bytes()
        except OSError as error:
            raise ConfigError(f"secrets/{name}: {error.strerror}") from None

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """An Ed25519 private key kept as 32 raw bytes in secrets/<name>.key."""
        return Ed25519PrivateKey.from_private_bytes(self.read_key(f"{name}.key"))

    def unseal_key(self) -> UnsealPrivate:
        """The unsealing key, from the raw bytes in secrets/unseal.key. Raises ConfigError, ValueError."""
        return private_from(self.read_key("unseal.key"))

    def unseal_public(self) -> UnsealPublic:
        """The public half, from the raw bytes in public/unseal.pub. Raises ConfigError, ValueError."""
        return public_from(self.read_public("unseal"))

    def verify_key(self, name: str) -> Ed25519PublicKey:
        """An Ed25519 public key, from public/<name>.pub (32 raw bytes)."""
        return Ed25519PublicKey.from_public_bytes(self.read_public(name))

    def read_public(self, name: str) -> bytes:
        """The bytes of public/<name>.pub. Raises ConfigError."""
        try:
            return (self.public / f"{name}.pub").read_bytes()
        except OSError as error:
            raise ConfigError(f"public/{name}.pub: {error.strerror}") from None


def forbid_core_dumps() -> None:
    """No core dump of this process and of those it starts: its memory holds what must not be on disk.

    A limit of 1 byte, not 0: Linux takes 0 for files only, and 1 also keeps a core from the program that
    `core_pattern` may pipe it to (core(5); fs/coredump.c).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@dataclass(frozen=True, slots=True)
class RunState:
    """What a process says of itself in run/<name>.json."""

    name: str
    pid: int
    is_ready: bool = False
    ports: dict[str, int] = field(default_factory=dict)
    started_at: int = 0
    detail: dict[str, Any] = field(default_factory=dict)

    def is_alive(self) -> bool:
        """Whether a process with this pid runs (zombies do not)."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"


def write_run_state(home: Home, state: RunState) -> None:
    """Publish a process's state, atomically."""
    document = {
        "pid": state.pid,
        "ready": state.is_ready,
        "ports": state.ports,
        "started_at": state.started_at or now_us(),
        "detail": state.detail,
    }
    write_private(home.run / f"{state.name}.json", json.dumps(document).encode())


def read_run_state(home: Home, name: str) -> RunState | None:
    """The state a process published, or None."""
    try:
        document = json.loads((home.run / f"{name}.json").read_text())
        return RunState(
            name,
            int(document["pid"]),
            bool(document.get("ready")),
            dict(document.get("ports", {})),
            int(document.get("started_at", 0)),
            dict(document.get("detail", {})),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def announce_ready(home: Home, name: str, ports: dict[str, int] | None = None, **detail: Any) -> None:
    """Say that this process serves."""
    write_run_state(home, RunState(name, os.getpid(), True, ports or {}, now_us(), detail))
