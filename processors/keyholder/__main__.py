"""`python -m processors.keyholder`: holds the token keys and answers traces, apart from the process that unseals.

Serves HTTP on `run/keyholder.sock` (0600). Supervised: it ends rather than guess.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from aiohttp import web

from masking.tokens import TokenRing
from processors.keyholder.callers import read_callers
from processors.keyholder.limits import Limiter
from processors.keyholder.rotations import FILE, Rotations
from processors.keyholder.service import Service
from schemas.config import Settings, find_settings
from schemas.errors import AuditUnavailable, ConfigError, CustodyError
from schemas.keys import RingWatch
from schemas.runtime import Home, RunState, announce_ready, find_home, now_us, write_run_state
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing
from schemas.wire.trail import Trail

log = logging.getLogger("processors.keyholder")

NAME: Final = "keyholder"
SOCKET: Final = "keyholder.sock"
TICK_S: Final = 1.0
STOP_TIMEOUT_S: Final = 3.0
EXIT_FAILED: Final = 2


class KeyHolder:
    """The process: its keys, its service, its trail."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self._home = home
        self._watch = RingWatch(home, settings.masking.token_key)
        self._ring = self._watch.read()
        self._tokens = TokenRing(self._ring.keys)
        self._trail = Trail(NAME, NAME, settings, home)
        directory = home.root / NAME
        self._rotations = Rotations(directory / FILE, self._trail)
        limiter = Limiter(settings.trace, directory / "limits.json")
        self._service = Service(self._tokens, limiter, self._trail, read_callers(home))
        self._alarms: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`. Raises AuditUnavailable, ConfigError when it cannot start."""
        write_run_state(self._home, RunState(NAME, os.getpid(), started_at=now_us()))
        await self._trail.start()
        runner = web.AppRunner(self._service.application(), access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        await runner.setup()
        listener = listen(self._home.run, SOCKET)
        try:
            await web.SockSite(runner, listener).start()
            self._announce()
            while not stop.is_set():
                await self._tick()
                try:
                    await asyncio.wait_for(stop.wait(), TICK_S)
                except TimeoutError:
                    continue
        finally:
            await runner.cleanup()
            await self._trail.stop()

    async def _tick(self) -> None:
        before = dict(self._alarms)
        try:
            ring = self._watch.poll()
            if ring is not None:
                self._ring = ring
                self._tokens.replace(ring.keys)
            names = {"token": self._ring.names[0], "unseal": self._home.unseal_public().id}
            for purpose in await self._rotations.note(names):
                log.warning("the %s key was rotated", purpose)
            self._alarms.clear()
        except (ConfigError, ValueError, AuditUnavailable) as error:
            self._alarms["keys"] = str(error)
        if self._alarms != before:
            self._announce()

    def _announce(self) -> None:
        announce_ready(self._home, NAME, None, alarms=self._alarms, keys=len(self._tokens))


def listen(directory: Path, name: str) -> socket.socket:
    """A Unix socket of mode 0600 in a directory of any length: its address goes by the directory's descriptor."""
    (directory / name).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{name}")
    finally:
        os.close(folder)
        os.umask(before)
    listener.listen(64)
    listener.setblocking(False)
    return listener


async def _run(settings: Settings, home: Home) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await KeyHolder(settings, home).run(stop)


def main() -> int:
    """Exit status: 0 after a signal, 2 when it cannot start."""
    set_up_logging()
    home = Home(find_home())
    try:
        settings = find_settings(home)
        choose_framing(settings)
        asyncio.run(_run(settings, home))
    except CustodyError as error:
        log.critical("%s", error)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
