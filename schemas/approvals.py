"""What people decide about held actions and about who is stopped, as control holds it."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.config import Model

MAX_SHAPE_MINUTES = 1440
MAX_REASON_CHARS = 1000

Person = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]


class Decision(Model):
    """One person's decision on one held action. Control holds each under a key of its own: the first one counts.

    It is for the action whose id, session and digest it names, and for no other. `digest` is what approval.requested
    said: a keyed digest of session, action, statement, parameters and content.
    """

    approval_id: str = Field(..., pattern=r"^[0-9a-f]{12}$")
    session_id: str = Field(..., min_length=1, max_length=256)
    digest: str = Field(..., pattern=r"^[0-9a-f]{64}$")
    verdict: Literal["approve", "deny"]
    approver: Person
    scope: Literal["once", "shape"] = "once"
    minutes: int = Field(0, ge=0, le=MAX_SHAPE_MINUTES, description="shape: for how long")
    reason: str = Field("", max_length=MAX_REASON_CHARS)
    at: int = Field(..., gt=0, description="µs since the epoch, UTC")


class Quarantine(Model):
    """Who is stopped: an agent, a principal or one session. The reason is told to whoever is refused."""

    kind: Literal["agent", "principal", "session"]
    name: str = Field(..., min_length=1, max_length=512)
    reason: str = Field("", max_length=MAX_REASON_CHARS)
    by: Person
    at: int = Field(..., gt=0, description="µs since the epoch, UTC")

    @property
    def id(self) -> str:
        """Its key in control."""
        return f"{self.kind}:{self.name}"
