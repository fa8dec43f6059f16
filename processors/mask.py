"""The masking stage: raw record in, exactly one derived batch out, same partition, in order.

State per partition: how far the own output reaches (the origin chain) and which batches of which proxy epoch it holds
(`EpochLedger`). Both are read back from the output: a snapshot names the offset of the sessions partition at which it
was taken, and only what stands behind it is scanned, by the first fields of each batch. Without a snapshot the whole
partition is scanned. What counts while scanning is what counts for every reader: the first occurrence of the next
origin. The snapshot also outlives the sessions topic's retention, so an idle partition forgets nothing.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from masking.free_text import load_finder, make_masker
from masking.tokens import FlowKey, TokenRing
from processors.admission import Refused, decode_sealed, open_sealed, verify_sealed
from processors.app import StageApp
from processors.borders import BorderMasker
from processors.derivation import DEAD, MAX_DERIVED_BYTES, dead_letter, derive, derive_gap
from processors.epochs import EpochLedger
from processors.flows_of import FlowReader
from processors.heads import headers_of, read_head
from processors.pieces import Lexicon
from processors.proxy_keys import ProxyKeys
from processors.redaction import Redactor
from processors.stage import Headers, Partition, Stage, Wait
from schemas import topics
from schemas.cache import PrivateCache, shipped_dir
from schemas.config import Settings
from schemas.errors import ConfigError, KeyMissing
from schemas.events import Origin, Progress, SealedHeader
from schemas.keys import RingWatch, older_keys, read_ring
from schemas.runtime import Home, now_us
from schemas.wire import kafka
from schemas.wire.control import ControlView
from schemas.wire.redriving import note_of
from schemas.wire.sealing import Unsealer
from schemas.wire.suites import private_from

log = logging.getLogger(__name__)

TRIM_S: Final = 30.0
REFRESH_S: Final = 3.0
FREE_TEXT_PATIENCE: Final = 10.0
"""A language model takes up to half a minute for a full batch."""


@dataclass(slots=True)
class MaskState:
    """What one partition's output holds. `log_id`, `offset`: the last origin given; `out_next`: where to scan from."""

    ledger: EpochLedger = field(default_factory=EpochLedger)
    log_id: str = ""
    offset: int = -1
    out_next: int = 0
    masked_at: deque[tuple[float, int]] = field(default_factory=deque)
    notes: list[Mapping[str, str]] = field(default_factory=list)

    def accept(self, head: Mapping[str, Any]) -> bool:
        """Take a derived batch over when it is the first occurrence of the next origin."""
        origin = head["origin"]
        if origin is None:
            return False
        is_next = self.log_id != origin["log_id"] or origin["offset"] == self.offset + 1 or self.offset < 0
        if is_next:
            self.log_id, self.offset = origin["log_id"], origin["offset"]
            if head["proxy_epoch"]:
                self.ledger.add(head["proxy_epoch"], head["batch_seq"])
        return is_next


