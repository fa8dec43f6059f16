"""Makes what is missing of a home's secrets; what exists stays. The table in this file names every file."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.embedded.process import StackError
from schemas.runtime import Home, write_private
from schemas.topics import COMPONENTS
from schemas.wire.suites import KEMS, X25519, private_from

ADMIN: Final = "admin"
STORE_ROLES: Final = ("writer", "reader", "retention", "schema")
PROXIES: Final = ("proxy-tcp", "proxy-http")
KEYHOLDER: Final = "keyholder"
KEYHOLDER_CALLERS: Final = ("console", "api")
API_ROLES: Final = ("auditor", "approver", "operator", "policy-admin")
DEMO_POSTGRES_LOGIN: Final = "upstream/demo-postgres.password"
DEMO_HTTP_LOGIN: Final = "upstream/demo-http.token"

PASSWORDS: Final = (
    *(f"kafka/{component}.password" for component in (ADMIN, *COMPONENTS)),
    *(f"store/{role}.password" for role in STORE_ROLES),
    *(f"{KEYHOLDER}/{caller}.password" for caller in KEYHOLDER_CALLERS),
    *(f"api/{role}.password" for role in API_ROLES),
    DEMO_POSTGRES_LOGIN,
    DEMO_HTTP_LOGIN,
)
"""URL-safe text, 32 random bytes."""

SYMMETRIC_KEYS: Final = ("mint", "token", "digest")
"""32 random bytes."""

SIGNING_KEYS: Final = ("api", "detect", "log", "witness", KEYHOLDER, *PROXIES)
"""Ed25519, 32 raw bytes; `detect` signs the quarantines it writes to control, `log` the transparency log's heads."""

IRREPLACEABLE: Final = ("api", "unseal", "log", "witness")
"""A new one would silently disown what the old one signed or sealed."""

DIRECTORIES: Final = ("secrets", "public", "ca", "kafka", "store", "postgres", "spool", "logs", "run")


def create_secrets(home: Home, kem: str = X25519.name) -> None:
    """Directories 0700, secret files 0600, public halves. StackError when a key that cannot be replaced is gone.

    `kem` is the kind of an unsealing key that is missing; the one that is there stays what it is.
    """
    make_private_directory(home.root)
    for name in DIRECTORIES:
        make_private_directory(home.root / name)
    for name in PASSWORDS:
        _create(home.secrets / name, lambda: secrets.token_urlsafe(32).encode())
    for name in SYMMETRIC_KEYS:
        _create(home.secrets / f"{name}.key", lambda: os.urandom(32))
    for name in SIGNING_KEYS:
        _create_key_pair(home, name, _make_signing_key, _public_of_signing_key)
    _create_key_pair(home, "unseal", KEMS[kem].generate, _public_of_unseal_key)


def read_kafka_passwords(home: Home) -> dict[str, str]:
    """Component -> password, `admin` included."""
    return {component: home.read_secret(f"kafka/{component}.password") for component in (ADMIN, *COMPONENTS)}


def make_private_directory(path: Path) -> None:
    """Create `path` with mode 0700, or close it to others when it exists."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def _create(path: Path, make: Callable[[], bytes]) -> None:
    make_private_directory(path.parent)
    if not path.exists():
        write_private(path, make())


def _create_key_pair(home: Home, name: str, make: Callable[[], bytes], public_of: Callable[[bytes], bytes]) -> None:
    secret, public = home.secrets / f"{name}.key", home.public / f"{name}.pub"
    if name in IRREPLACEABLE and public.exists() and not secret.exists():
        raise StackError(
            f"secrets/{name}.key is gone: restore it; only if it is lost for good, remove public/{name}.pub too"
        )
    _create(secret, make)
    wanted = public_of(secret.read_bytes())
    if not public.exists() or public.read_bytes() != wanted:
        write_private(public, wanted)


def _make_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes_raw()


def _public_of_signing_key(secret: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def _public_of_unseal_key(secret: bytes) -> bytes:
    return private_from(secret).public_key().raw
