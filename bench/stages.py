"""The processes of the pipeline for a benchmark: started in a home, their CPU seconds read, stopped by process id."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.servers import bench_home
from schemas.runtime import Home, read_run_state
from tests.support.kafka import Kafka, run_kafka
from tests.support.store import Store, run_store

ROOT: Final = Path(__file__).parents[1]
STAGES: Final = {
    "mask": ("worker-mask", "processors.worker", "mask"),
    "detect": ("worker-detect", "processors.worker", "detect"),
    "retain": ("worker-retain", "processors.worker", "retain"),
    "sink": ("sink-clickhouse", "sinks.runner", "clickhouse"),
}
"""Stage -> name of its run file, module, argument. `detect` holds facts and detection."""
SIEM: Final = {"siem": ("sink-siem", "sinks.runner", "siem-syslog")}
"""Runs only where a benchmark asks for it."""
START_TIMEOUT_S: Final = 90.0

CpuSeconds = dict[str, float]


def wait_for(condition: Callable[[], object], what: str, *, every_s: float = 0.05) -> None:
    """Raises SystemExit when it does not come true."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(every_s)


@dataclass
class Pipeline:
    """A broker, a store, and the stages that run between them."""

    home: Home
    kafka: Kafka
    store: Store
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start stages (every one by default) and wait until they serve."""
        for name in names or tuple(STAGES):
            run_name, *argv = (STAGES | SIEM)[name]
            with (self.home.logs / f"{run_name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", *argv],
                    cwd=ROOT,
                    env={**os.environ, "CUSTODY_HOME": str(self.home.root)},
                    stdout=log,
                    stderr=log,
                )
        for name in names or tuple(STAGES):
            wait_for(lambda name=name: self._is_ready(name), f"{name}, see {self.home.logs}")  # type: ignore[misc]

    def _is_ready(self, name: str) -> bool:
        process, run_name = self.processes[name], (STAGES | SIEM)[name][0]
        if process.poll() is not None:
            raise SystemExit(f"{name} ended: {(self.home.logs / f'{run_name}.log').read_text()[-2000:]}")
        state = read_run_state(self.home, run_name)
        return state is not None and state.pid == process.pid and state.is_ready

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def cpu_seconds(self) -> CpuSeconds:
        """User and system time of each process so far."""
        child = self.kafka.broker.child
        pids = {name: process.pid for name, process in self.processes.items()} | {"store": self.store.process.pid}
        if child is not None:
            pids["kafka"] = child.pid
        times = {name: psutil.Process(pid).cpu_times() for name, pid in pids.items()}
        return {name: found.user + found.system for name, found in times.items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> CpuSeconds:
    """What was used in between; a process that came later counts from its start."""
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


@contextmanager
def run_pipeline(directory: Path, **settings: object) -> Iterator[Pipeline]:
    """Broker and store with topics and schema; stages are started by the caller and stopped at the end."""
    with ExitStack() as stack:
        store = stack.enter_context(run_store(directory))
        kafka = stack.enter_context(run_kafka(directory, is_brief=False))
        home = bench_home(directory / "home", kafka, **{"store": {"url": store.url}, **settings})
        pipeline = Pipeline(home, kafka, store)
        stack.callback(pipeline.stop)
        yield pipeline
