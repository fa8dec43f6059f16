"""The records of Custody as Python objects: the same fields, order and defaults as `avsc/*.avsc` (a test compares).

Times are µs since the epoch, UTC. The classes keep a `__dict__` on purpose: the Avro writer takes it as it is, so no
record is copied into a dict first.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Blob = bytes  # the records have fields named `bytes`, which hide the type within their class


class EventKind(StrEnum):
    """What happened, in the past tense."""

    PROXY_STARTED = "proxy.started"
    PROXY_STOPPED = "proxy.stopped"
    SESSION_OPENED = "session.opened"
    ACTION_REQUESTED = "action.requested"
    ACTION_DECIDED = "action.decided"
    ACTION_COMPLETED = "action.completed"
    DATA_SENT = "data.sent"
    DATA_RECEIVED = "data.received"
    FILE_ACCESSED = "file.accessed"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_DECIDED = "approval.decided"
    AUDIT_GAP = "audit.gap"
    SESSION_CLOSED = "session.closed"
    KEY_ROTATED = "key.rotated"
    POLICY_CHANGED = "policy.changed"
    QUARANTINE_CHANGED = "quarantine.changed"
    LEGAL_HOLD_CHANGED = "legal_hold.changed"


class Verdict(StrEnum):
    """What policy said."""

    NONE = "none"
    ALLOW = "allow"
    MASK = "mask"
    HOLD = "hold"
    DENY = "deny"


class Severity(StrEnum):
    """How bad a detection is."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class RetentionVerb(StrEnum):
    """What a retention action says."""

    UNKNOWN = "unknown"
    EXPIRE = "expire"
    ERASE = "erase"
    DONE = "done"
    REFUSED = "refused"


class ControlKind(StrEnum):
    """What a control entry is about."""

    UNKNOWN = "unknown"
    RESOURCE = "resource"
    POLICY = "policy"
    CREDENTIAL = "credential"
    REVOCATION = "revocation"
    PROXY_KEY = "proxy_key"
    WRITER_KEY = "writer_key"
    APPROVAL = "approval"
    QUARANTINE = "quarantine"
    LEGAL_HOLD = "legal_hold"
    RETENTION_CLASS = "retention_class"  # kept for records of old: the classes are in custody.yaml


@dataclass
class Origin:
    """The raw record a batch came from. `log_id` is Kafka's topic id: a re-created topic is another log."""

    log_id: str
    partition: int
    offset: int


@dataclass
class Hop:
    """One link of a delegation chain, outermost first."""

    actor: str
    on_behalf_of: str


@dataclass
class SessionContext:
    """Who acts, for whom, on what, from where: true for a whole session."""

    session_id: str
    principal: str
    agent: str
    delegation: list[Hop] = field(default_factory=list)
    run_id: str = ""
    resource: str = ""
    protocol: str = ""
    source_ip: str = ""
    source_port: int = 0
    client: str = ""
    tls: str = ""
    upstream: str = ""
    opened_at: int = 0
    credential_id: str = ""
    retention_class: str = "standard"
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Masked:
    """A value replaced by masking: its label, how often, its token, the field in which it stood."""

    label: str
    count: int
    token: str
    place: str = ""


@dataclass
class Event:
    """One immutable fact of a session. `seq` counts from 1 per session, without holes."""

    seq: int
    at: int
    kind: str
    action_id: str = ""
    statement: str = ""
    fingerprint: str = ""
    parameters: list[str | None] = field(default_factory=list)
    operation: str = ""
    objects: list[str] = field(default_factory=list)
    verdict: str = Verdict.NONE
    status: str = ""
    error: str = ""
    rows: int = 0
    bytes: int = 0
    duration_us: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    payload: Blob = b""
    payload_type: str = ""
    payload_bytes: int = 0
    payload_digest: Blob = b""
    is_truncated: bool = False
    masked: list[Masked] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    opening: Blob = b""


@dataclass
class SessionEvent:
    """An event and the index of its session in the batch."""

    session: int
    event: Event


@dataclass
class EventBatch:
    """A group commit of events: sealed on the raw topic (origin None), masked on the sessions topic."""

    proxy_id: str
    proxy_epoch: str
    batch_seq: int
    origin: Origin | None = None
    rule_version: str = ""
    sessions: list[SessionContext] = field(default_factory=list)
    events: list[SessionEvent] = field(default_factory=list)


