"""A child process starts, is found again, stops, and ends with the one who started it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.embedded.process import (
    LOOPBACK,
    MAX_LOG_BYTES,
    PortTaken,
    StackError,
    describe_exit,
    is_listening,
    read_last_line,
    require_free_port,
    spawn,
    stop,
    wait_ready,
)

SLEEP = [sys.executable, "-c", "import time; print('asleep', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]


def wait_for_line(log: Path, line: str) -> None:
    deadline = time.monotonic() + 20
    while read_last_line(log) != line:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_output_goes_to_a_private_log(tmp_path: Path) -> None:
    log = tmp_path / "logs/part.log"
    child = spawn(SLEEP, log_path=log)
    try:
        wait_for_line(log, "asleep")
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
    finally:
        stop(child)
    assert child.returncode == -signal.SIGTERM


def test_a_deaf_child_is_killed_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    script = f"import subprocess\nsubprocess.Popen({STUBBORN!r})\n{STUBBORN[2]}"
    child = spawn([sys.executable, "-c", script], log_path=log)
    wait_for_line(log, "deaf")
    deadline = time.monotonic() + 20
    while log.read_text().count("deaf") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    descendants = psutil.Process(child.pid).children(recursive=True)
    assert len(descendants) == 1
    stop(child, timeout_s=0.2)
    assert child.returncode == -signal.SIGKILL
    assert not psutil.wait_procs(descendants, timeout=10)[1]


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from deploy.embedded.process import spawn\n"
        f"print(spawn({SLEEP!r}, log_path=pathlib.Path(sys.argv[1])).pid, flush=True)\n"
        "time.sleep(600)"
    )
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", script, str(log)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for_line(log, "asleep")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert not psutil.wait_procs([child], timeout=10)[1]


def test_a_taken_port_is_named_with_its_owner() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert is_listening(port)
        with pytest.raises(PortTaken, match=f"store: port {port} on 127.0.0.1 is taken by process {os.getpid()}"):
            require_free_port("store", port)
    require_free_port("store", port)
    assert not is_listening(port)
    with pytest.raises(StackError, match="cannot listen on"):
        require_free_port("store", port, "192.0.2.1")


def test_the_cause_is_named_and_not_where_it_was_thrown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "ERROR Exiting Kafka due to fatal exception\n"
        "org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:9092\n"
        "\tat org.apache.kafka.Socket.open(Socket.java:1)\n"
        "Caused by: java.net.BindException: Address already in use\n"
        "\tat java.base/sun.nio.ch.Net.bind0(Native Method)\n"
        "\t... 18 more\n\n"
    )
    assert read_last_line(log) == "Caused by: java.net.BindException: Address already in use"
    log.write_text("\t... 18 more\n")
    assert read_last_line(log) == "no output"


def test_waiting_for_one_that_dies_or_is_late(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", "print('no licence'); raise SystemExit(3)"], log_path=log)
    with pytest.raises(StackError, match=r"part exited with 3: no licence \(see .*log\)"):
        wait_ready(child, "part", lambda: False, log, 30)
    child = spawn(SLEEP, log_path=log)
    try:
        with pytest.raises(StackError, match="part was not ready within 0 s"):
            wait_ready(child, "part", lambda: False, log, 0.01)
    finally:
        stop(child)
    assert describe_exit("part", -9, tmp_path / "none").startswith("part was killed by SIGKILL: no log")


def test_a_grown_log_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("wb") as file:
        file.truncate(MAX_LOG_BYTES + 1)
    child = spawn([sys.executable, "-c", "print('new')"], log_path=log)
    child.wait()
    assert log.read_text() == "new\n"
    assert (tmp_path / "part.old.log").stat().st_size == MAX_LOG_BYTES + 1
