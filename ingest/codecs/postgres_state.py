"""What both halves of the PostgreSQL conversation share: limits, answers expected, names of statements and
portals.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ingest.codecs.base import Action

Q: Final = ord("Q")
P: Final = ord("P")
B: Final = ord("B")
D: Final = ord("D")
C: Final = ord("C")
E: Final = ord("E")
F: Final = ord("F")
S: Final = ord("S")
H: Final = ord("H")
X: Final = ord("X")
COPY_DATA: Final = ord("d")
COPY_DONE: Final = ord("c")
COPY_FAIL: Final = ord("f")
DATA_ROW: Final = ord("D")
MAYBE_SYNC: Final = ord("?")  # a Sync sent during a copy: ignored there, answered when the copy has failed before

NOT_EXECUTED: Final = "not executed: an earlier message of the pipeline failed"
LOST: Final = "08006"


class Digest(Protocol):
    """Takes the payload of one action piece by piece."""

    def update(self, data: bytes | memoryview, /) -> object: ...


class Masking(Protocol):
    """What masks or limits the messages of a session: see postgres_masking.py, postgres_limits.py."""

    def adopt(self, action: Action) -> None: ...

    def rewrite(
        self, talk: "Conversation", buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]: ...


MASKED_MESSAGE_BYTES: Final = 16 << 20  # where messages are masked, they are held whole up to this

DigestFactory = Callable[[], Digest]


@dataclass(frozen=True)
class Limits:
    """Bounds of what one session keeps in memory, and of what an action keeps of its answer.

    A message longer than `max_message_bytes` is passed through in parts: its first `max_message_bytes` are looked at,
    the rest is counted (and digested when it is payload).
    """

    max_message_bytes: int = 1 << 20
    max_statement_bytes: int = 1 << 20
    max_parameter_bytes: int = 1 << 16
    max_rows: int = 100
    max_payload_bytes: int = 1 << 16
    max_names: int = 1 << 14  # statements, and portals, that a session may have open
    max_name_bytes: int = 1 << 26  # their texts and parameters together
    max_in_flight: int = 1 << 16  # answers expected; more and the agent's bytes wait
    max_tags: int = 100
    max_backlog_bytes: int = 1 << 26  # of an agent that sends on while it has to wait; more is a protocol violation


class Columns:
    """A RowDescription."""

    def __init__(self, names: list[str], oids: tuple[int, ...], formats: tuple[int, ...]) -> None:
        self.names = names
        self.oids = oids
        self.formats = formats
        self.is_text = not any(formats)


class Named:
    """One definition of a statement or portal name, with the definition it replaces until the upstream has answered.

    A definition that fails or is skipped upstream leaves the older one in force, so a name is only as sure as
    the last answer: see Names.find.
    """

    # class attributes are the defaults: one of these is made for each Bind
    statement: "Named | None" = None  # of a portal
    oids: tuple[int, ...] = ()
    columns: Columns | None = None
    previous: "Named | None" = None
    is_closed: bool = False
    is_confirmed: bool = False
    is_failed: bool = False
    is_cut: bool = False  # text or block is not whole
    is_recorded: bool = False
    is_started: bool = False
    is_kept: bool = False
    passed: int = 0  # rows of a portal that the agent has got, where they are limited

    def __init__(self, key: bytes, group: int, text: str = "", block: bytes = b"") -> None:
        self.key = key
        self.group = group
        self.text = text
        self.block = block  # of a portal: the Bind message from its parameter formats on
        self.size = len(text) + len(block) + len(key)


class Names:
    """The statements, or the portals, of one session."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._current: dict[bytes, Named] = {}
        self._bytes = 0
        self.is_uncertain = False  # SQL has changed names itself: PREPARE, DEALLOCATE, DECLARE, CLOSE

    def define(self, named: Named) -> bool:
        """False: over the limits, the name is not kept (and will be reported as unknown)."""
        previous = self._current.get(named.key)
        if previous is None and len(self._current) >= self._limits.max_names:
            return False
        if self._bytes + named.size > self._limits.max_name_bytes:
            if previous is not None:
                self._forget(previous)
            return False
        named.previous = previous
        named.is_kept = True
        self._bytes += named.size
        self._current[named.key] = named
        return True

    def find(self, key: bytes) -> Named | None:
        named = self._current.get(key)
        return None if named is None or named.is_closed else named

    def is_contested(self, key: bytes, group: int) -> bool:
        """Whether which definition holds depends on an answer to an earlier group that has not come yet."""
        named = self._current.get(key)
        return named is not None and named.previous is not None and not named.is_confirmed and named.group != group

    def confirm(self, named: Named) -> None:
        """The upstream has taken it: what it replaces is gone."""
        named.is_confirmed = True
        older, named.previous = named.previous, None
        while older is not None:
            self._bytes -= older.size
            older.is_kept = False
            older = older.previous
        if named.is_closed and self._current.get(named.key) is named:
            self._forget(named)

    def fail(self, named: Named) -> None:
        """The upstream has refused or skipped it: what it would replace stays."""
        named.is_failed = True
        current = self._current.get(named.key)
        while current is not None and current.is_failed:
            older, current.previous = current.previous, None
            if current.is_kept:
                self._bytes -= current.size
                current.is_kept = False
            current = older
        if current is None:
            self._current.pop(named.key, None)
            return
        self._current[named.key] = current
        if current.is_closed and current.is_confirmed:
            self._forget(current)

    def _forget(self, named: Named) -> None:
        older: Named | None = named
        while older is not None:
            if older.is_kept:
                self._bytes -= older.size
                older.is_kept = False
            before, older.previous = older.previous, None
            older = before
        self._current.pop(named.key, None)

    def remove(self, key: bytes) -> None:
        named = self._current.get(key)
        if named is not None:
            self._forget(named)

    def remove_confirmed(self) -> None:
        """All that the upstream had confirmed are gone (DEALLOCATE ALL; portals at the end of a transaction)."""
        for named in [n for n in self._current.values() if n.is_confirmed or n.is_failed]:
            self._forget(named)

    def __len__(self) -> int:
        return len(self._current)