@dataclass
class SealedHeader:
    """What is said in the clear about a sealed batch."""

    proxy_id: str
    proxy_epoch: str
    partition: int
    batch_seq: int
    created_at: int
    key_id: str
    wrapped_key: bytes
    redrives: Origin | None = None


@dataclass
class SealedBatch:
    """A batch sealed to the masking processor and signed by the proxy."""

    header: SealedHeader
    ciphertext: bytes
    signature: bytes


@dataclass
class DeadLetter:
    """A record that can never be processed: final for its origin. Never holds plaintext."""

    origin: Origin
    stage: str
    reason: str
    record: bytes
    at: int


@dataclass
class Fact:
    """What detection needs to know of one event, without content."""

    offset: int
    position: int
    session_id: str
    seq: int
    at: int
    agent: str
    principal: str
    resource: str
    kind: str
    operation: str
    verdict: str
    status: str
    is_failed: bool
    rows: int
    bytes: int
    objects: list[str] = field(default_factory=list)


@dataclass
class FactBatch:
    """Facts of one agent out of one sessions batch; `index` of `count` batches of the same origin."""

    origin: Origin
    index: int
    count: int
    facts: list[Fact] = field(default_factory=list)


@dataclass
class Detection:
    """A rule matched on events. `detection_id` is a hash of rule, origin and position."""

    detection_id: str
    at: int
    rule: str
    rule_version: str
    severity: str
    title: str
    agent: str
    principal: str
    resource: str
    session_id: str
    origin: Origin
    position: int
    evidence: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class FlowValue:
    """A value by its token; an empty label: no detector knows it, and the token is a fingerprint."""

    label: str
    token: str


@dataclass
class Sighting:
    """Values in one event's answer or request, by their tokens. `began` is when an answer can have begun."""

    position: int
    session_id: str
    seq: int
    at: int
    began: int
    agent: str
    principal: str
    run_id: str
    chain: list[str] = field(default_factory=list)
    resource: str = ""
    is_received: bool = False
    values: list[FlowValue] = field(default_factory=list)


@dataclass
class SightingBatch:
    """Sightings out of one sessions batch whose tokens fall into one bucket."""

    origin: Origin
    bucket: int
    sightings: list[Sighting] = field(default_factory=list)


@dataclass
class FactBundle:
    """Framed records of the facts topic that lie in one Kafka record, in order."""

    items: list[bytes] = field(default_factory=list)


@dataclass
class LineageEdge:
    """A value seen in an answer of one resource went into a request to another. `relation`: agent, run or chain."""

    edge_id: str
    at: int
    relation: str
    label: str
    token: str
    from_resource: str
    from_session: str
    from_seq: int
    from_at: int
    from_agent: str
    from_principal: str
    to_resource: str
    to_session: str
    to_seq: int
    to_agent: str
    to_principal: str
    run_id: str
    origin: Origin
    position: int


@dataclass
class Progress:
    """How far a stage with sparse output has absorbed its input; `state` is the stage's own."""

    stage: str
    log_id: str
    partition: int
    offset: int
    at: int
    state: bytes = b""


@dataclass
class RetentionAction:
    """An order of retention, or what came of it. `day` is the UTC partition, YYYY-MM-DD."""

    order_id: str
    action: str
    retention_class: str
    day: str
    at: int
    reason: str
    evidence: dict[str, str] = field(default_factory=dict)
    rows: int = 0


@dataclass
class Control:
    """One entry of the control state; `payload` is JSON of the kind's model, empty when removed."""

    kind: str
    id: str
    version: int
    payload: str
    writer: str
    signature: bytes = b""


@dataclass
class StoredEvent:
    """Canonical form of a stored event: what its leaf commits to (event without opening)."""

    schema_fingerprint: bytes
    session: SessionContext
    event: Event


Record = (
    EventBatch
    | SealedBatch
    | DeadLetter
    | FactBatch
    | SightingBatch
    | FactBundle
    | Detection
    | LineageEdge
    | Progress
    | RetentionAction
    | Control
    | StoredEvent
)


def session_from(fields: dict[str, Any]) -> SessionContext:
    """Build a context from decoded Avro fields."""
    context = SessionContext(**fields)
    context.delegation = [Hop(**hop) for hop in fields["delegation"]]
    return context


def event_from(fields: dict[str, Any]) -> Event:
    """Build an event from decoded Avro fields."""
    event = Event(**fields)
    if event.masked:
        event.masked = [Masked(**item) for item in fields["masked"]]
    return event
