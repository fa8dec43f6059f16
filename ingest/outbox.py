"""The gate's mechanical half: pieces leave in order, each once the record it waits for is durable."""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

HIGH_BYTES: Final = 1 << 20
LOW_BYTES: Final = 1 << 18
MAX_JOINED_BYTES: Final = 16_384
"""Pieces that may go at the same time are joined up to this size: one call of the transport costs more than a copy."""

Data = bytes | memoryview


class Audit(Protocol):
    """A session's view of the audit log."""

    def is_released(self, ticket: int) -> bool:
        """Whether what waits for this ticket may go."""

    def watch(self, callback: Callable[[], None]) -> None:
        """Call once when durability moved on: then look again."""


class Outbox:
    """Pieces on their way to one leg. `send` writes; a piece with ticket 0 waits for nothing but those before it."""

    def __init__(self, audit: Audit, send: Callable[[Data], None], on_release: Callable[[], None]) -> None:
        self._audit = audit
        self._send = send
        self._on_release = on_release
        self._held: deque[tuple[Data, int]] = deque()
        self._ready: list[Data] = []
        self._ready_bytes = 0
        self._is_watching = False
        self._look_again: Callable[[], None] = self._look
        self.held_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._held

    def push(self, data: Data, ticket: int) -> None:
        """Let the piece go if nothing is held and the ticket is released, else hold it. `flush` sends what may go."""
        if not self._held and self._audit.is_released(ticket):
            self._gather(data)
            return
        self._held.append((data, ticket))
        self.held_bytes += len(data)
        self._watch()

    def flush(self) -> None:
        """Send what has gathered."""
        ready = self._ready
        if not ready:
            return
        self._ready = []
        self._ready_bytes = 0
        if len(ready) == 1:
            self._send(ready[0])
        else:
            self._send(b"".join(ready))

    def discard(self) -> int:
        """Drop what is held; how many bytes. What may go already is sent."""
        self.flush()
        dropped, self.held_bytes = self.held_bytes, 0
        self._held.clear()
        return dropped

    def _gather(self, data: Data) -> None:
        size = len(data)
        if self._ready_bytes + size > MAX_JOINED_BYTES:
            self.flush()
        self._ready.append(data)
        self._ready_bytes += size

    def _watch(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self._audit.watch(self._look_again)

    def _look(self) -> None:
        self._is_watching = False
        held = self._held
        while held and self._audit.is_released(held[0][1]):
            data, _ = held.popleft()
            self.held_bytes -= len(data)
            self._gather(data)
        self.flush()
        if held:
            self._watch()
        self._on_release()
