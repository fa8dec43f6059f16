"""What waits for a person, followed all the time by a process that many people ask; and their decisions, one by one."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from console.approvals import UNANSWERED, WAIT_S, Answer, find_answer, find_window_s, make_decision, write_decision
from console.control import COMPONENT, TIMEOUT_S, Place
from schemas.approvals import Decision
from schemas.errors import CustodyError, Fault, Unreachable
from schemas.runtime import now_us
from schemas.wire.control import ControlView
from sinks.approvals.follower import Follower
from sinks.approvals.pending import Ending, HeldAction

log = logging.getLogger(__name__)

POLL_S: Final = 0.2
GROWTH_S: Final = 30.0
AGAIN_S: Final = 1.0


class Clicked(CustodyError):
    """The same person's decision on the same action is on its way: this one was not written."""

    fault = Fault.CALLER


class Desk:
    """Follows the masked log in a thread of its own. Thread-safe."""

    def __init__(self, place: Place, view: ControlView) -> None:
        self._place = place
        self._follower = Follower(place.settings, place.home, COMPONENT, find_window_s(place.settings, view))
        self._pending = self._follower.pending
        self._changed = threading.Condition()
        self._is_current = False
        self._stopped = threading.Event()
        self._under_way: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._run, name="approvals", daemon=True)

    def start(self) -> None:
        """Begin to read; what is asked before the present is reached waits for that."""
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(TIMEOUT_S)

    def waiting(self) -> list[HeldAction]:
        """What waits now, the oldest first; masked. Raises Unreachable."""
        with self._reading():
            return self._pending.waiting(now_us())

    def find(self, approval_id: str) -> HeldAction | Ending | None:
        """An action that waits, or how its wait ended, or None when nothing is known of it. Raises Unreachable."""
        with self._reading():
            return self._pending.ending(approval_id) or self._pending.find(approval_id)

    def decide(
        self,
        held: HeldAction,
        *,
        approver: str,
        verdict: Literal["approve", "deny"],
        minutes: int = 0,
        reason: str = "",
        wait_s: float = WAIT_S,
    ) -> Answer:
        """Decide on a waiting action, and say what its proxy made of it.

        Raises ConfigError (malformed), Clicked, Unreachable (it could not be written).
        """
        decision = make_decision(held, approver=approver, verdict=verdict, minutes=minutes, reason=reason)
        with self._one_at_a_time(held.approval_id, approver):
            with self._reading():
                seen = self._pending.refused_count
                held = self._pending.find(held.approval_id) or held
            write_decision(self._place, decision)
            return self._wait_for_answer(held, decision, seen, wait_s)

    @contextmanager
    def _one_at_a_time(self, approval_id: str, approver: str) -> Iterator[None]:
        key = (approval_id, approver)
        with self._changed:
            if key in self._under_way:
                raise Clicked(f"your decision on approval {approval_id} is on its way already")
            self._under_way.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.discard(key)

    def _wait_for_answer(self, held: HeldAction, decision: Decision, seen: int, wait_s: float) -> Answer:
        deadline = time.monotonic() + wait_s
        with self._changed:
            while (left := deadline - time.monotonic()) > 0 and not self._stopped.is_set():
                answer = find_answer(self._pending, held, decision, seen)
                if answer is not None:
                    return answer
                self._changed.wait(left)
        return UNANSWERED

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """With what is known held still. Raises Unreachable when the log was not read up to its start."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_current or not self._thread.is_alive(), TIMEOUT_S):
                raise Unreachable("the masked log was not read in time")
            if not self._thread.is_alive():
                raise Unreachable("the masked log is not followed any more")
            yield

    # -- the thread

    def _run(self) -> None:
        try:
            self._start()
            grown_at = time.monotonic()
            while not self._stopped.is_set():
                self._read()
                if time.monotonic() - grown_at >= GROWTH_S:
                    grown_at = time.monotonic()
                    self._try(self._follower.grow)
        except Exception:
            log.exception("alarm: approvals are not followed any more")
        finally:
            self._follower.close()
            with self._changed:
                self._changed.notify_all()

    def _start(self) -> None:
        while not self._stopped.is_set() and not self._try(self._follower.start):
            pass

    def _read(self) -> None:
        batches = []
        try:
            batches = self._follower.read(POLL_S)
        except Unreachable as error:
            log.warning("approvals: %s", error)
            self._stopped.wait(AGAIN_S)
        with self._changed:
            for batch in batches:
                self._pending.take(batch)
            is_news = bool(batches) or self._is_current != self._follower.is_caught_up
            self._is_current = self._follower.is_caught_up
            if is_news:
                self._changed.notify_all()

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Unreachable as error:
            log.warning("approvals: %s", error)
            self._stopped.wait(AGAIN_S)
            return False
        return True