class Flight:
    """A message sent upstream whose answer is expected."""

    # class attributes are the defaults: one of these is made for each message
    refusal: tuple[str, str] | None = None
    columns: Columns | None = None
    decoders: list[Callable[[bytes], str] | None] | None = None
    is_keeping: bool = True
    kept_bytes: int = 0
    tags: tuple[str, ...] = ()
    results: tuple[tuple[int, list[str]], ...] = ()  # first row and columns of each result set
    copy: str = ""
    is_complete: bool = False
    masked: object = None  # how the answer is masked: see postgres_masking.py

    def __init__(self, kind: int, action: Action | None = None, named: Named | None = None) -> None:
        self.kind = kind
        self.action = action
        self.owner = action  # the action whose answer this is part of
        self.named = named


SYNC_FLIGHT: Final = Flight(S)
MAYBE_FLIGHT: Final = Flight(MAYBE_SYNC)


class Conversation:
    """State that one half writes and the other reads."""

    def __init__(self, limits: Limits, new_digest: DigestFactory | None, *, status: int = ord("I")) -> None:
        self.limits = limits
        self.new_digest = new_digest
        self.statements = Names(limits)
        self.portals = Names(limits)
        self.encoding = "utf-8"
        self.status = status
        self.expected: deque[Flight] = deque()
        self.syncs = 0  # of the expected
        self.copy: Flight | None = None  # the copy that the agent may feed
        self.is_skipping = False  # the upstream is in error until a Sync that has not been sent yet
        self.is_terminated = False
        self.masking: Masking | None = None  # since an action of the session was masked or limited


def add_digest(talk: Conversation, action: Action, data: bytes | memoryview) -> None:
    """Feed payload to the action's digest, made on first use."""
    if talk.new_digest is None:
        return
    if action.digest is None:
        action.digest = talk.new_digest()
    action.digest.update(data)  # type: ignore[attr-defined]  # a Digest: this is the only place that sets it


def fail_expected(talk: Conversation, flight: Flight) -> None:
    """Undo what a failed or skipped message would have changed."""
    if flight.named is not None and flight.kind in (P, B, C):
        names = talk.portals if flight.named.key[:1] == b"P" else talk.statements
        names.fail(flight.named)
