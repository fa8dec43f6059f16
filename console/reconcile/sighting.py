"""What a target says it was asked to do, and the lines of the evidence that say so."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

from schemas.errors import ConfigError

MAX_LINE_BYTES: Final = 1 << 20
MAX_NAMED_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class Sighting:
    """One action as the target saw it. Fields that its log does not have are empty.

    `at`: µs since the epoch, UTC, when it began or ended. `slack_us`: how coarse that time is. `session`: the target's
    own name of the connection. `shape`: what makes two actions the same (console.reconcile.shapes); `text`: the action
    without its values, for people. `line`: its number in the evidence, from 1.
    """

    at: int
    shape: str
    text: str
    user: str = ""
    database: str = ""
    source: str = ""
    session: str = ""
    status: str = ""
    line: int = 0
    slack_us: int = 0


@dataclass(slots=True)
class Reading:
    """What reading the evidence came to besides sightings. `unread` lines could be actions, and nobody knows."""

    lines: int = 0
    unread: int = 0
    unread_lines: list[int] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    def cannot_read(self, line: int) -> None:
        """Count a line that is no line of such a log."""
        self.unread += 1
        if len(self.unread_lines) < MAX_NAMED_LINES:
            self.unread_lines.append(line)

    def ignore(self, reason: str) -> None:
        """Count a line that is understood, and is no action of its own."""
        self.ignored[reason] = self.ignored.get(reason, 0) + 1


def read_lines(paths: Iterable[Path], reading: Reading) -> Iterator[tuple[int, str]]:
    """(number, line) of files one after another, each as it is or gzipped. Memory: one line of MAX_LINE_BYTES.

    Longer lines are counted as unread. Bytes that are no UTF-8 become U+FFFD. Raises ConfigError for a file that cannot
    be read to its end.
    """
    for path in paths:
        try:
            with _open(path) as file:
                yield from _lines_of(file, reading)
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ConfigError(f"the evidence {path.name} cannot be read: {reason}") from None


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _lines_of(file: IO[bytes], reading: Reading) -> Iterator[tuple[int, str]]:
    while line := file.readline(MAX_LINE_BYTES):
        reading.lines += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            reading.cannot_read(reading.lines)
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            continue
        yield reading.lines, line.decode("utf-8", "replace").rstrip("\r\n")
