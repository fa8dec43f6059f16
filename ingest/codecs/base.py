"""The contract between a wire codec (sans-I/O) and the relay that drives it.

A codec is fed bytes of either side and yields *steps* in the order in which the relay must act on them.
It owns no socket, clock, log or key. The relay stamps time, asks policy, records events, moves bytes.

    codec.receive(Side.AGENT, chunk)
    for step in codec.steps():
        relay.act(step)
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Protocol


class Side(Enum):
    """Where bytes come from, or go to."""

    AGENT = "agent"
    UPSTREAM = "upstream"


class Hold(IntEnum):
    """What must be durable before a piece may leave the proxy (design §4)."""

    NONE = auto()  # never held: handshakes, cancels, notices outside an action
    REQUEST = auto()  # the record of the action's request
    OUTCOME = auto()  # the record of the action's outcome: this piece is (part of) the end mark


@dataclass(slots=True)
class Action:
    """One request and, as it becomes known, its outcome. The codec fills it; the relay records it.

    `payload` holds what is kept of the answer (bounded by the codec's limits); `payload_bytes` counts all of
    it, and `digest_update` has been called with all of it when the relay asked for a digest.
    """

    statement: str
    kind: str = "query"  # query, parse, execute, copy_in, copy_out, copy_both, function_call, connect …
    parameters: list[str | None] = field(default_factory=list)
    is_bounded: bool = True  # False: the answer may stream without end (COPY, CopyBoth)
    attributes: dict[str, str] = field(default_factory=dict)
    # outcome
    status: str = ""  # SQLSTATE, HTTP status …; "00000" when fine
    error: str = ""
    rows: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    columns: list[str] = field(default_factory=list)
    row_values: list[list[str | None]] = field(default_factory=list)  # up to the row and byte limits
    is_truncated: bool = False
    digest: object = None  # what the relay's digest factory gave, fed with the whole payload; None without payload
    token: object = None  # the relay's own handle; a codec never looks at it


@dataclass(slots=True, frozen=True)
class Requested:
    """An action starts. The relay decides on it and records it before it acts on the next step."""

    action: Action


@dataclass(slots=True, frozen=True)
class Progressed:
    """A streaming action moved on by `data` (COPY data, in the named direction)."""

    action: Action
    source: Side
    data: bytes


@dataclass(slots=True, frozen=True)
class Completed:
    """The outcome of an action is known: all its fields are final."""

    action: Action


@dataclass(slots=True, frozen=True)
class Piece:
    """Wire bytes to hand to `to`, in order, once `hold` is satisfied for `action`.

    For pieces to the upstream: `hold` REQUEST on a write means that the head waits for its record, OUTCOME that
    it is the final piece of a streamed write (CopyDone) and waits for the record of the whole.
    """

    to: Side
    data: bytes | memoryview
    hold: Hold = Hold.NONE
    action: Action | None = None


@dataclass(slots=True, frozen=True)
class Noted:
    """A fact outside any action worth an event: a notice, a notification, a parameter change, a cancel."""

    name: str
    attributes: dict[str, str]


@dataclass(slots=True, frozen=True)
class Opaque:
    """`size` bytes from `source` that the codec could not parse. It has entered pass-through for the session
    (pieces with Hold.NONE follow) or, when the resource refuses unparsed bytes, `Closed` follows."""

    source: Side
    size: int
    reason: str


@dataclass(slots=True, frozen=True)
class Closed:
    """The conversation is over by protocol (Terminate, fatal error, refusal)."""

    reason: str


Step = Requested | Progressed | Completed | Piece | Noted | Opaque | Closed


class Codec(Protocol):
    """A protocol as a table-driven state machine over bytes."""

    def receive(self, source: Side, data: bytes) -> None:
        """Feed bytes. Never raises on what the captured side sent."""

    def receive_eof(self, source: Side) -> None:
        """The side closed its half."""

    def steps(self) -> Iterator[Step]:
        """Yield what follows from the bytes fed so far; empty when more bytes are needed."""

    def backlog(self, source: Side) -> int:
        """Bytes of this side received and not handed on yet: stop reading from it while this is large."""

    def refuse(self, action: Action, code: str, message: str) -> None:
        """The relay refuses the action (policy, audit failure): the codec must answer the agent protocol-correctly
        and keep the upstream in step, through further `steps()`."""
