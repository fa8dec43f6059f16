"""One child process that serves: started, waited for, stopped, and nothing left of a start that failed."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.embedded.process import StackError, is_listening, spawn
from deploy.embedded.server import Server
from tests.support.ports import get_free_port

LISTEN = """
import signal, socket, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)  # who was started in the background ignores it
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""


class Listener(Server):
    """Serves nothing, on a port."""

    name = "listener"
    start_timeout_s = 20.0
    stop_signal = signal.SIGINT

    def __init__(self, directory: Path, script: str = LISTEN) -> None:
        super().__init__()
        self.directory = directory
        self.script = script
        self.port = get_free_port()
        self.pids: list[int] = []

    @property
    def log_path(self) -> Path:
        return self.directory / "listener.log"

    def _spawn(self) -> subprocess.Popen[bytes]:
        child = spawn([sys.executable, "-c", self.script, str(self.port)], log_path=self.log_path)
        self.pids.append(child.pid)
        return child

    def is_ready(self) -> bool:
        return is_listening(self.port)


def test_a_started_server_serves_and_a_stopped_one_does_not(tmp_path: Path) -> None:
    server = Listener(tmp_path)
    server.start()
    child = server.child
    assert child is not None and server.is_ready()
    server.stop()
    assert child.returncode == -signal.SIGINT
    assert server.child is None and not server.is_ready()
    server.stop()  # a second time there is nothing to do


def test_a_killed_server_starts_again(tmp_path: Path) -> None:
    server = Listener(tmp_path)
    server.start()
    child = server.child
    assert child is not None
    server.kill()
    assert child.returncode == -signal.SIGKILL and not server.is_ready()
    server.start()
    server.stop()
    assert len(set(server.pids)) == 2


def test_a_start_that_fails_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    server = Listener(tmp_path, "import sys; sys.exit('no disk')")
    with pytest.raises(StackError, match=r"^listener exited with 1: no disk"):
        server.start()
    late = Listener(tmp_path, "import time; time.sleep(600)")
    late.start_timeout_s = 0.2  # type: ignore[misc]
    with pytest.raises(StackError, match="not ready within"):
        late.start()
    assert late.child is None and not psutil.pid_exists(late.pids[0])


def test_what_was_not_launched_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="listener was not launched"):
        Listener(tmp_path).wait_ready()
