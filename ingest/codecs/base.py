"""The contract between a wire codec (sans-I/O) and the relay that drives it.

A codec is fed bytes of either side and yields *steps* in the order in which the relay must act on them.
It owns no socket, clock, log or key. The relay stamps time, asks policy, records events, moves bytes.

    codec.receive(Side.AGENT, chunk)
    while steps := codec.take_steps():
        for step in steps:
            relay.act(step)

Steps are facts: nobody changes one. They are plain classes, not dataclasses, because several are made for each message
and compiled code (deploy/native.py) makes plain ones in a tenth of the time.
"""

from enum import Enum, IntEnum, auto
from typing import ClassVar, Final, Protocol

from masking.inline.model import Report
from masking.inline.values import ValueMasker
from policy.model import RecordObligation


class Side(Enum):
    """Where bytes come from, or go to."""

    AGENT = "agent"
    UPSTREAM = "upstream"


class Hold(IntEnum):
    """What must be durable before a piece may leave the proxy (design §4)."""

    NONE = auto()  # never held: handshakes, cancels, notices outside an action
    REQUEST = auto()  # the record of the action's request
    OUTCOME = auto()  # the record of the action's outcome: this piece is (part of) the end mark


# The same members under names that compiled code reads without a look-up.
AGENT: Final = Side.AGENT
UPSTREAM: Final = Side.UPSTREAM
NO_HOLD: Final = Hold.NONE
HOLD_REQUEST: Final = Hold.REQUEST
HOLD_OUTCOME: Final = Hold.OUTCOME


class Action:
    """One request and, as it becomes known, its outcome. The codec fills it; the relay records it."""

    def __init__(self, statement: str, kind: str = "query", *, request_bytes: int = 0, is_bounded: bool = True) -> None:
        self.statement = statement
        self.kind = kind  # query, parse, execute, copy_in, copy_out, copy_both, function_call, connect …
        self.parameters: list[str | None] = []
        self.is_bounded = is_bounded  # False: the answer may stream without end (COPY, CopyBoth)
        self.attributes: dict[str, str] = {}
        # outcome
        self.status = ""  # SQLSTATE, HTTP status …; "00000" when fine
        self.error = ""
        self.rows = 0
        self.request_bytes = request_bytes
        self.response_bytes = 0
        self.columns: list[str] = []
        self.row_values: list[list[str | None]] = []  # up to the row and byte limits
        self.is_truncated = False
        # what the relay's digest factory gave, fed with the whole payload; None without payload
        self.digest: object = None
        self.token: object = None  # the relay's own handle; a codec never looks at it
        self.mask: ValueMasker | None = None  # what the relay wants the answer masked with
        self.report: Report | None = None  # what was masked in it so far
        self.row_limit = 0  # how many rows the agent may get; 0: any number
        self.withheld = 0  # rows beyond that limit
        self.keep: RecordObligation | None = None  # how much of the answer is recorded; None: up to the codec's limits


class Step:
    """What the relay must do next."""


class Requested(Step):
    """An action starts. The relay decides on it and records it before it acts on the next step."""

    __match_args__: ClassVar = ("action",)

    def __init__(self, action: Action) -> None:
        self.action = action


class Progressed(Step):
    """A streaming action moved on by `data` (COPY data, in the named direction)."""

    __match_args__: ClassVar = ("action", "source", "data")

    def __init__(self, action: Action, source: Side, data: bytes) -> None:
        self.action = action
        self.source = source
        self.data = data


class Completed(Step):
    """The outcome of an action is known: all its fields are final."""

    __match_args__: ClassVar = ("action",)

    def __init__(self, action: Action) -> None:
        self.action = action


class Piece(Step):
    """Wire bytes to hand to `to`, in order, once `hold` is satisfied for `action`.

    For pieces to the upstream: `hold` REQUEST on a write means that the head waits for its record, OUTCOME that
    it is the final piece of a streamed write (CopyDone) and waits for the record of the whole.
    """

    __match_args__: ClassVar = ("to", "data", "hold", "action")

    def __init__(self, to: Side, data: bytes | memoryview, hold: Hold = NO_HOLD, action: Action | None = None) -> None:
        self.to = to
        self.data = data
        self.hold = hold
        self.action = action


class Noted(Step):
    """A fact outside any action worth an event: a notice, a notification, a parameter change, a cancel."""

    __match_args__: ClassVar = ("name", "attributes")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes


class Opaque(Step):
    """`size` bytes from `source` that the codec could not parse. It has entered pass-through for the session
    (pieces with Hold.NONE follow) or, when the resource refuses unparsed bytes, `Closed` follows."""

    __match_args__: ClassVar = ("source", "size", "reason")

    def __init__(self, source: Side, size: int, reason: str) -> None:
        self.source = source
        self.size = size
        self.reason = reason


class Closed(Step):
    """The conversation is over by protocol (Terminate, fatal error, refusal)."""

    __match_args__: ClassVar = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Codec(Protocol):
    """A protocol as a table-driven state machine over bytes."""

    def receive(self, source: Side, data: bytes) -> None:
        """Feed bytes. Never raises on what the captured side sent."""

    def receive_eof(self, source: Side) -> None:
        """The side closed its half."""

    def take_steps(self, source: Side | None = None) -> list[Step]:
        """What follows next from the bytes fed so far, a decision that is due coming last; asking for more allows it.

        `source` UPSTREAM: only what follows from the upstream's bytes, while a decision waits for a person. Empty when
        more bytes are needed.
        """

    def notice(self, message: str) -> bytes:
        """An aside to the agent, between what it is sent otherwise; empty where the protocol has none, or not now."""

    def backlog(self, source: Side) -> int:
        """Bytes of this side received and not handed on yet: stop reading from it while this is large."""

    def mask(self, action: Action) -> None:
        """Only between an action's Requested and the next step: its answer is to be masked when `mask` is set in it, or
        when it shows what an earlier masked action has named: then the codec sets it. Raises Unreadable when the
        answer cannot be masked as ordered."""

    def refuse(self, action: Action, code: str, message: str) -> None:
        """The relay refuses the action (policy, audit failure): the codec must answer the agent protocol-correctly
        and keep the upstream in step, through further steps."""
