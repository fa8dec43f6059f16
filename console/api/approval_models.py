"""Models of what waits for a person, of deciding on it, and of who is stopped."""

from typing import Literal

from pydantic import Field

from console.api.models import Answered, Hop
from console.api.routing import Document
from schemas.approvals import MAX_REASON_CHARS, MAX_SHAPE_MINUTES

# ── approvals ──


class Past(Answered):
    """What the record knows of an agent's last day and a session's last actions."""

    actions: int
    refused: int
    approved: int
    recent: list[str]


class HeldAction(Answered):
    """An action that waits for a person. Everything in it is masked. Times are µs since the epoch, UTC."""

    approval_id: str
    session_id: str
    action_id: str
    principal: str
    agent: str
    delegation: list[Hop]
    run_id: str
    resource: str
    protocol: str
    kind: str
    operation: str
    objects: list[str]
    statement: str
    parameters: list[str | None]
    content: str
    reason: str = Field(description="why it waits")
    policies: list[str]
    approvers: int = Field(description="how many different people must approve")
    approved_by: list[str]
    asked_at: int
    expires_at: int
    past: Past | None = Field(None, description="absent in lists, and when the store does not answer")


class HeldActions(Answered):
    """What waits, the oldest first."""

    approvals: list[HeldAction]


class Approval(Document):
    """An approval in the name of who asks."""

    minutes: int = Field(
        0, ge=0, le=MAX_SHAPE_MINUTES, description="0: this action; else its shape in its session, so long"
    )
    reason: str = Field("", max_length=MAX_REASON_CHARS, description="kept with the approval")


class Denial(Document):
    """A denial in the name of who asks."""

    reason: str = Field(min_length=1, max_length=MAX_REASON_CHARS, description="told to the agent, and kept")


class Decided(Answered):
    """What the proxy has recorded of a decision."""

    approval_id: str
    status: Literal["approved", "denied", "counted"] = Field(description="counted: more people are needed")
    told: str
    delay_us: int = Field(description="how long the action had waited; 0 while it waits on")


# ── quarantine ──

Kind = Literal["agent", "principal", "session"]


class Quarantined(Answered):
    """Who is stopped, why, by whom and since when (µs since the epoch, UTC)."""

    kind: str
    name: str
    reason: str
    by: str
    at: int


class QuarantineList(Answered):
    """Who is stopped, by kind and name."""

    quarantined: list[Quarantined]


class QuarantineRequest(Document):
    """Who is to be stopped, in the name of who asks."""

    kind: Kind
    name: str = Field(min_length=1, max_length=512)
    reason: str = Field(min_length=1, max_length=MAX_REASON_CHARS, description="told to whoever is refused, and kept")


class QuarantineQuery(Document):
    """Who is meant."""

    kind: Kind
    name: str = Field(min_length=1, max_length=512)
