"""The gate's mechanical half: pieces leave in order, each once the record it waits for is durable."""

from collections import deque
from collections.abc import Callable

from ingest.session import Session

HIGH_BYTES = 1 << 20
LOW_BYTES = 1 << 18


class Outbox:
    """Pieces on their way to one leg. `send` writes; a piece with ticket 0 waits for nothing but those before it."""

    __slots__ = ("_held", "_is_watching", "_on_release", "_send", "_session", "held_bytes")

    def __init__(
        self, session: Session, send: Callable[[bytes | memoryview], None], on_release: Callable[[], None]
    ) -> None:
        self._session = session
        self._send = send
        self._on_release = on_release
        self._held: deque[tuple[bytes | memoryview, int]] = deque()
        self._is_watching = False
        self.held_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._held

    def push(self, data: bytes | memoryview, ticket: int) -> None:
        """Send now if nothing is held and the ticket is released, else hold."""
        if not self._held and self._session.is_released(ticket):
            self._send(data)
            return
        self._held.append((data, ticket))
        self.held_bytes += len(data)
        self._watch()

    def discard(self) -> int:
        """Drop what is held; how many bytes."""
        dropped, self.held_bytes = self.held_bytes, 0
        self._held.clear()
        return dropped

    def _watch(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self._session.watch(self._look)

    def _look(self) -> None:
        self._is_watching = False
        while self._held and self._session.is_released(self._held[0][1]):
            data, _ = self._held.popleft()
            self.held_bytes -= len(data)
            self._send(data)
        if self._held:
            self._watch()
        self._on_release()
