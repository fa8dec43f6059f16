"""Starting, watching and stopping one child process: by its own pid, with nothing left behind."""

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from schemas.errors import CustodyError, Fault

LOOPBACK: Final = "127.0.0.1"
STOP_TIMEOUT_S: Final = 10.0
MAX_LOG_BYTES: Final = 16 * 1024 * 1024
POLL_INTERVAL_S: Final = 0.05
# The lines of a Java stack trace that say where: what went wrong stands in the line before them.
STACK_FRAME: Final = re.compile(r"\s*(?:at [\w.$/<>@]+\(|\.\.\. \d+ (?:more|common frames))")


class StackError(CustodyError):
    """The embedded stack cannot start or stop; the message is one line that tells a person what to do."""

    fault = Fault.CALLER


class PortTaken(StackError):
    """Someone else listens on a port the stack needs."""


def spawn(
    argv: Sequence[str],
    *,
    log_path: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: tuple[int, int] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `argv` in its own session, output appended to `log_path` (0600), as `user` (uid, gid) if given.

    The child gets `stop_signal` when the thread that called this ends, however it ends: call it from the main
    thread.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("setpriv is not installed: install util-linux")
    drop = [] if user is None else [f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups"]
    log_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    rotate_log(log_path)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [setpriv, *drop, f"--pdeathsig={stop_signal.name.removeprefix('SIG')}", "--", *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(log)


def rotate_log(log_path: Path) -> None:
    """Keep one older log beside a grown one."""
    with contextlib.suppress(FileNotFoundError):
        if log_path.stat().st_size > MAX_LOG_BYTES:
            log_path.replace(log_path.with_suffix(".old.log"))


def stop(child: subprocess.Popen[bytes], timeout_s: float = STOP_TIMEOUT_S, stop_signal: int = signal.SIGTERM) -> None:
    """Ask with `stop_signal`, insist with SIGKILL, reap; then SIGKILL for what is left of its session."""
    if child.poll() is None:
        child.send_signal(stop_signal)
        try:
            child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    # spawn() made the child a session leader, so its pid names the process group of all its descendants.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def require_free_port(what: str, port: int, host: str = LOOPBACK) -> None:
    """Raise PortTaken, naming the port, what needs it and who has it, unless `host:port` can be bound now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"{what}: port {port} on {host} is taken{_describe_owner(port)}") from None
            raise StackError(f"{what}: cannot listen on {host}:{port}: {error.strerror}") from None


def _describe_owner(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("inet"):
            is_owner = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if is_owner and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """True when a TCP connection to `host:port` succeeds within a second."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
        return True
    return False


def wait_ready(
    child: subprocess.Popen[bytes], what: str, is_ready: Callable[[], bool], log_path: Path, timeout_s: float
) -> None:
    """Return once `is_ready()`; StackError with the log's last line when `child` exits or is late."""
    deadline = time.monotonic() + timeout_s
    while not is_ready():
        if child.poll() is not None:
            raise StackError(describe_exit(what, child.returncode, log_path))
        if time.monotonic() > deadline:
            raise StackError(f"{what} was not ready within {timeout_s:.0f} s (see {log_path})")
        time.sleep(POLL_INTERVAL_S)


def describe_exit(what: str, code: int, log_path: Path) -> str:
    """One line on how a process ended and what it said last."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    return f"{what} {how}: {read_last_line(log_path)} (see {log_path})"


def read_last_line(path: Path, limit: int = 300) -> str:
    """The last line of a log that says something, cut to `limit` characters: neither empty nor a stack's frame."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 8192))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return "no log"
    lines = [line for line in text.splitlines() if line.strip() and not STACK_FRAME.match(line)]
    return lines[-1].strip()[:limit] if lines else "no output"