class MaskStage(Stage):
    """raw -> sessions."""

    component: ClassVar[str] = "mask"
    source: ClassVar[str] = topics.RAW

    def __init__(self, settings: Settings, home: Home, app: StageApp, view: ControlView) -> None:
        super().__init__(settings, home, app)
        self._view = view
        self._keys = ProxyKeys(view)
        self._unsealer = Unsealer({})
        self._token_keys = RingWatch(home, settings.masking.token_key)
        ring = self._token_keys.read()
        self._tokens = TokenRing(ring.keys)
        finder = load_finder(settings.masking)
        masker = make_masker(finder, tokens=self._tokens, kept=PrivateCache(home.cache, shipped_dir()))
        self._redactor = Redactor(masker)
        self._borders = BorderMasker(masker)
        self.patience = FREE_TEXT_PATIENCE if finder is not None else 1.0
        self._lexicon = Lexicon()
        self._flows = FlowReader(FlowKey(ring.current))
        self._refreshed: dict[int, int] = {}
        self._sessions_id = ""
        self._trimmed_at = time.monotonic()
        self._grace_s = settings.masking.raw_grace_s

    # ── reading the own output back ──

    def restore_partition(self, number: int, saved: Progress | None) -> Partition:
        self._sessions_id = kafka.topic_id(self.reader_config, topics.SESSIONS)
        state = self._saved(number, saved)
        self._scan(number, state)
        low, high = self._bounds(topics.RAW, number)
        expected = state.offset + 1 if state.log_id == self.source_id else 0
        if state.log_id not in ("", self.source_id):
            log.error("alarm: the raw topic is another one than before (partition %d): a new log begins", number)
            detail = f"the log {state.log_id} ended at offset {state.offset}"
            state.notes.append({"reason": "log_replaced", "detail": detail})
        part = Partition(number, expected, state)
        if state.log_id == "" and state.offset < 0:
            part.expected = low  # nothing was ever masked here: what was trimmed then is nobody's
        elif low > expected:
            part.waits_for = f"raw records {expected} to {low - 1} are gone"
            self.raise_alarm(f"partition {number}", part.waits_for)
        elif high < expected:
            part.waits_for = f"the raw log ends at {high}, but {expected - 1} was masked already"
            self.raise_alarm(f"partition {number}", part.waits_for)
        return part

    def _saved(self, number: int, saved: Progress | None) -> MaskState:
        values = self.saved_state(saved)
        if saved is None or values is None:
            return MaskState()
        state = MaskState(EpochLedger(values["epochs"]), saved.log_id, saved.offset)
        state.out_next = int(values["out_next"]) if values["sessions_id"] == self._sessions_id else 0
        return state

    def _scan(self, number: int, state: MaskState) -> None:
        low, high = self._bounds(topics.SESSIONS, number)
        start = max(low, state.out_next)
        refused = 0
        for message in kafka.read_range(self.reader_config, topics.SESSIONS, number, start, high):
            refused += not state.accept(read_head(message.value() or b""))
        state.out_next = high
        log.info("%s[%d]: read %d batches back, %d repeats", topics.SESSIONS, number, high - start, refused)

    def _bounds(self, topic: str, number: int) -> tuple[int, int]:
        probe = Consumer(self.reader_config)
        try:
            return kafka.watermarks(probe, topic, number)
        finally:
            probe.close()

    def save(self, part: Partition) -> Any:
        state: MaskState = part.state
        return {
            "sessions_id": self._sessions_id,
            "out_next": state.out_next,
            "epochs": state.ledger.save(),
        }

    # ── one record ──

    async def absorb(self, part: Partition, message: Any) -> None:
        origin = Origin(self.source_id, part.number, message.offset)
        state: MaskState = part.state
        value = message.value or b""
        notes = list(state.notes)
        if (redriven := note_of(message.headers)) is not None:
            notes.append(redriven)
        header: SealedHeader | None
        headers: Headers = None
        try:
            header, derived, headers = await self._derive(part, message, value, origin, notes)
        except Refused as refused:
            header = refused.claimed if refused.reason in ("duplicate", "too_large") else None
            derived = derive_gap(refused, origin, self._redactor, notes, now_us())
            if refused.reason in DEAD:
                log.error("%s[%d] %d: %s: %s", self.source, part.number, origin.offset, refused.reason, refused.detail)
                letter = dead_letter(refused, origin, value, now_us())
                # First the dead letter, durably: a restart between the two repeats it, and none is ever missing.
                await (await self.send(part, topics.DEADLETTER, 0, letter))
        await self.send(part, topics.SESSIONS, part.number, derived, None, headers)
        if header is not None:
            state.ledger.add(header.proxy_epoch, header.batch_seq)
        state.log_id, state.offset = origin.log_id, origin.offset
        state.notes.clear()

    async def _derive(
        self, part: Partition, message: Any, value: bytes, origin: Origin, notes: list[Mapping[str, str]]
    ) -> tuple[SealedHeader, bytes, Headers]:
        sealed = decode_sealed(value)
        try:
            verify_sealed(sealed, part.number, self._keys)
        except Refused as refused:
            if refused.reason != "forged" or not await self._learn_keys(part, message):
                raise
            verify_sealed(sealed, part.number, self._keys)
        header = sealed.header
        self._judge(part.state.ledger, header, notes)
        try:
            opened = open_sealed(sealed, self._unsealer, self._lexicon)
        except KeyMissing:
            self._reread_keys()
            try:
                opened = open_sealed(sealed, self._unsealer, self._lexicon)
            except KeyMissing as missing:
                raise Wait(str(missing)) from None
        derived = derive(opened, origin, self._redactor, self._lexicon, notes, now_us(), self._flows, self._borders)
        room = MAX_DERIVED_BYTES - len(derived.value)
        headers = headers_of(derived.slices, derived.facts, derived.tallies, origin, room, derived.flows)
        return header, derived.value, headers

    def _judge(self, ledger: EpochLedger, header: SealedHeader, notes: list[Mapping[str, str]]) -> None:
        arrival = ledger.judge(header.proxy_epoch, header.batch_seq)
        facts = {
            "proxy_id": header.proxy_id,
            "proxy_epoch": header.proxy_epoch,
            "batch_seq": str(header.batch_seq),
        }
        if arrival == "duplicate":
            raise Refused("duplicate", "this batch of its proxy epoch was given before", header)
        if arrival == "jump":
            expected = ledger.expected(header.proxy_epoch)
            detail = f"batches {expected} to {header.batch_seq - 1} of this proxy epoch have not come"
            notes.append({"reason": "missing_batches", "detail": detail, **facts})
        if arrival == "late":
            notes.append({"reason": "late_batch", "detail": "reported as missing before", **facts})

    async def _learn_keys(self, part: Partition, message: Any) -> bool:
        """Read control to its end, unless that was done since this record was fetched. Raises Wait."""
        if message.offset < self._refreshed.get(part.number, 0):
            return False
        ends = {tp.partition: self.app.consumer.highwater(tp) or 0 for tp in self.app.consumer.assignment()}
        if not await asyncio.to_thread(self._view.refresh, REFRESH_S):
            raise Wait("the control topic cannot be read to its end, so a proxy's key may be missing")
        self._refreshed = ends
        return True

    def _reread_keys(self) -> None:
        """Every unsealing key there is now, also those that were rotated away: what they sealed may still come."""
        reference = self.settings.sealing.unseal_key
        self._add_unseal_keys(lambda: read_ring(self.home, reference).keys)
        if reference.startswith("file:"):  # the older ones open what they opened, whatever became of the newest
            self._add_unseal_keys(lambda: older_keys(self.home, reference.removeprefix("file:")))

    def _add_unseal_keys(self, read: Callable[[], Iterable[bytes]]) -> None:
        try:
            for raw in read():
                self._unsealer.add_key(private_from(raw))
        except (ConfigError, ValueError) as error:
            log.debug("unsealing key: %s", error)

    def on_acknowledged(self, part: Partition, metadata: Any) -> None:
        if metadata.topic != topics.SESSIONS:
            return
        state: MaskState = part.state
        state.out_next = max(state.out_next, metadata.offset + 1)

    # ── trimming raw behind the own progress ──

    async def tick(self) -> None:
        await super().tick()
        self._follow_token_keys()
        now = time.monotonic()
        for part in self.partitions.values():
            marks = part.state.masked_at
            if part.settled >= 0 and (not marks or marks[-1][1] < part.settled):
                marks.append((now, part.settled))
        if now - self._trimmed_at >= min(TRIM_S, self._grace_s + 1.0):
            self._trimmed_at = now
            await asyncio.to_thread(self._trim, now - self._grace_s)

    def _follow_token_keys(self) -> None:
        """Go over to a rotated token key between two batches; with a ring that cannot be read, stay with the last."""
        try:
            ring = self._token_keys.poll()
        except ConfigError as error:
            self.raise_alarm("token key", str(error))
            return
        self.clear_alarm("token key")
        if ring is not None:
            self._tokens.replace(ring.keys)
            self._flows.use(FlowKey(ring.current))
            log.warning("the token key was rotated: %d keys are known now", len(ring.keys))

    def _trim(self, before: float) -> None:
        """DeleteRecords up to what was masked before that moment."""
        targets = []
        for part in list(self.partitions.values()):
            marks, through = part.state.masked_at, -1
            while marks and marks[0][0] <= before:
                through = marks.popleft()[1]
            if through >= 0:
                targets.append(TopicPartition(topics.RAW, part.number, through + 1))
        if not targets:
            return
        admin = AdminClient(kafka.client_config(self.settings, self.home, self.component))
        for target, future in admin.delete_records(targets, request_timeout=kafka.TIMEOUT_S).items():
            try:
                future.result()
            except KafkaException as error:
                log.warning("%s[%d] was not trimmed: %s", topics.RAW, target.partition, error.args[0].str())
