"""`python -m ingest.http`: the proxy process for HTTP."""

import asyncio
import logging
import signal
import sys
from typing import Final

import uvloop

from ingest.gate import Gate
from ingest.http.service import HttpService
from ingest.proxy import Proxy
from policy.decide import load_engine
from schemas.config import Settings, find_settings
from schemas.errors import CustodyError
from schemas.runtime import Home, announce_ready, find_home
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing

NAME: Final = "proxy-http"
STOP_TIMEOUT_S: Final = 5.0

log = logging.getLogger(__name__)


async def run(settings: Settings, home: Home) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    proxy = Proxy(NAME, settings, home)
    await proxy.start()
    service = HttpService(proxy, Gate(load_engine(settings.policy_file), "http"))
    epoch = proxy.recorder.publisher.epoch
    try:
        await service.start()
        service.on_ports = lambda ports: announce_ready(home, NAME, ports, epoch=epoch)
        service.on_ports(service.ports)
        await stopped.wait()
    finally:
        await service.close(STOP_TIMEOUT_S)
        await proxy.stop()


def main() -> int:
    """The process. Exit code 2 when it cannot start."""
    set_up_logging()
    # mitmproxy's own messages may quote what it relays.
    logging.getLogger("mitmproxy").setLevel(logging.CRITICAL)
    # Delivery reports arrive in a thread: let it have the interpreter at once, not after 5 ms.
    sys.setswitchinterval(0.0005)
    home = Home(find_home())
    try:
        settings = find_settings(home)
        choose_framing(settings)
        uvloop.run(run(settings, home))
    except CustodyError as error:
        log.critical("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
