"""The process that holds the embedded stack: starts the parts in order, restarts what dies, stops all at the end.

One thread and one loop: a part gets SIGTERM when the thread that started it ends, so even a killed supervisor
leaves nothing behind. What it knows is in run/supervisor.json.
"""

import argparse
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

from deploy.embedded.orphans import stop_orphans
from deploy.embedded.parts import PARTS, Part, Runner, select_parts
from deploy.embedded.process import PortTaken, StackError, describe_exit, require_free_port
from schemas.config import Settings, find_settings
from schemas.errors import CustodyError
from schemas.runtime import Home, RunState, now_us, read_run_state, write_run_state
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing

NAME: Final = "supervisor"
EXIT_FAILED: Final = 1
EXIT_RUNNING_ALREADY: Final = 3

TICK_S: Final = 0.05
READY_TIMEOUT_S: Final = 120.0
FIRST_START_ATTEMPTS: Final = 3
FIRST_BACKOFF_S: Final = 0.2
LAST_BACKOFF_S: Final = 10.0
# A part that ran this long is not blamed for earlier deaths.
FORGIVE_AFTER_S: Final = 60.0

log = logging.getLogger("custody.supervisor")


class Phase(StrEnum):
    """Where a part is."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


class Step(StrEnum):
    """What the supervisor does next with a part."""

    NOTHING = "nothing"
    LAUNCH = "launch"
    SETTLE = "settle"
    LOST = "lost"
    TIMED_OUT = "timed out"


@dataclass
class Slot:
    """A part and what became of it. Times are seconds of the monotonic clock."""

    part: Part
    runner: Runner
    phase: Phase = Phase.WAITING
    since: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    restarts: int = 0
    error: str = ""

    def describe(self) -> dict[str, Any]:
        """For run/supervisor.json."""
        return {"phase": self.phase.value, "restarts": self.restarts, "error": self.error}


def decide_step(slot: Slot, now: float, is_alive: bool, is_ready: bool, are_needs_ready: bool) -> Step:
    """What to do with a part, from what is seen of it."""
    match slot.phase:
        case Phase.WAITING | Phase.FAILED:
            return Step.LAUNCH if are_needs_ready and now >= slot.not_before else Step.NOTHING
        case _ if not is_alive:
            return Step.LOST
        case Phase.STARTING if is_ready and now >= slot.not_before:
            return Step.SETTLE
        case Phase.STARTING if now - slot.since > READY_TIMEOUT_S:
            return Step.TIMED_OUT
        case _:
            return Step.NOTHING


def backoff_s(failures: int) -> float:
    """Seconds to wait after this many failures in a row (1, 2, …)."""
    return min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16))


@dataclass
class Supervisor:
    """Runs `slots` until `stop_requested`. `run` raises StackError when the first start fails."""

    home: Home
    settings: Settings
    slots: list[Slot]
    is_up: bool = False
    stop_requested: bool = False
    published: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        try:
            require_free_ports(self.settings, [slot.part for slot in self.slots])
            while not self.stop_requested:
                for slot in self.slots:
                    self.advance(slot, time.monotonic())
                self.is_up = self.is_up or all(slot.phase is Phase.READY for slot in self.slots)
                self.publish()
                time.sleep(TICK_S)
        finally:
            self.stop()

    def advance(self, slot: Slot, now: float) -> None:
        """See, decide, act: one step of one part."""
        if self.stop_requested:
            return
        child = slot.runner.child
        is_alive = child is not None and child.poll() is None
        is_starting = slot.phase is Phase.STARTING
        is_ready = is_alive and is_starting and slot.runner.is_ready()
        self.act(slot, decide_step(slot, now, is_alive, is_ready, self.are_needs_ready(slot)), now)

    def act(self, slot: Slot, step: Step, now: float) -> None:
        match step:
            case Step.LAUNCH:
                self.launch(slot, now)
            case Step.SETTLE:
                self.settle(slot, now)
            case Step.LOST:
                child = slot.runner.child
                code = child.returncode if child is not None else 0
                self.fail(slot, now, describe_exit(slot.part.name, code, self.log_path(slot)))
            case Step.TIMED_OUT:
                why = slot.error or f"see {self.log_path(slot)}"
                self.fail(slot, now, f"{slot.part.name} was not ready within {READY_TIMEOUT_S:.0f} s: {why}")

    def launch(self, slot: Slot, now: float) -> None:
        forget_run_state(self.home, slot.part.name)
        try:
            child = slot.runner.launch()
        except (CustodyError, OSError) as error:
            # Before the stack is up another owner of the port has to be named, not waited for.
            if isinstance(error, PortTaken) and not self.is_up:
                raise
            return self.fail(slot, now, str(error))
        slot.phase, slot.since, slot.not_before = Phase.STARTING, now, now
        write_run_state(self.home, RunState(slot.part.name, child.pid, started_at=now_us()))
        log.info("%s started, pid %d", slot.part.name, child.pid)

    def settle(self, slot: Slot, now: float) -> None:
        try:
            slot.runner.settle()
        except CustodyError as error:
            # The process serves: try again until it is late, which restarts it.
            slot.error, slot.not_before = f"{slot.part.name}: {error}", time.monotonic() + FIRST_BACKOFF_S
            log.warning("%s", slot.error)
            return
        self.announce(slot)
        slot.phase, slot.since, slot.error = Phase.READY, now, ""
        log.info("%s is ready", slot.part.name)

    def announce(self, slot: Slot) -> None:
        """run/<name>.json for a part that is no program of ours."""
        child, state = slot.runner.child, read_run_state(self.home, slot.part.name)
        if child is not None and (state is None or not state.is_ready):
            ports = {name: getattr(self.settings.ports, name) for name in slot.part.ports}
            write_run_state(self.home, RunState(slot.part.name, child.pid, True, ports, now_us()))

    def fail(self, slot: Slot, now: float, reason: str) -> None:
        """Stop what is left of a part and plan the next start; StackError when the first start gives up."""
        log.warning("%s", reason)
        if slot.phase is Phase.READY:
            slot.restarts += 1
            slot.failures = 0 if now - slot.since > FORGIVE_AFTER_S else slot.failures
        slot.runner.stop()
        forget_run_state(self.home, slot.part.name)
        slot.failures += 1
        slot.phase, slot.error, slot.not_before = Phase.FAILED, reason, now + backoff_s(slot.failures)
        if not self.is_up and slot.failures >= FIRST_START_ATTEMPTS:
            raise StackError(reason)

    def are_needs_ready(self, slot: Slot) -> bool:
        """Parts that are not in this stack (an outside broker) count as ready."""
        return all(other.phase is Phase.READY for other in self.slots if other.part.name in slot.part.needs)

    def log_path(self, slot: Slot) -> Path:
        return self.home.logs / f"{slot.part.name}.log"

    def stop(self) -> None:
        """End every part, those first that others do not need."""
        for level in reversed(make_levels([slot.part for slot in self.slots])):
            slots = [slot for slot in self.slots if slot.part.name in level]
            for slot in slots:
                if slot.runner.child is not None and slot.runner.child.poll() is None:
                    slot.runner.child.terminate()
            for slot in slots:
                slot.runner.stop()
                forget_run_state(self.home, slot.part.name)
                log.info("%s stopped", slot.part.name)

    def publish(self) -> None:
        """run/supervisor.json, when something changed."""
        detail = {"parts": {slot.part.name: slot.describe() for slot in self.slots}}
        state: dict[str, Any] = {"ready": self.is_up, **detail}
        if state != self.published:
            write_run_state(self.home, RunState(NAME, os.getpid(), self.is_up, {}, now_us(), detail))
            self.published = state


def make_levels(parts: Sequence[Part]) -> list[list[str]]:
    """Names by depth: a part comes in a later level than all it needs."""
    depth: dict[str, int] = {}
    for part in parts:  # the table lists a part after what it needs
        depth[part.name] = 1 + max((depth[name] for name in part.needs if name in depth), default=-1)
    return [[name for name in depth if depth[name] == level] for level in range(max(depth.values(), default=-1) + 1)]


def require_free_ports(settings: Settings, parts: Sequence[Part]) -> None:
    """PortTaken that names every taken port of these parts."""
    faults = []
    for part in parts:
        for name in part.ports:
            try:
                if port := getattr(settings.ports, name):
                    require_free_port(part.name, port)
            except PortTaken as error:
                faults.append(f"{error} (ports.{name} in custody.yaml)")
    if faults:
        raise PortTaken("; ".join(faults))


def forget_run_state(home: Home, name: str) -> None:
    (home.run / f"{name}.json").unlink(missing_ok=True)


def lock_home(home: Home) -> IO[bytes] | None:
    """The open lock file of the home's one supervisor, None when another holds it."""
    lock = (home.run / "supervisor.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def supervise(home: Home, settings: Settings, parts: Sequence[Part]) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    lock = lock_home(home)
    if lock is None:
        return EXIT_RUNNING_ALREADY
    with lock:
        slots = [Slot(part, part.make(settings, home)) for part in parts]
        supervisor = Supervisor(home, settings, slots)
        supervisor.publish()
        stop_orphans(home)

        def request_stop(*_: object) -> None:
            supervisor.stop_requested = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, request_stop)
        try:
            supervisor.run()
        except CustodyError as error:
            write_run_state(home, RunState(NAME, os.getpid(), False, {}, now_us(), {"error": str(error)}))
            log.error("%s", error)
            return EXIT_FAILED
        forget_run_state(home, NAME)
        return 0


def main() -> int:
    """`python -m deploy.embedded.supervisor HOME [--part NAME]…`"""
    parser = argparse.ArgumentParser(prog="supervisor")
    parser.add_argument("home", type=Path)
    parser.add_argument("--part", action="append", default=[], choices=[part.name for part in PARTS])
    arguments = parser.parse_args()
    set_up_logging()
    home = Home(arguments.home)
    settings = find_settings(home)
    choose_framing(settings, is_lazy=True)  # it starts the others whether the registry answers or not
    return supervise(home, settings, select_parts(settings, tuple(arguments.part)))


if __name__ == "__main__":
    sys.exit(main())
