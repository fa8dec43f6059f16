"""Witnesses of a test's own, over real HTTP on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sinks.transparency.note import KeySigner
from sinks.transparency.quorum import Witness
from sinks.transparency.witness import WitnessState, make_server
from tests.sinks.transparency.logs import VERIFIER


def make_state(directory: Path, number: int = 0) -> WitnessState:
    signer = KeySigner(Ed25519PrivateKey.from_private_bytes(bytes((0x40 + number,)) * 32))
    return WitnessState(directory, f"w{number}.example.test", signer, [VERIFIER], clock=lambda: 1_790_000_000)


@contextmanager
def run_witness(directory: Path, number: int = 0, port: int = 0) -> Iterator[Witness]:
    """A witness that answers; its name in the policy is `w<number>`."""
    state = make_state(directory, number)
    server = make_server(state, "127.0.0.1", port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Witness(f"w{number}", state.verifier, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        state.close()
