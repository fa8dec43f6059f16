"""A server of somebody else's, run as one child process: launched, waited for, stopped."""

import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from deploy.embedded.process import STOP_TIMEOUT_S, StackError, stop, wait_ready


class Server(ABC):
    """Start it from the main thread: the child ends with the thread that launched it (see `process.spawn`)."""

    name: ClassVar[str]
    """As errors call it."""
    start_timeout_s: ClassVar[float]
    stop_timeout_s: ClassVar[float] = STOP_TIMEOUT_S
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def log_path(self) -> Path:
        """Where its output goes."""

    @abstractmethod
    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the process. StackError (PortTaken for a port) when it cannot be."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves."""

    def start(self) -> None:
        """Return once it serves; StackError and no process left otherwise."""
        self.launch()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it to serve."""
        self.child = self._spawn()
        return self.child

    def wait_ready(self) -> None:
        """Return once the launched process serves; StackError when it does not."""
        if self.child is None:
            raise StackError(f"{self.name} was not launched")
        wait_ready(self.child, self.name, self.is_ready, self.log_path, self.start_timeout_s)

    def stop(self) -> None:
        """`stop_signal`, then SIGKILL; nothing happens when it does not run."""
        if self.child is not None:
            stop(self.child, self.stop_timeout_s, self.stop_signal)
            self.child = None

    def kill(self) -> None:
        """SIGKILL at once, as a crash would."""
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.child = None
