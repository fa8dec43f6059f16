"""`custody up`, `down` and `status` for the embedded stack: starts, stops and looks at its supervisor."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from deploy.embedded import supervisor
from deploy.embedded.jars import fetch_kafka, fetch_postgres
from deploy.embedded.lag import Lag, measure_lag
from deploy.embedded.orphans import stop_orphans
from deploy.embedded.parts import PARTS, part_env, select_parts
from deploy.embedded.process import StackError, read_last_line, rotate_log
from deploy.embedded.secrets import create_secrets
from schemas.config import Settings, find_settings
from schemas.runtime import Home, RunState, read_run_state

UP_TIMEOUT_S: Final = 240.0
DOWN_TIMEOUT_S: Final = 90.0
POLL_S: Final = 0.05

# The supervisor outlives this process; kept here, it is reaped when it ends earlier.
_spawned: list[subprocess.Popen[bytes]] = []

Say = Callable[[str], None]


@dataclass(frozen=True)
class PartStatus:
    """One row of `custody status`. `pid` is 0 when there is no process; `lag` counts records, None when unknown."""

    name: str
    pid: int
    is_ready: bool
    health: str
    detail: str = ""
    lag: int | None = None
    ports: dict[str, int] = field(default_factory=dict)


def say_on_stderr(line: str) -> None:
    """Progress for a person."""
    print(f"custody: {line}", file=sys.stderr, flush=True)


def up(home: Home, say: Say = say_on_stderr, parts: Sequence[str] = ()) -> None:
    """Return once every part serves; at once when all do already. On failure, and on Ctrl-C, nothing stays.

    `parts` limits the stack to those names. Raises StackError, ConfigError.
    """
    settings = find_settings(home)
    create_secrets(home, settings.sealing.kem)
    wanted = {part.name for part in select_parts(settings, tuple(parts))}
    if "kafka" in wanted:
        fetch_kafka()
    if "demo-postgres" in wanted:
        fetch_postgres()
    child = None if _is_supervised(home) else _spawn_supervisor(home, parts)
    try:
        _wait_up(home, child, say)
    except BaseException:
        if child is not None:
            # It may be too young to hold the lock by which `down` finds it.
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(DOWN_TIMEOUT_S)
            down(home)
        raise


def down(home: Home) -> bool:
    """Stop the stack and whatever a killed supervisor left; False when nothing ran. Data stays."""
    process = _find_supervisor(home)
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            try:
                process.wait(DOWN_TIMEOUT_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(DOWN_TIMEOUT_S)
    for child in _spawned:
        child.poll()
    if home.run.is_dir():
        stop_orphans(home)
        for path in home.run.glob("*.json"):
            path.unlink(missing_ok=True)
    return process is not None


def status(home: Home) -> list[PartStatus]:
    """Every part of the stack, in its order; lag only where the broker and the store answer. Raises ConfigError."""
    settings = find_settings(home)
    state = read_run_state(home, supervisor.NAME) if _is_supervised(home) else None
    seen: dict[str, dict[str, Any]] = state.detail.get("parts", {}) if state else {}
    wanted = select_parts(settings, tuple(seen))
    runs = {part.name: read_run_state(home, part.name) for part in wanted}
    kafka = runs.get("kafka")
    has_broker = bool(settings.kafka.bootstrap) or (kafka is not None and kafka.is_ready and kafka.is_alive())
    lags = measure_lag(settings, home) if has_broker else {}
    return [describe_part(part.name, runs[part.name], seen.get(part.name, {}), lags.get(part.name)) for part in wanted]


def describe_part(name: str, run: RunState | None, seen: dict[str, Any], lag: Lag | None) -> PartStatus:
    """Put together what the process, the supervisor and the topics say of a part."""
    is_alive = run is not None and run.is_alive()
    is_ready = is_alive and run is not None and run.is_ready
    alarms = describe_alarms(run.detail) if run is not None and is_alive else []
    health = "up" if is_ready else "starting" if is_alive else "restarting" if seen else "down"
    health = "alarm" if is_ready and alarms else health
    notes = [f"restarted {seen['restarts']}x"] if seen.get("restarts") else []
    notes += alarms
    if run is not None and is_alive:
        plain = {key: value for key, value in run.detail.items() if key not in ("alarms", "waiting")}
        notes += [f"{key}: {value}" for key, value in plain.items() if value and isinstance(value, str | int)]
    if seen.get("error"):
        notes.append(str(seen["error"]))
    if lag is not None and lag.problem:
        notes.append(lag.problem)
    pid = run.pid if run is not None and is_alive else 0
    ports = dict(run.ports) if run is not None else {}
    return PartStatus(name, pid, is_ready, health, "; ".join(notes), lag.records if lag else None, ports)


def describe_alarms(detail: dict[str, Any]) -> list[str]:
    """What a process says it waits for or stopped at, in its run file: `alarms` by place, `waiting`."""
    alarms = detail.get("alarms")
    found = [f"{place}: {text}" for place, text in alarms.items()] if isinstance(alarms, dict) else []
    return [*found, f"waits: {detail['waiting']}"] if detail.get("waiting") else found


def describe_limits(settings: Settings) -> tuple[str, ...]:
    """What this kind of stack does not protect from; shown by `custody status`."""
    limits = []
    if not settings.kafka.bootstrap:
        limits.append("embedded broker: one replica; survives kill -9, not the loss of power or of this disk")
    limits.append("processes of this uid are trusted: they can read every secret of this home")
    return tuple(limits)


def _wait_up(home: Home, child: subprocess.Popen[bytes] | None, say: Say) -> None:
    deadline = time.monotonic() + UP_TIMEOUT_S
    told: set[str] = set()
    while True:
        state = read_run_state(home, supervisor.NAME)
        if child is not None and child.poll() not in (None, supervisor.EXIT_RUNNING_ALREADY):
            reason = state.detail.get("error") if state else None
            raise StackError(str(reason or read_last_line(home.logs / "supervisor.log")))
        if child is None and not _is_supervised(home):
            raise StackError("the running stack stopped while it was waited for")
        if state is not None and (child is None or state.pid == child.pid or child.poll() is not None):
            _tell_progress(state, told, say)
            if state.is_ready and state.is_alive():
                return
        if time.monotonic() > deadline:
            raise StackError(f"the stack was not ready within {UP_TIMEOUT_S:.0f} s: {_list_unready(state)}")
        time.sleep(POLL_S)


def _tell_progress(state: RunState, told: set[str], say: Say) -> None:
    for name, part in state.detail.get("parts", {}).items():
        line = f"{name} {part['phase']}" if part["phase"] != "failed" else f"{name} is started again: {part['error']}"
        if part["phase"] in ("ready", "failed") and line not in told:
            told.add(line)
            say(line)


def _list_unready(state: RunState | None) -> str:
    parts = state.detail.get("parts", {}) if state else {}
    return ", ".join(name for name, part in parts.items() if part["phase"] != "ready") or "no supervisor"


def _spawn_supervisor(home: Home, parts: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process of its own session, so that neither Ctrl-C nor a closed terminal reaches it."""
    (home.run / f"{supervisor.NAME}.json").unlink(missing_ok=True)
    chosen = [argument for name in parts for argument in ("--part", name)]
    rotate_log(home.logs / "supervisor.log")
    with (home.logs / "supervisor.log").open("ab") as log:
        (home.logs / "supervisor.log").chmod(0o600)
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", supervisor.__name__, str(home.root), *chosen],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=part_env(home, supervisor.NAME),
            start_new_session=True,
            umask=0o077,
        )
    _spawned.append(child)
    return child


def _is_supervised(home: Home) -> bool:
    """Whether a supervisor holds the home's lock."""
    if not home.run.is_dir():
        return False
    lock = supervisor.lock_home(home)
    if lock is None:
        return True
    lock.close()
    return False


def _find_supervisor(home: Home) -> psutil.Process | None:
    """The supervisor's process; it may be so young that it has not written its run file yet."""
    deadline = time.monotonic() + 5.0
    while _is_supervised(home):
        state = read_run_state(home, supervisor.NAME)
        with contextlib.suppress(psutil.NoSuchProcess):
            if state is not None and state.is_alive():
                return psutil.Process(state.pid)
        if time.monotonic() > deadline:
            raise StackError("another process holds run/supervisor.lock and does not say its pid")
        time.sleep(POLL_S)
    return None


ALL_PARTS: Final = tuple(part.name for part in PARTS)
