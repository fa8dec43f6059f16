"""The one seam to the policy engine: what may this action do?"""

from dataclasses import dataclass, field
from typing import Final

from ingest.http.heads import SAFE_METHODS
from schemas.events import SessionContext, Verdict
from schemas.resources import Resource


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it rests on."""

    verdict: Verdict = Verdict.ALLOW
    operation: str = ""
    objects: tuple[str, ...] = ()
    reason: str = ""
    rules: dict[str, str] = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        return self.verdict in (Verdict.DENY, Verdict.HOLD)


HOLD_REASON: Final = "held actions need an approval"


def judge(context: SessionContext, resource: Resource, method: str, path: str) -> Judgement:
    """The verdict on one request. `path` is without its query."""
    operation = "read" if method in SAFE_METHODS else "write"
    return Judgement(operation=operation, objects=(path,))
