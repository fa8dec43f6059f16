"""Legal holds: the model of a `legal_hold` entry of control, and what a hold takes in.

A hold names what must stay: events that fit every criterion it gives. It is placed and released by two people each. A
released hold stays in control, so that who released it and why is known, too.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field, ValidationError, model_validator

from schemas.config import Model, faults_of
from schemas.errors import ConfigError
from schemas.names import fold_name

HELD: Final = "held"
"""The class into which the store moves held rows of a day that expires. No class of settings has this name."""
OPENING_BYTES: Final = 16
CRITERIA: Final = ("session", "agent", "principal", "resource", "token", "since", "until")
_PLAIN: Final = r"^[^\x00-\x1f\x7f]{0,256}$"
_WORDS: Final = r"^[^\x00-\x1f\x7f]{1,500}$"
_RELEASE: Final = ("released_by", "release_approved_by", "release_reason", "released_at")
_TOKEN: Final = r"^([A-Za-z0-9:_+/=.-]{1,128})?$"  # noqa: S105 - the shape of a masking token, no secret


class LegalHold(Model):
    """What stays and on whose word. Times are µs since the epoch, UTC; 0: no limit. Empty criteria take everything."""

    session: str = Field("", pattern=_PLAIN, description="one session")
    agent: str = Field("", pattern=_PLAIN, description="what an agent did")
    principal: str = Field("", pattern=_PLAIN, description="what was done under somebody's authority")
    resource: str = Field("", pattern=_PLAIN, description="what was done on a resource")
    token: str = Field("", pattern=_TOKEN, description="sessions in which a masked value was seen, by its token")
    since: int = Field(0, ge=0, lt=1 << 62, description="events from this time on")
    until: int = Field(0, ge=0, lt=1 << 62, description="events before this time")
    authority: str = Field(..., pattern=_WORDS, description="who asks for it: a court, a regulator, counsel, a matter")
    reason: str = Field(..., pattern=_WORDS, description="why")
    placed_by: str = Field(..., pattern=_WORDS)
    approved_by: str = Field(..., pattern=_WORDS)
    placed_at: int = Field(..., gt=0)
    opening: str = Field(..., pattern=r"^[0-9a-f]{32}$", description="opens the hold's leaf in the transparency log")
    released_by: str = Field("", pattern=_PLAIN)
    release_approved_by: str = Field("", pattern=_PLAIN)
    release_reason: str = ""
    released_at: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _is_whole(self) -> "LegalHold":
        if not any(getattr(self, name) for name in CRITERIA):
            raise ValueError("a hold needs at least one criterion")
        if self.until and self.until <= self.since:
            raise ValueError("the hold ends before it begins")
        require_two(self.placed_by, self.approved_by)
        if self.released_at:
            require_two(self.released_by, self.release_approved_by)
        return self

    @property
    def is_active(self) -> bool:
        return not self.released_at

    def takes(self, session_id: str, agent: str, principal: str, resource: str, at: int) -> bool:
        """Whether an event fits. A token is not looked at: which sessions have it is for the caller to know."""
        return (
            self.session in ("", session_id)
            and self.agent in ("", agent)
            and self.principal in ("", principal)
            and self.resource in ("", resource)
            and self.since <= at < (self.until or 1 << 62)
        )

    def payload(self, *, as_placed: bool = False) -> dict[str, Any]:
        """The entry of control; `as_placed`: as it was before any release."""
        document = self.model_dump(exclude_defaults=True)
        return {name: value for name, value in document.items() if not (as_placed and name in _RELEASE)}


def require_two(first: str, second: str) -> None:
    """Raises ValueError unless these are two different people, however their names are written."""
    names = [fold_name(name) for name in (first, second)]
    if not all(names):
        raise ValueError("it takes two people: one who asks and one who approves")
    if names[0] == names[1]:
        raise ValueError(f"{first.strip()} cannot approve what {first.strip()} asks for")


def parse_hold(id: str, payload: object) -> LegalHold:
    """A hold of control. Raises ConfigError."""
    try:
        return LegalHold.model_validate(payload)
    except ValidationError as error:
        raise ConfigError(faults_of(error, f"legal hold {id}")) from None


def parse_active(entries: Mapping[str, object]) -> dict[str, LegalHold]:
    """The holds in force among a control view's entries. Raises ConfigError: what cannot be read may hold anything."""
    found = {id: parse_hold(id, payload) for id, payload in sorted(entries.items())}
    return {id: hold for id, hold in found.items() if hold.is_active}


def describe_hold(id: str, payload: object) -> dict[str, str]:
    """A hold's entry of control as facts of an event: what it is now, on whose word, what it takes in. Never fails."""
    told = payload if isinstance(payload, dict) else {}
    is_over = bool(told.get("released_at"))
    known = {
        "state": "released" if is_over else "placed",
        "by": told.get("released_by" if is_over else "placed_by", ""),
        "approved_by": told.get("release_approved_by" if is_over else "approved_by", ""),
        "reason": told.get("release_reason" if is_over else "reason", ""),
        "authority": told.get("authority", ""),
        **{name: told.get(name, "") for name in CRITERIA},
    }
    facts = {f"hold.{name}": str(value)[:500] for name, value in known.items() if value not in ("", 0, None)}
    return {"hold.id": id[:128], **facts}


def encode_payload(payload: Mapping[str, Any]) -> str:
    """A payload as control carries it, and as a hold's leaf commits to it."""
    return json.dumps(payload, ensure_ascii=False, sort_keys=True)
