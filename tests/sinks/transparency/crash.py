"""Kills a log's writer at each of its system calls, loses what was not synced, and looks at what comes after.

`python -m tests.sinks.transparency.crash DIRECTORY STEPS`: for step 1, 2, … a child writes a log and ends, as by kill
-9, just before (and, for writes, half-way through) its n-th call that changes the disk. With `power`, whatever the
child had not synced is gone as well. The parent opens the log again and checks it. One line of JSON at the end.
"""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sinks.transparency import log as log_module
from sinks.transparency.log import LogReader
from sinks.transparency.note import open_checkpoint
from sinks.transparency.storage import DirectoryStorage
from tests.sinks.transparency.logs import VERIFIER, append, entries, open_log, publish

BATCHES = (3, 250, 5, 300)
"""Leaves per batch: around the edges of tiles, and over several at once."""


class Killer:
    """Counts the calls that change the disk, and ends the process at one of them."""

    def __init__(self, at: int, report: int, is_power_loss: bool) -> None:
        self.count, self.at, self.report, self.is_power_loss = 0, at, report, is_power_loss
        self.paths: dict[int, str] = {}
        self.unsynced: dict[str, int] = {}  # path -> bytes that are safe
        self.real: dict[str, Any] = {
            name: getattr(os, name)
            for name in ("open", "write", "fsync", "fdatasync", "ftruncate", "replace", "unlink", "mkdir")
        }

    def install(self) -> None:
        """What a loss of power takes is decided here, so the disk itself need not be waited for."""
        self.real["fsync"] = self.real["fdatasync"] = lambda descriptor: None
        for name in self.real:
            setattr(os, name, getattr(self, name))

    def step(self, before_end: Callable[[], object] = lambda: None) -> None:
        self.count += 1
        if self.count == self.at:
            before_end()
            if self.is_power_loss:
                for path, safe in self.unsynced.items():
                    with contextlib.suppress(OSError):
                        os.truncate(path, min(safe, os.stat(path).st_size))
            os._exit(9)

    def open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        descriptor: int = self.real["open"](path, flags, *rest, **more)
        self.paths[descriptor] = os.fspath(path)
        if flags & os.O_TRUNC:
            self.unsynced[os.fspath(path)] = 0
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        path = self.paths.get(descriptor)
        if path is None:
            return int(self.real["write"](descriptor, data))
        self.unsynced.setdefault(path, os.stat(path).st_size)
        self.step()
        self.step(lambda: self.real["write"](descriptor, data[: len(data) // 2]))
        return int(self.real["write"](descriptor, data))

    def fsync(self, descriptor: int) -> None:
        self.step()
        self.real["fsync"](descriptor)
        self.unsynced.pop(self.paths.get(descriptor, ""), None)

    fdatasync = fsync

    def ftruncate(self, descriptor: int, length: int) -> None:
        self.step()
        self.real["ftruncate"](descriptor, length)

    def replace(self, source: Any, target: Any, **more: Any) -> None:
        self.step()
        self.real["replace"](source, target, **more)
        if (safe := self.unsynced.pop(os.fspath(source), None)) is not None:
            self.unsynced[os.fspath(target)] = safe
        else:
            self.unsynced.pop(os.fspath(target), None)

    def unlink(self, path: Any, **more: Any) -> None:
        self.step()
        self.real["unlink"](path, **more)

    def mkdir(self, path: Any, *rest: Any, **more: Any) -> None:
        self.step()
        self.real["mkdir"](path, *rest, **more)


def write(directory: Path, killer: Killer) -> None:
    """In the child: batch by batch, each acknowledged and signed head told through the pipe."""
    log_module.MAX_JOURNAL_BYTES = 4000  # type: ignore[misc]
    killer.install()
    log = open_log(directory)
    for count in BATCHES:
        first = log.size
        append(log, entries(first, first + count), {"topic": {0: ("log-1", first + count - 1)}})
        killer.real["write"](killer.report, f"acked {log.size}\n".encode())
        head = log.head()
        killer.real["write"](killer.report, f"signed {head.size} {head.root.hex()}\n".encode())
        publish(log)
    log.settle()
    killer.real["write"](killer.report, f"calls {killer.count}\n".encode())
    os._exit(0)


def run_child(directory: Path, at: int, is_power_loss: bool) -> tuple[int, list[list[str]]]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            write(directory, Killer(at, writing, is_power_loss))
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as told:
        lines = [line.split() for line in told]
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lines


def check(directory: Path, lines: list[list[str]]) -> None:
    """After the crash: nothing acknowledged is gone, and everything ever signed is of the one history."""
    log = open_log(directory)
    try:
        acked = max((int(line[1]) for line in lines if line[0] == "acked"), default=0)
        assert log.size >= acked, f"{acked} leaves were acknowledged, {log.size} are there"
        assert log.positions.get("topic", {}).get(0, ("", -1))[1] == log.size - 1
        append(log, entries(log.size, log.size + 3))
        note = publish(log)
        checkpoint, _ = open_checkpoint(note, [VERIFIER])
        reader = LogReader(DirectoryStorage(directory / "log"), checkpoint.size)
        assert reader.root_at(checkpoint.size) == checkpoint.root
        for line in lines:
            if line[0] == "signed":
                assert reader.root_at(int(line[1])).hex() == line[2], f"the head of size {line[1]} is contradicted"
        found = [entry for number in range((checkpoint.size + 255) // 256) for entry in reader.bundle(number)]
        assert found == entries(0, checkpoint.size)
    finally:
        log.close()


def main(directory: Path, steps: int, is_power_loss: bool) -> int:
    calls = 0
    code, lines = run_child(directory / "whole", 1 << 30, is_power_loss)
    assert code == 0, lines
    os.fsync = os.fdatasync = lambda descriptor: None
    total = int(lines[-1][1])
    stride = max(1, total // steps)
    for at in range(1, total + 1, stride):
        place = directory / f"at-{at}"
        code, lines = run_child(place, at, is_power_loss)
        assert code == 9, (at, code)
        try:
            check(place, lines)
        except Exception as error:
            raise AssertionError(f"killed at call {at} of {total}: {error}") from error
        calls += 1
        if at % 50:
            shutil.rmtree(place)
    print(json.dumps({"calls": total, "killed": calls}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["power"]))
