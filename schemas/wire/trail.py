"""Custody's own doings as events: a trail that any of its processes keeps in the log that agents' actions are in.

Events go the way of all evidence: sealed, signed with the process's own key (a `proxy_key` entry in control),
numbered without holes. What people ask of a process is a session of its own; the process itself is one, too, which says
when it started and stopped.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final

from schemas.config import Settings
from schemas.errors import AuditUnavailable
from schemas.events import Event, EventKind, SessionContext
from schemas.runtime import Home, now_us, write_private
from schemas.wire import kafka
from schemas.wire.batching import encode_context, encode_event
from schemas.wire.publisher import Publisher
from schemas.wire.sealing import make_sealer

log = logging.getLogger(__name__)

OWN: Final = "custody"
"""Resource and protocol of Custody's own sessions."""


class Refusals:
    """Records refusals one by one, at most `per_minute`; others are counted, and the next one recorded says how many:
    a flood of them floods no log."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._recorded_at: list[float] = []
        self._unrecorded = 0

    def record(self, write: Callable[[dict[str, str]], None]) -> bool:
        """Have one written, with what is to be said of those before it. False: the log did not take it."""
        now = time.monotonic()
        self._recorded_at = [at for at in self._recorded_at if at > now - 60][-self._per_minute :]
        if len(self._recorded_at) >= self._per_minute:
            self._unrecorded += 1
            return True
        self._recorded_at.append(now)
        try:
            write({"refused_before_unrecorded": str(self._unrecorded)} if self._unrecorded else {})
        except AuditUnavailable:
            self._unrecorded += 1
            return False
        self._unrecorded = 0
        return True


class TrailSession:
    """One session of Custody's own. Events are appended in the order of the calls."""

    def __init__(self, publisher: Publisher, context: SessionContext) -> None:
        context.session_id = context.session_id or publisher.new_session_id()
        self.id = context.session_id
        self._publisher = publisher
        self._context = encode_context(context)
        self._partition = publisher.partition_for(self.id)
        self._seq = 0
        self.is_closed = False
        self.ticket = self.record(EventKind.SESSION_OPENED, at=context.opened_at)

    @property
    def action_id(self) -> str:
        """Of the session's one action."""
        return f"{self.id}.1"

    def record(self, kind: EventKind, *, at: int = 0, **values: Any) -> int:
        """Append an event; its ticket. Raises AuditUnavailable when too much waits for the broker."""
        event = Event(self._seq + 1, at or now_us(), kind.value, opening=os.urandom(16), **values)
        self.ticket = self._publisher.append(self._partition, self.id, self._context, encode_event(event))
        self._seq = event.seq
        return self.ticket

    def close(self, reason: str, actions: int = 0) -> int:
        """Append session.closed; its ticket."""
        self.is_closed = True
        facts = {"reason": reason, "events": str(self._seq + 1), "actions": str(actions)}
        return self.record(EventKind.SESSION_CLOSED, attributes=facts, status=reason)

    async def wait(self) -> None:
        """Return when everything appended is durable. Raises AuditUnavailable."""
        await self._publisher.wait(self._partition, self.ticket)


class Trail:
    """The trail of one process. `name` is its run-state name and the name of its signing key; `component` its login."""

    def __init__(self, name: str, component: str, settings: Settings, home: Home) -> None:
        self._name = name
        self._component = component
        self._settings = settings
        self._home = home
        self._publisher: Publisher
        self._own: TrailSession

    async def start(self) -> None:
        """Connect and record that the process started. Raises AuditUnavailable, ConfigError."""
        config = kafka.producer_config(self._settings, self._home, self._component)
        sealer = make_sealer(self._name, self._settings, self._home)
        self._publisher = Publisher(config, sealer, self._settings.capture)
        await self._publisher.start()
        epoch = self._publisher.epoch
        previous = await asyncio.to_thread(self._swap_epoch, epoch)
        self._own = self.open(self._name, principal=OWN, session_id=f"{self._name}-{epoch}")
        self._own.record(EventKind.PROXY_STARTED, attributes={"epoch": epoch, "previous_epoch": previous})

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Record that the process stopped, and wait for what is not durable yet."""
        batches = {f"batches.{p.number}": str(p.next_seq) for p in self._publisher.partitions()}
        try:
            self._own.record(EventKind.PROXY_STOPPED, attributes=batches)
            self._own.close("stopped")
        except AuditUnavailable:
            log.error("the stop of %s could not be recorded", self._name)
        if not await self._publisher.close(timeout_s):
            log.error("the audit log did not take the last events in %.0f s", timeout_s)

    def open(self, agent: str, *, principal: str, session_id: str = "", **values: Any) -> TrailSession:
        """A session of what somebody asks of Custody, opened. `values` are fields of SessionContext."""
        values["retention_class"] = self._settings.retention.find_class(OWN, OWN, {})
        context = SessionContext(session_id, principal, agent, resource=OWN, protocol=OWN, opened_at=now_us(), **values)
        return TrailSession(self._publisher, context)

    async def note(self, kind: EventKind, **attributes: str) -> None:
        """Record an event of the process itself, durably. Raises AuditUnavailable."""
        self._own.record(kind, attributes=attributes)
        await self._own.wait()

    def _swap_epoch(self, epoch: str) -> str:
        path = self._home.spool / self._name / "epoch"
        previous = path.read_text() if path.is_file() else ""
        write_private(path, epoch.encode())
        return previous
