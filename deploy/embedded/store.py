"""The embedded store: one process that owns chDB and answers ClickHouse's HTTP protocol on loopback.

Start: `python -m deploy.embedded.store`. The home is $CUSTODY_HOME. Order matters: passwords are read and the port is
bound first, then the process seals itself off, then the engine starts, then run/store.json says ready.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import shutil
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from deploy.embedded.store_auth import read_passwords
from deploy.embedded.store_engine import Engine, EngineLimits
from deploy.embedded.store_errors import StoreError
from deploy.embedded.store_http import Front
from deploy.embedded.store_roles import Role, allowed_functions
from deploy.embedded.store_sandbox import Reach, runtime_paths, seal
from deploy.embedded.store_spool import INBOX, Inbox
from deploy.embedded.store_state import StateFile
from schemas.config import find_settings
from schemas.errors import CustodyError
from schemas.runtime import Home, find_home
from schemas.wire.log_filter import set_up_logging

NAME: Final = "store"
LOOPBACK: Final = "127.0.0.1"
BACKLOG: Final = 256
MAX_LINE_BYTES: Final = 1 << 20  # statements may stand in the URL
SHUTDOWN_TIMEOUT_S: Final = 5.0

log = logging.getLogger("custody.store")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the process is started with."""

    home: Home
    port: int
    max_insert_bytes: int = 512 << 20
    limits: EngineLimits = field(default_factory=EngineLimits)

    @classmethod
    def load(cls, home: Home) -> "StoreSettings":
        """From the home's custody.yaml. Raises ConfigError."""
        settings = find_settings(home)
        limits = EngineLimits(
            max_result_bytes=settings.store.max_result_bytes, max_read_seconds=settings.store.max_query_s
        )
        return cls(home, settings.ports.store, settings.store.max_insert_bytes, limits)

    @property
    def directory(self) -> Path:
        return self.home.root / "store"


def bind(port: int) -> socket.socket:
    """A listening socket on loopback. Raises StoreError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise StoreError(f"port {port} (ports.store): {error.strerror}") from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def prepare_temporary(directory: Path) -> None:
    """An empty directory for the engine's temporary files: it may write nowhere else."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    os.environ["TMPDIR"] = str(directory)


def run(settings: StoreSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises CustodyError when the store cannot start."""
    home = settings.home
    passwords = read_passwords(home)
    settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    inbox = Inbox(settings.directory / INBOX, settings.max_insert_bytes)
    inbox.prepare()
    prepare_temporary(settings.directory / "tmp")
    listener = bind(settings.port)
    allowed_functions()  # read now: later this process cannot open its own source
    state = StateFile.open(home, NAME)
    means = seal(Reach(own=(settings.directory,), read=runtime_paths()))
    engine = Engine(settings.directory / "data", settings.limits)
    try:
        asyncio.run(serve(Front(engine, inbox, passwords), listener, state, means))
    finally:
        engine.close()


async def serve(front: Front, listener: socket.socket, state: StateFile, means: list[str]) -> None:
    """Answer requests until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        front.make_app(),
        access_log=None,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        auto_decompress=False,  # bodies are unpacked in bounded pieces by store_codec
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    port = listener.getsockname()[1]
    state.announce({"http": port}, {"sandbox": means, "version": front.engine.version})
    log.info("ready port=%d sandbox=%s roles=%s", port, "+".join(means), ",".join(Role))
    await stop.wait()
    await runner.cleanup()


def main() -> int:
    """Process entry; exit code 2 with one line when it cannot start."""
    faulthandler.enable()
    set_up_logging()
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # it would log request lines that it cannot read
    os.umask(0o077)
    try:
        run(StoreSettings.load(Home(find_home())))
    except CustodyError as error:
        sys.stderr.write(f"store: {error}\n")
        return 2
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            sys.stderr.write("store: stopped\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
