"""One HTTP request and its outcome, as events of a session."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from ingest.gate import Ruling
from ingest.http import heads
from ingest.http.masked import MaskedAnswer
from ingest.session import Session
from policy.model import AS_RESOURCE, RecordObligation
from policy.record_text import write_record
from schemas.events import EventKind, Masked, Verdict

PROGRESS_BYTES: Final = 262_144
"""A streamed body gets a progress record at least this often."""

MASKED_CREDENTIAL: Final = "‹custody credential›"


class Tally:
    """A body as it passes: its count, keyed digest and bounded beginning, and how far it is recorded.

    `is_masked`: count and digest are of what came, the beginning is of what the agent gets (`keep`).
    """

    __slots__ = (
        "_digest",
        "_head",
        "_is_taken",
        "_kept",
        "_pending",
        "durable",
        "is_masked",
        "limit",
        "recorded",
        "total",
    )

    def __init__(self, session: Session, *, is_masked: bool = False, limit: int = AS_RESOURCE) -> None:
        self.limit = session.resource.limits.max_payload_bytes if limit < 0 else limit
        self.is_masked = is_masked
        self._kept = 0
        self.total = 0
        self.recorded = 0
        self.durable = 0
        self._digest = session.new_digest()
        self._head = bytearray()
        self._is_taken = 0
        self._pending: deque[tuple[int, int]] = deque()

    def add(self, data: bytes) -> None:
        """Count a piece. Call before it is forwarded."""
        self.total += len(data)
        self._digest.update(data)
        if not self.is_masked:
            self.keep(data)

    def keep(self, data: bytes) -> None:
        """Keep content as far as there is room."""
        self._kept += len(data)
        room = self.limit - self._is_taken - len(self._head)
        if room > 0:
            self._head += data[:room]

    @property
    def digest(self) -> bytes:
        """The keyed digest of everything so far."""
        return self._digest.digest() if self.total else b""

    @property
    def is_truncated(self) -> bool:
        return self._kept > self.limit

    @property
    def is_full(self) -> bool:
        """Whether no more content is kept."""
        return self._kept >= self.limit

    def take(self, boundary: bytes = b"") -> bytes:
        """Content not yet in a record; up to the last boundary when one is given, so that values stay whole."""
        end = len(self._head)
        if boundary and self._is_taken + end < self.limit:
            end = self._head.rfind(boundary) + len(boundary) if boundary in self._head else 0
        piece = bytes(self._head[:end])
        del self._head[:end]
        self._is_taken += end
        return piece

    def note_record(self, ticket: int) -> None:
        """Everything so far is in the record of this ticket."""
        self.recorded = self.total
        self._pending.append((ticket, self.total))

    def settle(self, session: Session) -> None:
        """Learn which records became durable since."""
        while self._pending and session.is_released(self._pending[0][0]):
            self.durable = self._pending.popleft()[1]

    @property
    def oldest_ticket(self) -> int:
        """The next record that will become durable; 0 when none is under way."""
        return self._pending[0][0] if self._pending else 0


class Exchange:
    """Records one action. Every method that returns an int returns a ticket; all may raise AuditUnavailable."""

    __slots__ = (
        "action_id",
        "answer",
        "claims",
        "is_done",
        "is_requested",
        "is_write",
        "keep",
        "masked",
        "method",
        "request",
        "request_ticket",
        "session",
        "started",
        "upload",
    )

    def __init__(self, session: Session, method: str) -> None:
        self.session = session
        self.method = method
        self.action_id = session.next_action_id()
        self.started = time.monotonic_ns()
        self.request_ticket = 0
        self.is_done = False
        self.is_requested = False
        self.is_write = method not in heads.SAFE_METHODS
        self.answer: Tally | None = None
        self.masked: MaskedAnswer | None = None
        self.claims: Mapping[str, str] = {}  # what the body claims of run and step
        self.keep: RecordObligation | None = None  # how much of the answer policy wants recorded

    @property
    def answer_limit(self) -> int:
        """Most content bytes that are recorded of the answer."""
        if self.keep is not None and self.keep.bytes >= 0:
            return self.keep.bytes
        return self.session.resource.limits.max_payload_bytes

    def requested(
        self,
        statement: str,
        version: str,
        fields: heads.Fields,
        ruling: Ruling,
        body: bytes | None,
    ) -> int:
        """The head, and the body when it is held whole (None: it will be streamed)."""
        self.is_write |= ruling.is_write
        self.keep = ruling.keep
        limits = self.session.resource.limits
        attributes = heads.as_attributes(fields)
        attributes["http.version"] = version
        if body is None:
            attributes["http.body"] = "streamed"
        payload, kind = self._payload(body or b"", fields, attributes)
        self.session.ledger.from_agent += len(body or b"")
        self.request_ticket = self.session.record(
            EventKind.ACTION_REQUESTED,
            action_id=self.action_id,
            statement=statement[: limits.max_statement_bytes],
            fingerprint=ruling.fingerprint,
            operation=ruling.operation,
            objects=ruling.objects,
            verdict=ruling.verdict,
            attributes=attributes | ruling.attributes,
            payload=payload,
            payload_type=kind,
            payload_bytes=len(body or b""),
            payload_digest=self._digest(body or b""),
            bytes=len(body or b""),
            is_truncated=len(body or b"") > limits.max_payload_bytes or len(statement) > limits.max_statement_bytes,
            links=heads.join_links(fields, self.claims),
        )
        self.is_requested = True
        return self.request_ticket

    def show(self, body: bytes, fields: heads.Fields) -> tuple[bytes, str, dict[str, str]]:
        """A held body as it reads, its type, and the head as attributes: what `requested` records of them."""
        attributes = heads.as_attributes(fields)
        payload, kind = self._payload(body, fields, attributes)
        return payload, kind, attributes

    def decided(self, ruling: Ruling) -> int:
        """What policy said, when it is not plainly allowed."""
        return self.session.record(
            EventKind.ACTION_DECIDED,
            action_id=self.action_id,
            verdict=ruling.verdict,
            operation=ruling.operation,
            error=ruling.reason,
            attributes=ruling.attributes,
        )

    def completed(
        self,
        status: int,
        fields: Sequence[heads.Field] = (),
        body: bytes | None = b"",
        *,
        error: str = "",
        verdict: str = Verdict.NONE.value,
        trailers: Sequence[heads.Field] = (),
        shown: bytes | None = None,
    ) -> int:
        """The outcome. `body` None: what `answer` tallied. `shown`: what the agent gets of it when it was masked,
        without its coding. Once only, and only after a request: else 0."""
        if self.is_done or not self.is_requested:
            self.is_done = True
            return 0
        attributes = heads.as_attributes(tuple(fields))
        attributes |= {
            name.replace("header.", "trailer.", 1): v for name, v in heads.as_attributes(tuple(trailers)).items()
        }
        tally = self.answer if body is None else None
        if tally is not None:
            content, total, digest, cut = tally.take(), tally.total, tally.digest, tally.is_truncated
            attributes["http.body"] = "streamed"
        else:
            content, total = body or b"", len(body or b"")
            digest = self._digest(content)
            content = content if shown is None else shown
            cut = len(content) > self.answer_limit
            self.session.ledger.from_upstream += total
        payload, kind = self._payload(
            content, tuple(fields), attributes, is_plain=self.masked is not None, limit=self.answer_limit
        )
        masked = self._take_masked(attributes)
        if self.keep is not None:
            attributes["policy.record"] = write_record(self.keep)
        if self.masked is not None:
            attributes |= self.masked.why
        ticket = self.session.record(
            EventKind.ACTION_COMPLETED,
            action_id=self.action_id,
            status=str(status),
            error=error,
            verdict=verdict if self.masked is None or verdict != Verdict.NONE.value else Verdict.MASK.value,
            duration_us=(time.monotonic_ns() - self.started) // 1000,
            attributes=attributes,
            payload=payload,
            payload_type=kind,
            payload_bytes=total,
            payload_digest=digest,
            bytes=total,
            is_truncated=cut,
            masked=masked,
        )
        self.is_done = True
        return ticket

    def progress(
        self, kind: EventKind, tally: Tally, fields: heads.Fields, boundary: bytes = b"", *, is_whole: bool = False
    ) -> int:
        """How far a streamed body is. `is_whole`: this is all of it. Nothing once the outcome is recorded."""
        if self.is_done:
            tally.note_record(0)
            return 0
        attributes = {"stream.bytes": str(tally.total)}
        if is_whole:
            attributes["stream.end"] = "whole"
        since = tally.total - tally.recorded
        is_due = is_whole or bool(boundary) or tally.is_full
        content = tally.take(b"" if is_whole else boundary) if is_due else b""
        payload, payload_type = self._payload(content, fields, attributes, is_plain=tally.is_masked, limit=tally.limit)
        ticket = self.session.record(
            kind,
            action_id=self.action_id,
            attributes=attributes,
            payload=payload,
            payload_type=payload_type,
            payload_bytes=tally.total if is_whole else len(content),
            payload_digest=tally.digest if is_whole else b"",
            bytes=since,
            is_truncated=is_whole and tally.is_truncated,
            masked=self._take_masked(attributes) if tally.is_masked else [],
        )
        tally.note_record(ticket)
        return ticket

    def message(
        self,
        *,
        is_from_agent: bool,
        is_text: bool,
        content: bytes,
        is_final: bool,
        digest: bytes,
        total: int,
        shown: bytes | None = None,
    ) -> int:
        """A WebSocket message, or a part of a long one. `shown`: what the agent gets of it when it was masked."""
        if self.is_done:
            return 0
        limit = self.session.resource.limits.max_payload_bytes if is_from_agent else self.answer_limit
        ledger = self.session.ledger
        if is_from_agent:
            ledger.from_agent += len(content)
        else:
            ledger.from_upstream += len(content)
        size = len(content)
        attributes = {"websocket.opcode": "text" if is_text else "binary", "websocket.end": str(is_final).lower()}
        masked: list[Masked] = []
        if shown is not None:
            content, masked = shown, self._take_masked(attributes)
        return self.session.record(
            EventKind.DATA_SENT if is_from_agent else EventKind.DATA_RECEIVED,
            action_id=self.action_id,
            attributes=attributes,
            payload=content[:limit],
            payload_type="text" if is_text else "binary",
            payload_bytes=total,
            payload_digest=digest,
            bytes=size,
            is_truncated=len(content) > limit,
            masked=masked,
        )

    def _take_masked(self, attributes: dict[str, str]) -> list[Masked]:
        """What was masked since the last record, and what of the answer could not be."""
        if self.masked is None:
            return []
        attributes |= self.masked.attributes()
        return self.masked.report.take()

    def _digest(self, data: bytes) -> bytes:
        if not data:
            return b""
        digest = self.session.new_digest()
        digest.update(data)
        return digest.digest()

    def _payload(
        self,
        content: bytes,
        fields: heads.Fields,
        attributes: dict[str, str],
        *,
        is_plain: bool = False,
        limit: int = AS_RESOURCE,
    ) -> tuple[bytes, str]:
        """The bounded content as it reads without its coding, and its type. `is_plain`: it is without already;
        `limit`: how much of it, else as the resource says."""
        if limit < 0:
            limit = self.session.resource.limits.max_payload_bytes
        if not content or limit == 0:
            return b"", ""
        kind, encoding = b"", b""
        for name, value in fields:
            lower = name.lower()
            if lower == b"content-type":
                kind = value
            elif lower == b"content-encoding":
                encoding = value
        if encoding and encoding.lower() != b"identity":
            decoded = content if is_plain else heads.decode_content(content, encoding, limit)
            if decoded is None:
                return content[:limit], "binary"
            attributes["payload.decoded"] = encoding.decode("latin-1")
            content = decoded
        return content[:limit], heads.payload_type(kind)
