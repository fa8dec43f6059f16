"""What the API takes and gives, as models: the OpenAPI document is made from them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from console.api.routing import Document
from console.times import parse_duration, parse_moment
from schemas.resources import Delegate, Policy, Resource


def _moment(text: str) -> str:
    parse_moment(text, datetime.now(UTC))
    return text


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Moment = Annotated[str, AfterValidator(_moment), Field(max_length=64, examples=["2026-01-31T12:00", "2h"])]
Lasting = Annotated[str, AfterValidator(_duration), Field(max_length=32, examples=["15m", "24h"])]
Filter = Annotated[str, Field(max_length=1000)]
Limit = Annotated[int, Field(ge=1, le=1000)]


class Answered(BaseModel):
    """Base of what is answered; more may come, so readers must not mind names they do not know."""

    model_config = ConfigDict(from_attributes=True)


# ── the record ──


class Period(Document):
    """From when to when: a time (ISO 8601), or how long ago (`2h`)."""

    since: Moment = "7d"
    until: Moment = ""

    def bounds(self) -> tuple[int, int]:
        """[since, until) in µs since the epoch."""
        now = datetime.now(UTC)
        until = parse_moment(self.until, now) if self.until else now + timedelta(days=1)
        return _to_us(parse_moment(self.since, now)), _to_us(until)


class SessionsQuery(Period):
    """Which sessions."""

    agent: Filter = ""
    principal: Filter = ""
    resource: Filter = ""
    run_id: Filter = ""
    text: Filter = Field("", description="words that all stand in one statement")
    custody: bool = Field(False, description="Custody's own sessions too")
    limit: Limit = 50


class Session(Answered):
    """A session, and what happened in it."""

    session_id: str
    state: str = Field(description="opened, closed or lost")
    agent: str
    principal: str
    resource: str
    protocol: str
    run_id: str
    client: str
    source_ip: str
    opened_at: datetime
    ended_at: datetime
    events: int
    reason: str
    actions: int = 0
    refused: int = 0
    row_count: int = 0
    masked_values: int = 0


class Sessions(Answered):
    """Sessions, newest first."""

    sessions: list[Session]


class Hop(Answered):
    """One link of a delegation chain."""

    actor: str
    on_behalf_of: str


class SessionDetail(Answered):
    """Who acted, for whom, on what, from where."""

    session_id: str
    state: str
    agent: str
    principal: str
    delegation: list[Hop]
    resource: str
    protocol: str
    run_id: str
    credential_id: str
    client: str
    tls: str
    source: str
    upstream: str
    opened_at: datetime


class ReplayQuery(Document):
    """Which page of a session's events."""

    after: int = Field(0, ge=0, description="only events whose seq is above this")
    limit: Limit = 200


class MaskedValue(Answered):
    """A value that masking replaced."""

    label: str
    count: int
    token: str
    place: str


class Event(Answered):
    """One event of the record, masked as it is stored."""

    session_id: str
    seq: int
    at: datetime
    kind: str
    agent: str
    principal: str
    resource: str
    action_id: str
    statement: str
    parameters: list[str | None]
    operation: str
    objects: list[str]
    verdict: str
    status: str
    error: str
    rows: int
    bytes: int
    duration_us: int
    attributes: dict[str, str]
    payload: str
    payload_type: str
    payload_bytes: int
    is_truncated: bool
    masked: list[MaskedValue]


class Replay(Answered):
    """A page of a session, in order. `next_after` is 0 when this was the last page so far."""

    session: SessionDetail
    events: list[Event]
    next_after: int = 0
    is_closed: bool = Field(False, description="the session's last event is on this page")


class EventsQuery(Period):
    """Which events."""

    session: Filter = ""
    agent: Filter = ""
    principal: Filter = ""
    resource: Filter = ""
    run_id: Filter = ""
    kind: Filter = ""
    operation: Filter = ""
    verdict: Filter = ""
    text: Filter = Field("", description="words that all stand in the statement")
    custody: bool = Field(False, description="Custody's own events too")
    limit: Limit = 100
    cursor: str = Field("", max_length=400, description="`next` of the page before")


class Events(Answered):
    """Events, newest first. `next` is the cursor of the next page, empty after the last."""

    events: list[Event]
    next: str = ""


