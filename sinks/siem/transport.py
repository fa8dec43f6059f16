"""What a SIEM transport is. One file a transport; each says in its docstring what its confirmation is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell the SIEM. `identity` is what a receiver can drop repeats by; `at` is µs, UTC."""

    identity: str
    kind: str  # detection, session, checkpoint
    severity: str  # a value of events.Severity
    at: int
    text: str
    fields: dict[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Carries messages to one receiver. Not safe for several threads."""

    def send(self, messages: Sequence[Message]) -> None:
        """Hand the messages on. Raises Unreachable: then all that is unconfirmed has to be sent again."""

    def confirm(self) -> None:
        """Return once everything sent has reached the receiver. Raises Unreachable: then send it all again."""

    def close(self) -> None:
        """Give up the connection. Never raises."""
