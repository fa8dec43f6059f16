"""`python -m ingest.http`: the proxy process for HTTP."""

import asyncio
import logging
import sys
from typing import Final

from ingest.gate import Gate
from ingest.http.service import HttpService
from ingest.masks import Masks
from ingest.process import run_process
from ingest.proxy import Proxy
from schemas.config import Settings
from schemas.runtime import Home, announce_ready

NAME: Final = "proxy-http"
STOP_TIMEOUT_S: Final = 5.0


async def serve(settings: Settings, home: Home, stopped: asyncio.Event) -> None:
    """Serve until stopped."""
    # mitmproxy's own messages may quote what it relays.
    logging.getLogger("mitmproxy").setLevel(logging.CRITICAL)
    proxy = Proxy(NAME, settings, home)
    masks = Masks(home, settings.masking.token_key)
    await proxy.start()
    await masks.prepare(proxy.engine)
    service = HttpService(proxy, Gate(proxy.engine, "http", masks), masks.follow)
    epoch = proxy.recorder.publisher.epoch
    try:
        await service.start()
        service.on_ports = lambda ports: announce_ready(home, NAME, ports, epoch=epoch, alarms=service.shut)
        service.on_ports(service.ports)
        await stopped.wait()
    finally:
        await service.close(STOP_TIMEOUT_S)
        await proxy.stop()


if __name__ == "__main__":
    sys.exit(run_process(serve))