class DetectionsQuery(Period):
    """Which detections."""

    agent: Filter = ""
    resource: Filter = ""
    rule: Filter = ""
    severity: Literal["info", "low", "medium", "high", "critical"] = Field("info", description="at least")
    limit: Limit = 50


class Detection(Answered):
    """A rule matched on events."""

    detection_id: str
    at: datetime
    severity: str
    rule: str
    title: str
    agent: str
    principal: str
    resource: str
    session_id: str
    evidence: list[str]
    attributes: dict[str, str]


class Detections(Answered):
    """Detections, newest first."""

    detections: list[Detection]


class SqlQuery(Document):
    """One read-only SQL statement on the record (docs/query.md). A FORMAT clause is refused."""

    sql: str = Field(min_length=1, max_length=100_000)


class Column(Answered):
    """A column of a result."""

    name: str
    type: str


class SqlResult(Answered):
    """A result: columns, and rows as lists. 64-bit numbers come as texts."""

    columns: list[Column]
    rows: list[list[Any]]


# ── control ──


class Resources(Answered):
    """The registered resources."""

    resources: list[Resource]


class Changed(Answered):
    """One entry of control that was written."""

    kind: str
    id: str
    action: str = Field(description="added, changed or removed")


class Changes(Answered):
    """What was written; empty when all was so already."""

    changes: list[Changed]


class CredentialsQuery(Document):
    """Which credentials."""

    all: bool = Field(False, description="expired and revoked ones too")


class CredentialEntry(Answered):
    """A credential, never its secret."""

    id: str
    state: str = Field(description="valid, expired or revoked")
    principal: str
    agent: str
    agent_version: str = ""
    charter: str = ""
    groups: list[str] = Field(default_factory=list)
    delegation: list[Delegate] = Field(default_factory=list)
    run_id: str = ""
    resources: list[str]
    expires_at: int = Field(description="µs since the epoch, UTC")


class Credentials(Answered):
    """Credentials, the next to end first."""

    credentials: list[CredentialEntry]


class CredentialRequest(Document):
    """A credential to issue."""

    agent: str = Field(min_length=1, max_length=200, description="the software that acts")
    agent_version: str = Field("", max_length=100)
    charter: str = Field("", max_length=128, description="hash of what the agent was told to do")
    resources: list[str] = Field(min_length=1, max_length=100)
    principal: str = Field("", max_length=200, description="whose authority is used; default: who asks")
    run_id: str = Field("", max_length=200)
    ttl: Lasting = "1h"


class IssuedCredential(Answered):
    """A credential with its secret, which is stored nowhere and shown this once."""

    id: str
    secret: str
    expires_at: int = Field(description="µs since the epoch, UTC")
    bearer: str = Field(description="what HTTP agents send as Proxy-Authorization or Authorization: Bearer")


class RevocationQuery(Document):
    """Why a credential ends."""

    reason: str = Field("", max_length=500, description="kept with the revocation")


class Revoked(Answered):
    """A credential that has ended."""

    id: str
    is_new: bool = Field(description="false when it had been revoked before")


class Policies(Answered):
    """The policies in control, and the version that they make together."""

    version: str
    policies: list[Policy]


class PolicyText(Document):
    """A policy, or several, in Cedar."""

    cedar: str = Field(min_length=1, max_length=1 << 20)


class PolicyFault(Answered):
    """What is wrong with a policy, and where."""

    file: str
    line: int
    fault: str


class PolicyCheck(Answered):
    """All faults; none: the policy may be put."""

    faults: list[PolicyFault]


# ── the service ──


class Alive(Answered):
    """That the API serves."""

    status: Literal["ok"] = "ok"


class Part(Answered):
    """One part of the stack."""

    name: str
    is_ready: bool
    health: str
    detail: str
    lag: int | None = None


class Health(Answered):
    """The parts of the stack on this host."""

    parts: list[Part]


class WhoAmI(Answered):
    """Who asks, as Custody sees it."""

    principal: str
    groups: list[str]
    roles: list[str]
    permissions: list[str]
    via: str
    expires_at: int = Field(0, description="when the login ends, µs since the epoch; 0: it does not")


def _to_us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
