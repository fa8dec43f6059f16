"""`python -m processors.worker mask|detect|retain`: one process of stages. Supervised: it ends rather than guess."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import uvloop
from confluent_kafka.admin import AdminClient

from processors.app import GATHERED, NO_HURRY, make_app
from processors.detect import DetectStage
from processors.detection import data_flow
from processors.detection.engine import summarize
from processors.facts import FactsStage
from processors.mask import MaskStage
from processors.quarantining import check_rules
from processors.retain import RetainStage
from processors.stage import EXIT_FATAL, Stage
from processors.watchdog import Watchdog
from schemas.config import Settings, find_settings
from schemas.errors import ConfigError, CustodyError, Unreachable
from schemas.runtime import Home, RunState, announce_ready, find_home, now_us, write_run_state
from schemas.wire import kafka
from schemas.wire.control import ControlView
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing

log = logging.getLogger("processors.worker")

EXIT_CONFIG: Final = 2
EXIT_UNREACHABLE: Final = 4
START_TIMEOUT_S: Final = 45.0
STOP_TIMEOUT_S: Final = 10.0
TICK_S: Final = 1.0
QUIET: Final = ("faust", "mode", "aiokafka")
"""Loggers whose chatter is cut to warnings."""


class Worker:
    """Runs the stages of one process until a signal, or until one of them crashes."""

    def __init__(self, name: str, stages: Sequence[Stage], home: Home) -> None:
        self._name = f"worker-{name}"
        self._stages = stages
        self._home = home
        self._started_at = now_us()
        self._stop = asyncio.Event()
        self._said: Any = None

    async def run(self) -> int:
        """The process's exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        write_run_state(self._home, RunState(self._name, os.getpid(), False, {}, self._started_at))
        for stage in self._stages:
            await asyncio.to_thread(stage.store.ensure)
        services = [asyncio.create_task(self._serve(stage)) for stage in self._stages]
        try:
            await self._until_ready(services)
            await self._tend(services)
        finally:
            await self._shut_down(services)
        return EXIT_FATAL if not self._stop.is_set() else 0

    async def _serve(self, stage: Stage) -> None:
        watchdog = asyncio.create_task(Watchdog(stage).run())
        try:
            await stage.app.start()
            await stage.app.wait_until_stopped()
        finally:
            watchdog.cancel()

    async def _until_ready(self, services: Sequence[asyncio.Task[None]]) -> None:
        ready = asyncio.gather(*(stage.is_ready.wait() for stage in self._stages))
        stop = asyncio.create_task(self._stop.wait())
        waiting: list[asyncio.Future[Any]] = [ready, stop, *services]
        await asyncio.wait(waiting, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not ready.done():
            ready.cancel()
            if not self._stop.is_set():
                raise Unreachable("the stages did not get their partitions in time")

    async def _tend(self, services: Sequence[asyncio.Task[None]]) -> None:
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection has to walk it again
        gc.set_threshold(50_000, 20, 50)
        log.info("%s is ready", self._name)
        while not self._stop.is_set() and not any(service.done() for service in services):
            self._announce()
            for stage in self._stages:
                await stage.tick()
            try:
                await asyncio.wait_for(self._stop.wait(), TICK_S)
            except TimeoutError:
                continue

    def _announce(self) -> None:
        alarms = {f"{stage.component}: {name}": text for stage in self._stages for name, text in stage.alarms.items()}
        detail = {"alarms": alarms, "stages": {stage.component: sorted(stage.partitions) for stage in self._stages}}
        if detail != self._said:
            self._said = detail
            announce_ready(self._home, self._name, None, **detail)

    async def _shut_down(self, services: Sequence[asyncio.Task[None]]) -> None:
        for stage in self._stages:
            try:
                await asyncio.wait_for(stage.app.stop(), STOP_TIMEOUT_S)
            except Exception as error:  # nothing rests on an orderly end
                log.warning("%s: %s while stopping", stage.component, type(error).__name__)
        for service in services:
            service.cancel()


def make_mask(settings: Settings, home: Home) -> list[Stage]:
    """The masking stage."""
    view = ControlView(settings, home, "mask")
    view.start()
    return [MaskStage(settings, home, make_app(settings, home, "mask", _instance()), view)]


def make_detect(settings: Settings, home: Home) -> list[Stage]:
    """Facts and the rules over them. Raises ConfigError for settings of a rule that there is not."""
    check_rules(settings.detection, {**summarize(), data_flow.ID: ""})
    view = ControlView(settings, home, "detect")
    view.start()
    return [
        FactsStage(settings, home, make_app(settings, home, "facts", _instance(), GATHERED)),
        DetectStage(settings, home, make_app(settings, home, "detect", _instance(), GATHERED), view),
    ]


def make_retain(settings: Settings, home: Home) -> list[Stage]:
    """Retention orders."""
    return [RetainStage(settings, home, make_app(settings, home, "retain", _instance(), NO_HURRY))]


STAGES: Final[dict[str, Callable[[Settings, Home], list[Stage]]]] = {
    "mask": make_mask,
    "detect": make_detect,
    "retain": make_retain,
}


def _instance() -> str:
    """Names this worker among several of one kind; two with one name exclude each other."""
    return os.environ.get("CUSTODY_WORKER", "0")


def check_broker(settings: Settings, home: Home, component: str) -> None:
    """Raises Unreachable when the broker does not answer."""
    try:
        AdminClient(kafka.client_config(settings, home, component)).list_topics(timeout=kafka.TIMEOUT_S)
    except Exception as error:
        raise Unreachable(f"kafka at {settings.bootstrap()}: {error}") from None


async def _run(name: str, settings: Settings, home: Home) -> int:
    check_broker(settings, home, name)
    stages = STAGES[name](settings, home)
    return await Worker(name, stages, home).run()


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 after a signal, 2 bad settings, 3 a stage gave up, 4 the broker is away."""
    if len(arguments) != 1 or arguments[0] not in STAGES:
        sys.stderr.write(f"usage: python -m processors.worker {'|'.join(STAGES)}\n")
        return EXIT_CONFIG
    set_up_logging()
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        home = Home(find_home())
        settings = find_settings(home)
        choose_framing(settings)
        return uvloop.run(_run(arguments[0], settings, home))
    except ConfigError as error:
        log.critical("%s", error)
        return EXIT_CONFIG
    except CustodyError as error:
        log.critical("%s", error)
        return EXIT_UNREACHABLE


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    # Faust's threads may be in the middle of something; nothing rests on an orderly end.
    os._exit(status)
