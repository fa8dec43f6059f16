"""`custody witness`: sign other people's logs, so that they cannot show two histories."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@click.command()
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory of the witness's key and memory; made at the first start.",
)
@click.option("--name", required=True, help="Name of the witness, a URL without its scheme.")
@click.option("--log", "log_keys", multiple=True, required=True, metavar="VKEY", help="Verifier key; may be repeated.")
@click.option("--listen", default="127.0.0.1:18191", show_default=True, metavar="HOST:PORT")
@click.option("--print-key", is_flag=True, help="Print the witness's verifier key and end.")
def witness(state: Path, name: str, log_keys: tuple[str, ...], listen: str, print_key: bool) -> None:
    """Cosign the checkpoints of logs, in the tlog-witness protocol, until SIGTERM.

    It signs a checkpoint only when that continues everything it signed before, and remembers it before it answers. Run
    it under another account than the log, better on another host; put a TLS proxy before it unless it is on loopback.
    The first line of output is its verifier key, for the log's policy file.
    """
    from schemas.config import is_loopback
    from sinks.transparency.note import KeySigner, parse_vkey
    from sinks.transparency.witness import WitnessState, make_server
    from sinks.transparency.witness_process import serve

    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or not is_loopback(host):
        raise ConfigError(f"--listen {listen}: HOST:PORT on loopback is needed; a TLS proxy stands before it")
    keys = [parse_vkey(text) for text in log_keys]
    witness_state = WitnessState(state, name, KeySigner(_read_key(state)), keys)
    click.echo(witness_state.verifier.vkey)
    try:
        if not print_key:
            try:
                server = make_server(witness_state, host, int(port))
            except OSError as error:
                raise ConfigError(f"--listen {listen}: {error.strerror}") from None
            serve(server)
    finally:
        witness_state.close()


def _read_key(state: Path) -> "Ed25519PrivateKey":
    """The witness's key; made when there is neither key nor memory."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from schemas.runtime import write_private

    path = state / "key"
    if not path.exists():
        if state.is_dir() and any(item.name != "lock" for item in state.iterdir()):
            raise ConfigError(f"{path} is gone, but its memory is there: restore it")
        write_private(path, Ed25519PrivateKey.generate().private_bytes_raw())
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} must have mode 0600")
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
