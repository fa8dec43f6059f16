"""Where the log's signatures come from: a key file, or a program in front of a token or key management service."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.config import Settings
from schemas.errors import Unreachable
from schemas.runtime import Home
from sinks.transparency.note import KeySigner, Signer

KEY: Final = "log"
TIMEOUT_S: Final = 10.0
SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class CommandSigner:
    """Signs through a program: the message on its standard input, 64 bytes of Ed25519 on its standard output.

    So the key can stay in a PKCS#11 token or a cloud's key management, whose own tool does the signing. What it gives
    is verified before it is used.
    """

    argv: tuple[str, ...]
    public_key: bytes

    def sign(self, message: bytes) -> bytes:
        try:
            done = subprocess.run(self.argv, input=message, capture_output=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"the signer {self.argv[0]}: {type(error).__name__}") from None
        if done.returncode or len(done.stdout) != SIGNATURE_BYTES:
            reason = " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
            raise Unreachable(f"the signer {self.argv[0]} ended with {done.returncode}: {reason or 'no signature'}")
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(done.stdout, message)
        except InvalidSignature:
            raise Unreachable(f"the signer {self.argv[0]} signed with another key than public/{KEY}.pub") from None
        return done.stdout


def make_signer(settings: Settings, home: Home) -> Signer:
    """The log's signer. Raises ConfigError without its key."""
    argv: Sequence[str] = settings.transparency.signer_command
    if argv:
        return CommandSigner(tuple(argv), home.read_public(KEY))
    return KeySigner(home.signing_key(KEY))
