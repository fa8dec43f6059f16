"""Where signatures come from: a key in a file, and a program in front of one."""

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from sinks.transparency.note import KeySigner
from sinks.transparency.signing import CommandSigner, make_signer

PROGRAM = """
import sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.from_private_bytes(open(sys.argv[1], "rb").read())
sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read()))
"""


def test_the_key_file_signs(bare_home: Home) -> None:
    signer = make_signer(Settings(), bare_home)
    assert isinstance(signer, KeySigner) and signer.public_key == bare_home.read_public("log")
    bare_home.verify_key("log").verify(signer.sign(b"text"), b"text")
    (bare_home.secrets / "log.key").unlink()
    with pytest.raises(ConfigError, match=r"log\.key"):
        make_signer(Settings(), bare_home)


def test_a_program_signs_with_a_key_that_custody_never_reads(bare_home: Home, tmp_path: Path) -> None:
    key = tmp_path / "token"
    (bare_home.secrets / "log.key").rename(key)
    argv = [sys.executable, "-c", PROGRAM, str(key)]
    signer = make_signer(Settings.model_validate({"transparency": {"signer_command": argv}}), bare_home)
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(signer.sign(b"text"), b"text")


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("import sys; sys.exit('no token in the slot')", "no token in the slot"),
        ("print('short')", "no signature"),
        ("import sys; sys.stdout.buffer.write(bytes(64))", "another key"),
    ],
)
def test_a_program_that_does_not_sign_is_waited_for(bare_home: Home, program: str, fault: str) -> None:
    signer = CommandSigner((sys.executable, "-c", program), bare_home.read_public("log"))
    with pytest.raises(Unreachable, match=fault):
        signer.sign(b"text")
    with pytest.raises(Unreachable, match="FileNotFoundError"):
        CommandSigner(("/nowhere/signer",), bare_home.read_public("log")).sign(b"text")
