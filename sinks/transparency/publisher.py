"""Signs the log's heads, has them witnessed, publishes them: one at a time, without holding up what is appended.

Signing and asking run in a thread of their own; the log is touched only by whoever calls `work`. A head that the quorum
did not sign is published all the same (unless witnesses are required), the stretch is told, and the witnesses are asked
again until they sign.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from schemas.errors import Unreachable
from sinks.transparency.cosigning import Cosigners
from sinks.transparency.log import Head, Log, LogReader
from sinks.transparency.note import Checkpoint, Note, Signature, Signer, sign_checkpoint
from sinks.transparency.quorum import Policy
from sinks.transparency.storage import Storage

REPEAT_S: Final = 2.0
"""So long after a head that the quorum did not sign the witnesses are asked again, though nothing is new."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that is out. `cosignatures` are verified ones by witness."""

    head: Head
    note: Note
    cosignatures: dict[str, Signature]
    is_witnessed: bool

    def encode(self) -> bytes:
        """The note."""
        return self.note.encode()


class Publisher:
    """See above. `note` is called with each checkpoint that was published."""

    def __init__(
        self,
        log: Log,
        storage: Storage,
        signer: Signer,
        policy: Policy,
        *,
        interval_s: float,
        requires_quorum: bool = False,
        note: Callable[[Published], None] = lambda published: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.latest: Published | None = None
        self.unwitnessed_since = 0.0  # wall clock; 0: all is witnessed, or no quorum is asked for
        self.unsigned = ""  # why the log's own key does not sign
        self.cosigners = Cosigners(list(policy.witnesses.values()))
        self._log, self._storage, self._signer, self._policy = log, storage, signer, policy
        self._interval_s, self._requires_quorum = interval_s, requires_quorum
        self._note, self._clock = note, clock
        self._next_at = 0.0
        self._attempted = -1
        self._is_stale = False
        self._executor = ThreadPoolExecutor(1, "publisher")
        self._job: tuple[Head, Future[Published]] | None = None

    def work(self) -> None:
        """Publish what is signed by now; have the newest head signed when it is time. Raises Unreachable."""
        self._collect()
        if self._job is None and time.monotonic() >= self._next_at and self._is_due():
            self._start()

    def flush(self, timeout_s: float = 5.0) -> None:
        """Publish everything that is in the log now, if that takes no longer. Raises Unreachable."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._collect()
            if self._job is None:
                if (self._attempted >= self._log.size and not self._is_stale) or self.unsigned:
                    return
                self._start()
            time.sleep(0.005)

    @property
    def settled(self) -> Published | None:
        """The last checkpoint, if none is being signed meanwhile."""
        return self.latest if self._job is None else None

    def use_signer(self, signer: Signer) -> None:
        """Sign with another key from the next head on, which is due even if nothing is new. Not while one is signed."""
        self._signer = signer
        self._is_stale, self._next_at = True, 0.0

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _collect(self) -> None:
        if self._job is not None and self._job[1].done():
            head, future = self._job
            self._job = None
            try:
                published = future.result()
            except Unreachable as error:
                # What is appended is durable; only its head has to wait for a signature.
                if not self.unsigned:
                    _log.error("alarm: no head can be signed: %s", error)
                self.unsigned = str(error)
                self._next_at = time.monotonic() + REPEAT_S
                return
            self.unsigned = ""
            self._finish(head, published)

    def _start(self) -> None:
        head = self._log.head()
        self._log.stage(head)
        self._next_at = time.monotonic() + self._interval_s
        self._attempted, self._is_stale = head.size, False
        self._job = (head, self._executor.submit(self._sign, head))

    def _is_due(self) -> bool:
        if self._is_stale or self.latest is None or self.latest.head.size < self._log.size:
            return True
        if not self.latest.is_witnessed:
            self._next_at = max(self._next_at, time.monotonic() + REPEAT_S)
            return True
        return False

    def _sign(self, head: Head) -> Published:
        """In the thread: the log's signature, then the witnesses'. Reads tiles only. Raises Unreachable."""
        checkpoint = Checkpoint(self._log.origin, head.size, head.root)
        own = sign_checkpoint(checkpoint, self._signer)
        signed = Note(checkpoint.text, (own,))
        reader = LogReader(self._storage, head.size)
        found = self.cosigners.ask(signed, head.size, reader.prove_consistency)
        note = Note(checkpoint.text, (own, *found.values()))
        return Published(head, note, found, self._policy.is_met(list(found)))

    def _finish(self, head: Head, published: Published) -> None:
        self._tell_stretch(published)
        if self._requires_quorum and not published.is_witnessed:
            return
        self._log.publish(head, published.note.encode())
        self.latest = published
        self._note(published)

    def _tell_stretch(self, published: Published) -> None:
        if published.is_witnessed and self.unwitnessed_since:
            _log.warning("size %d is witnessed again", published.head.size)
            self.unwitnessed_since = 0.0
        elif not published.is_witnessed and not self.unwitnessed_since:
            self.unwitnessed_since = self._clock()
            _log.error("alarm: size %d and on is not witnessed: %s", published.head.size, self.cosigners.problems)


def explain(publisher: Publisher) -> str:
    """Why the last head is not signed or not witnessed; empty when it is."""
    if publisher.unsigned:
        return f"no head can be signed: {publisher.unsigned}"
    if not publisher.unwitnessed_since:
        return ""
    problems = "; ".join(f"{name}: {reason}" for name, reason in sorted(publisher.cosigners.problems.items()))
    return f"the quorum has not signed: {problems or 'too few witnesses can be asked'}"
