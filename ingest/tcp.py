"""`python -m ingest.tcp`: the proxy process for protocols over TCP."""

import asyncio
import gc
import logging
import signal
import sys
from typing import Final

import uvloop

from ingest.listeners import Listeners
from ingest.proxy import Proxy
from policy.decide import load_engine
from schemas.config import Settings, find_settings
from schemas.errors import CustodyError
from schemas.runtime import Home, announce_ready, find_home
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing

NAME: Final = "proxy-tcp"
STOP_TIMEOUT_S: Final = 5.0

log = logging.getLogger(__name__)


async def run(settings: Settings, home: Home) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    proxy = Proxy(NAME, settings, home)
    await proxy.start()
    listeners = Listeners(proxy, load_engine(settings.policy_file))
    epoch = proxy.recorder.publisher.epoch
    serving = asyncio.create_task(listeners.run(lambda ports: announce_ready(home, NAME, ports, epoch=epoch)))
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    await listeners.close(STOP_TIMEOUT_S)
    await proxy.stop()
    if serving.done() and not serving.cancelled() and (error := serving.exception()):
        raise error


def main() -> int:
    """The process. Exit code 2 when it cannot start."""
    set_up_logging()
    # Delivery reports arrive in a thread: let it have the interpreter at once, not after 5 ms.
    sys.setswitchinterval(0.0005)
    # Events die young and without cycles: look for cycles seldom, and never among what is loaded by now.
    gc.set_threshold(50_000, 20, 50)
    gc.freeze()
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
