"""`python -m sinks.approvals.notifier`: tells receivers of actions that wait for a person, and of decisions of which a
policy wants somebody to know.

Nothing is saved: what still waits after a restart is told again, under the same id, and so are the decisions of the
last minute; older ones are not. Each receiver has a thread of its own, so a slow one holds up no other; what it does
not take is tried again, later and later, while it is worth telling.
"""

import heapq
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from schemas.config import Receiver, Settings, find_settings
from schemas.errors import ConfigError, CustodyError, Unreachable
from schemas.resources import resolve_secret
from schemas.runtime import Home, announce_ready, find_home, now_us
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing
from sinks.approvals.follower import Follower
from sinks.approvals.forms import FORMS, Form, Item
from sinks.approvals.notices import NEEDLE, Notice, Notices
from sinks.approvals.pending import NEEDLES, HeldAction
from sinks.approvals.webhook import DeliveryFailed, Webhook, read_secret

_log = logging.getLogger(__name__)

NAME: Final = "notifier"
WINDOW_S: Final = 3600.0
"""The longest that a policy may let an action wait."""
POLL_S: Final = 0.5
FIRST_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 30.0
REPORT_S: Final = 2.0
GROWTH_S: Final = 30.0
AGAIN_S: Final = 1.0
NOTICE_AGE_S: Final = 600.0
"""How long a decision is worth telling to a receiver that does not take it."""
MISSED_S: Final = 60.0
"""How old a decision of before a start may be to be told after it."""


class Courier(threading.Thread):
    """One receiver's deliveries. `is_current` says whether something is still worth telling."""

    def __init__(self, name: str, webhook: Webhook, form: Form, is_current: Callable[[Item], bool]) -> None:
        super().__init__(name=f"courier-{name}", daemon=True)
        self.receiver = name
        self.delivered = 0
        self.problem = ""
        self._webhook = webhook
        self._form = form
        self._is_current = is_current
        self._due: list[tuple[float, int, int, Item]] = []
        self._count = 0
        self._changed = threading.Condition()
        self._is_closing = False

    def add(self, item: Item) -> None:
        """Tell it as soon as possible."""
        self._push(time.monotonic(), 0, item)

    def close(self, timeout_s: float = 5.0) -> None:
        """Give up what is not delivered: a start tells of it again, if it still waits."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self.join(timeout_s)

    def run(self) -> None:
        while (item := self._next()) is not None:
            attempt, told = item
            if self._is_current(told):
                self._deliver(attempt, told)

    def _push(self, at: float, attempt: int, item: Item) -> None:
        with self._changed:
            self._count += 1
            heapq.heappush(self._due, (at, self._count, attempt, item))
            self._changed.notify()

    def _next(self) -> tuple[int, Item] | None:
        with self._changed:
            while not self._is_closing:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    _, _, attempt, item = heapq.heappop(self._due)
                    return attempt, item
                self._changed.wait(self._due[0][0] - now if self._due else None)
            return None

    def _deliver(self, attempt: int, item: Item) -> None:
        body = json.dumps(self._form(item), ensure_ascii=False).encode("utf-8", "replace")
        try:
            self._webhook.send(item.id, body)
        except DeliveryFailed as error:
            self.problem = str(error)
            _log.warning("%s was not told of %s: %s", self.receiver, item.id, error)
            if not error.is_final:
                delay_s = max(error.after_s, min(FIRST_RETRY_S * 2**attempt, MAX_RETRY_S))
                self._push(time.monotonic() + delay_s, min(attempt + 1, 16), item)
            return
        self.delivered += 1
        self.problem = ""


class Notifier:
    """Follows what is to be told and hands it to the couriers."""

    def __init__(self, settings: Settings, home: Home) -> None:
        """Raises ConfigError for a receiver that cannot be."""
        self._home = home
        self._settings = settings
        self._follower = Follower(settings, home, NAME, WINDOW_S, (*NEEDLES, NEEDLE))
        self._notices = Notices()
        self.couriers = {
            name: Courier(name, make_webhook(name, receiver, home), FORMS[receiver.form], self._is_current)
            for name, receiver in settings.approvals.receivers.items()
        }

    def run(self, stopped: threading.Event) -> None:
        """Until stopped. While the broker is away, and at first, it is waited for."""
        for courier in self.couriers.values():
            courier.start()
        try:
            self._start(stopped)
            reported_at = grown_at = -GROWTH_S
            while not stopped.is_set():
                for item in self._poll(stopped):
                    self._tell(item)
                if time.monotonic() - grown_at >= GROWTH_S:
                    grown_at = time.monotonic()
                    self._grow()
                if time.monotonic() - reported_at >= REPORT_S:
                    reported_at = time.monotonic()
                    self._report()
        finally:
            for courier in self.couriers.values():
                courier.close()
            self._follower.close()

    def _start(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                self._follower.start()
                break
            except Unreachable as error:
                _log.warning("waiting: %s", error)
                stopped.wait(AGAIN_S)
        # What waited, and is over, is not told: read to the end before anything is.
        found: list[Item] = []
        while not stopped.is_set() and not self._follower.is_caught_up:
            found += self._poll(stopped)
        since = now_us() - int(MISSED_S * 1e6)
        for item in found:
            if isinstance(item, HeldAction) or item.at >= since:
                self._tell(item)

    def _grow(self) -> None:
        try:
            self._follower.grow()
        except Unreachable as error:
            _log.warning("partitions: %s", error)

    def _poll(self, stopped: threading.Event) -> list[Item]:
        try:
            batches = self._follower.read(POLL_S)
            return [*self._follower.take(batches), *(each for batch in batches for each in self._notices.take(batch))]
        except Unreachable as error:
            _log.warning("waiting: %s", error)
            stopped.wait(AGAIN_S)
            return []

    def _tell(self, item: Item) -> None:
        if self._is_current(item):
            for name in choose_receivers(item, self._settings.approvals.receivers):
                self.couriers[name].add(item)

    def _is_current(self, item: Item) -> bool:
        if isinstance(item, Notice):
            return now_us() - item.at < NOTICE_AGE_S * 1e6
        return item.expires_at > now_us() and self._follower.pending.find(item.approval_id) is not None

    def _report(self) -> None:
        alarms = {name: courier.problem for name, courier in self.couriers.items() if courier.problem}
        delivered = sum(courier.delivered for courier in self.couriers.values())
        announce_ready(self._home, NAME, delivered=delivered, alarms=alarms)


def choose_receivers(item: Item, receivers: Mapping[str, Receiver]) -> list[str]:
    """Those that its policies' `@notify` names; all of them when it names none that there is."""
    return [name for name in item.notify if name in receivers] or list(receivers)


def make_webhook(name: str, receiver: Receiver, home: Home) -> Webhook:
    """Raises ConfigError, naming the receiver."""
    try:
        is_reference = receiver.url.startswith(("env:", "file:"))
        url = resolve_secret(receiver.url, home).strip() if is_reference else receiver.url
        key = read_secret(resolve_secret(receiver.secret, home)) if receiver.secret else b""
        return Webhook(url, key, receiver.ca_file)
    except ConfigError as error:
        raise ConfigError(f"approvals.receivers.{name}: {error}") from None


def main() -> int:
    """Exit code 0 after SIGTERM, 2 for bad settings."""
    set_up_logging()
    home = Home(find_home())
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        settings = find_settings(home)
        choose_framing(settings)
        Notifier(settings, home).run(stopped)
    except CustodyError as error:
        _log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
