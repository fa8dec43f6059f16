"""How a capture proxy runs as a process: logging, interpreter settings, signals, exit codes."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from ingest.durability import watch_durability
from schemas.config import Settings, find_settings
from schemas.errors import CustodyError
from schemas.runtime import Home, find_home
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing

Serve = Callable[[Settings, Home, asyncio.Event], Awaitable[None]]
"""Serves until the event is set by SIGTERM or SIGINT."""

log = logging.getLogger(__name__)


def run_process(serve: Serve) -> int:
    """Run to the end. Exit code 2 when it cannot start, with one line that says why."""
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
        uvloop.run(_serve_until_stopped(serve, settings, home))
    except CustodyError as error:
        log.critical("%s", error)
        return 2
    return 0


async def _serve_until_stopped(serve: Serve, settings: Settings, home: Home) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    watch = asyncio.create_task(watch_durability(settings, home, stopped))
    try:
        await serve(settings, home, stopped)
    finally:
        watch.cancel()
    if watch.done() and not watch.cancelled():
        watch.result()
