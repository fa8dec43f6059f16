"""`python -m ingest.tcp`: the proxy process for protocols over TCP."""

import asyncio
import sys
from typing import Final

from ingest.listeners import Listeners
from ingest.masks import Masks
from ingest.process import run_process
from ingest.proxy import Proxy
from schemas.config import Settings
from schemas.runtime import Home, announce_ready

NAME: Final = "proxy-tcp"
STOP_TIMEOUT_S: Final = 5.0


async def serve(settings: Settings, home: Home, stopped: asyncio.Event) -> None:
    """Serve until stopped."""
    proxy = Proxy(NAME, settings, home)
    masks = Masks(home, settings.masking.token_key)
    await proxy.start()
    await masks.prepare(proxy.engine)
    listeners = Listeners(proxy, proxy.engine, masks)
    epoch = proxy.recorder.publisher.epoch

    def announce(ports: dict[str, int]) -> None:
        announce_ready(home, NAME, ports, epoch=epoch, alarms=listeners.shut)

    serving = asyncio.create_task(listeners.run(announce))
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    waiting.cancel()
    await listeners.close(STOP_TIMEOUT_S)
    await proxy.stop()
    if serving.done() and not serving.cancelled() and (error := serving.exception()):
        raise error


if __name__ == "__main__":
    sys.exit(run_process(serve))
