"""The embedded stack's witness as a process: `python -m sinks.transparency.witness_process`.

It runs under the log's own account, so it guards against a mistaken or restored log, not against that account: for
that, run `custody witness` elsewhere and name it in a policy file.
"""

import logging
import signal
import sys
import threading
from functools import partial
from http.server import ThreadingHTTPServer

from schemas.config import find_settings
from schemas.errors import CustodyError
from schemas.runtime import Home, announce_ready, find_home
from schemas.wire.log_filter import set_up_logging
from sinks.transparency.note import KeySigner
from sinks.transparency.place import LOOPBACK, WITNESS, embedded_witness, find_origin, witness_directory
from sinks.transparency.rotation import list_keys
from sinks.transparency.witness import WitnessState, make_server

_log = logging.getLogger(__name__)


def serve(server: ThreadingHTTPServer) -> None:
    """Answer until SIGTERM or SIGINT."""

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.server_close()


def main() -> int:
    """Exit code 0 after SIGTERM, 2 for bad settings or a missing key, 1 for a failure."""
    set_up_logging()
    home = Home(find_home())
    try:
        settings = find_settings(home)
        origin = find_origin(settings, home)
        state = WitnessState(
            witness_directory(home),
            embedded_witness(home).name,
            KeySigner(home.signing_key(WITNESS)),
            list_keys(home, origin),
            reload_keys=partial(list_keys, home, origin),
        )
        server = make_server(state, LOOPBACK, settings.ports.witness)
    except (CustodyError, OSError) as error:
        _log.error("%s", error)
        return 2
    announce_ready(home, WITNESS, {"http": server.server_address[1]})
    serve(server)
    state.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
