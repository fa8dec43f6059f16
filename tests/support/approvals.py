"""Held actions as an approver meets them: read from the trail, decided through control."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.approvals import Decision
from schemas.events import ControlKind, Event
from schemas.runtime import now_us
from tests.support.proxies import Proxy, read_trails

HOLDS = """
@id("others") permit (principal, action, resource) unless { context.operation == "delete" };
@id("deletions") @approval("deletions wait") permit (principal, action == Action::"delete", resource);
@id("short") @approval("; within=1")
permit (principal, action == Action::"delete", resource in Label::"wait=short");
"""


@contextmanager
def policy_in_force(proxy: Proxy, cedar: str, name: str = "held") -> Iterator[None]:
    """Cedar that the proxy goes by until the end; control is shared with other tests."""
    before = _policy_changes(proxy)
    proxy.writer.put(ControlKind.POLICY, name, {"cedar": cedar})
    proxy.wait_for(lambda: _policy_changes(proxy) > before)
    try:
        yield
    finally:
        proxy.writer.put(ControlKind.POLICY, name, None)


def _policy_changes(proxy: Proxy) -> int:
    return len(events_of(proxy, "custody", "policy.changed"))


def events_of(proxy: Proxy, resource: str, kind: str) -> list[Event]:
    return [event for trail in read_trails(proxy.home, resource) for event in trail.of(kind)]


def wait_for_held(proxy: Proxy, resource: str, count: int = 1, timeout_s: float = 30.0) -> Event:
    """The last of `count` actions on the resource that people were asked about."""
    deadline = time.monotonic() + timeout_s
    while len(found := events_of(proxy, resource, "approval.requested")) < count:
        assert time.monotonic() < deadline, proxy.log.read_text()[-4000:]
        time.sleep(0.05)
    return found[count - 1]


def decision_on(
    event: Event, approver: str = "bob@example.test", verdict: str = "approve", **changes: object
) -> Decision:
    """What a person decides on what was asked."""
    values: dict[str, object] = {
        "approval_id": event.attributes["approval.id"],
        "session_id": event.action_id.rpartition(".")[0],
        "digest": event.attributes["approval.digest"],
        "verdict": verdict,
        "approver": approver,
        "at": now_us(),
    }
    return Decision.model_validate(values | changes)


def decide(
    proxy: Proxy, event: Event, approver: str = "bob@example.test", verdict: str = "approve", **changes: object
) -> None:
    """Write a decision to control, as the API does."""
    decision = decision_on(event, approver, verdict, **changes)
    key = f"{decision.approval_id}.{secrets.token_hex(4)}"
    proxy.writer.put(ControlKind.APPROVAL, key, decision.model_dump(mode="json"))
