"""What waits for a person, and deciding on it. Pure of any command or page: the CLI calls this, and so may an API.

Who decides is the caller's word: whoever holds the API's key writes decisions. The proxy checks each one again, and its
word, read back from the trail, is what counts.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from console import queries
from console.control import COMPONENT, TIMEOUT_S, Place, open_view, put_entry, require_home
from console.store import Store
from policy.cedar_policies import load_policies
from policy.decide import read_policy_file
from schemas.approvals import Decision
from schemas.config import Settings, faults_of
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.runtime import now_us
from schemas.wire.control import ControlView
from sinks.approvals.follower import Follower
from sinks.approvals.pending import Ending, HeldAction, Pending

WAIT_S: Final = 10.0
"""How long the proxy's answer to a decision is waited for."""

RECENT: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a decision. `status`: as of Ending, or `counted` (more people are needed), `refused` (it does not
    count), `ignored` (it came second), `unknown` (the proxy has said nothing in time)."""

    status: str
    told: str = ""
    delay_us: int = 0


UNANSWERED: Final = Answer("unknown", "its proxy has not answered in time; see `custody approvals list`")


@contextmanager
def follow(place: Place, view: ControlView | None = None) -> Iterator[Follower]:
    """The masked log of the last minutes, read to its present end. Raises Unreachable."""
    require_home(place)
    if view is None:
        with open_view(place) as opened:
            window_s = find_window_s(place.settings, opened)
    else:
        window_s = find_window_s(place.settings, view)
    follower = Follower(place.settings, place.home, COMPONENT, window_s)
    try:
        follower.start()
        follower.catch_up(TIMEOUT_S)
        yield follower
    finally:
        follower.close()


def find_window_s(settings: Settings, view: ControlView) -> float:
    """The longest time that anything may wait now, by settings and policies."""
    try:
        texts = {name: str(entry.get("cedar", "")) for name, entry in view.all(ControlKind.POLICY).items()}
        policies = load_policies(texts or read_policy_file(settings.policy_file), settings.policy_default)
        limits = [approval.within_s for approval in policies.approvals.values()]
    except ConfigError:  # those in force are others, then: take the longest there can be
        limits = [3600]
    return max(settings.approvals.timeout_s, *limits, 0)


def list_pending(place: Place) -> list[HeldAction]:
    """What waits now, the oldest first; masked. Raises Unreachable, ConfigError."""
    with follow(place) as follower:
        return follower.pending.waiting(now_us())


def find_held(pending: Pending, id: str) -> HeldAction:
    """An action by its approval's id, or the beginning of it. Raises ConfigError, which says how it ended."""
    found = [held for held in pending.waiting(now_us()) if held.approval_id.startswith(id)] if id else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{id} begins more than one approval: {', '.join(held.approval_id for held in found)}")
    ending = pending.ending(id)
    if ending is not None:
        by = f" by {ending.approver}" if ending.approver else ""
        raise ConfigError(f"approval {id} is over: {ending.status}{by}")
    raise ConfigError(f"no approval {id!r} waits; see `custody approvals list`")


def make_decision(
    held: HeldAction, *, approver: str, verdict: Literal["approve", "deny"], minutes: int = 0, reason: str = ""
) -> Decision:
    """A person's decision on a waiting action. `minutes`: its shape is approved, for so long. Raises ConfigError."""
    try:
        return Decision(
            approval_id=held.approval_id,
            session_id=held.session_id,
            digest=held.digest,
            verdict=verdict,
            approver=approver,
            scope="shape" if minutes else "once",
            minutes=minutes,
            reason=reason,
            at=now_us(),
        )
    except ValidationError as error:
        raise ConfigError(faults_of(error, "decision")) from None


def write_decision(place: Place, decision: Decision) -> None:
    """Raises Unreachable. Each decision has a key of its own: a later one hides none, and the proxy takes the first."""
    key = f"{decision.approval_id}.{secrets.token_hex(4)}"
    put_entry(place, ControlKind.APPROVAL, key, decision.model_dump(mode="json"))


def decide(
    place: Place,
    follower: Follower,
    held: HeldAction,
    *,
    approver: str,
    verdict: Literal["approve", "deny"],
    minutes: int = 0,
    reason: str = "",
    wait_s: float = WAIT_S,
) -> Answer:
    """Decide on a waiting action, and say what came of it. Raises ConfigError (malformed), Unreachable."""
    decision = make_decision(held, approver=approver, verdict=verdict, minutes=minutes, reason=reason)
    write_decision(place, decision)
    return wait_for_answer(follower, held, decision, wait_s)


def wait_for_answer(follower: Follower, held: HeldAction, decision: Decision, wait_s: float) -> Answer:
    """What the proxy says in the trail about a decision that was written."""
    seen = follower.pending.refused_count
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        follower.poll(0.1)
        answer = find_answer(follower.pending, held, decision, seen)
        if answer is not None:
            return answer
    return UNANSWERED


def find_answer(pending: Pending, held: HeldAction, decision: Decision, seen: int) -> Answer | None:
    """What the trail says of a decision; None: nothing yet. `seen` is `refused_count` from before it was written."""
    for refused in pending.refused_since(seen):
        is_it = (refused.approval_id, refused.approver) == (held.approval_id, decision.approver)
        if is_it and refused.written_at in (0, decision.at):
            return Answer("ignored" if refused.error.startswith("decided already") else "refused", refused.error)
    ending = pending.ending(held.approval_id)
    if ending is not None:
        return _answer_of(ending, decision)
    now = pending.find(held.approval_id)
    if now is not None and decision.approver in now.approved_by and decision.approver not in held.approved_by:
        return Answer("counted", f"{len(now.approved_by)} of {now.approvers}")
    return None


def _answer_of(ending: Ending, decision: Decision) -> Answer:
    is_own = decision.approver in ending.approver.split(", ")
    wanted = "approved" if decision.verdict == "approve" else "denied"
    if is_own and ending.status == wanted:
        return Answer(ending.status, ending.error, ending.delay_us)
    by = f" by {ending.approver}" if ending.approver else ""
    return Answer("ignored", f"it was over before: {ending.status}{by}")


@dataclass(frozen=True, slots=True)
class Past:
    """What the store knows of an agent's last day and a session's last actions."""

    actions: int
    refused: int
    approved: int
    recent: tuple[str, ...]


def read_past(store: Store, held: HeldAction) -> Past:
    """Raises QueryFailed, Unreachable."""
    who = {"agent": held.agent, "principal": held.principal, "since": now_us() - 86_400_000_000}
    counts = store.one(queries.AGENT_DAY, who)
    which = {"session": held.session_id, "action": held.action_id, "limit": RECENT}
    recent = store.rows(queries.LAST_ACTIONS, which)
    return Past(
        int(counts.get("actions", 0)),
        int(counts.get("refused", 0)),
        int(counts.get("approved", 0)),
        tuple(str(row["statement"]) for row in recent),
    )


def as_document(held: HeldAction, past: Past | None = None) -> dict[str, Any]:
    """A held action for a program. `past` is absent when the store did not answer."""
    document = asdict(held)
    del document["proxy_id"], document["proxy_epoch"]
    document["delegation"] = [{"actor": actor, "on_behalf_of": whom} for actor, whom in held.delegation]
    if past is not None:
        document["past"] = asdict(past)
    return document
