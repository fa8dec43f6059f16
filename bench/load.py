"""Sealed batches as a busy PostgreSQL proxy makes them: pgbench-like reads and writes, some with personal data in them.

About 600 bytes an event and 100 to 500 events a batch, which is what group commit gathers while a batch is in flight.
Each partition has a proxy epoch of its own with its own sessions, as several proxy processes would.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.events import Event, EventKind, SessionContext, Verdict
from schemas.runtime import Home, now_us
from schemas.wire import framing
from schemas.wire.batching import BatchBuilder, encode_context, encode_event
from schemas.wire.sealing import Sealer

PROXY: Final = "bench-proxy"
SESSIONS: Final = 16
BATCH_EVENTS: Final = (100, 500)
READ: Final = "SELECT aid, bid, abalance, filler, note FROM pgbench_accounts WHERE aid = {aid}"
FIND: Final = "SELECT id, name, email, card FROM customers WHERE email = '{email}' AND region = {region} LIMIT 5"
WRITE: Final = "UPDATE pgbench_accounts SET abalance = abalance + {delta}, touched_at = now() WHERE aid = {aid}"
SECRET_SHARE: Final = 0.05
CARDS: Final = ("4111111111111111", "5500005555555559", "340000000000009")


@dataclass
class Epoch:
    """One proxy epoch that writes to one partition."""

    partition: int
    sealer: Sealer
    numbers: random.Random
    next_seq: int = 0
    seqs: list[int] = field(default_factory=lambda: [0] * SESSIONS)
    contexts: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for index in range(SESSIONS):
            session_id = self.numbers.randbytes(16).hex()
            context = SessionContext(
                session_id,
                principal="ann@example.test",
                agent=f"planner-{self.partition}-{index % 4}/1.0",
                run_id=f"run-{self.numbers.getrandbits(40):x}",
                resource="accounts",
                protocol="postgres",
                source_ip="127.0.0.1",
                source_port=40_000 + index,
                client="pgbench",
                upstream="127.0.0.1:5432",
                opened_at=now_us(),
                credential_id="agent-1",
                attributes={"user": "planner", "database": "accounts"},
            )
            self.contexts.append((session_id, encode_context(context)))

    def seal_batch(self, count: int) -> bytes:
        """The framed raw record of a batch of `count` events (an even number: a request and its outcome each)."""
        builder = BatchBuilder()
        for _ in range(count // 2):
            index = self.numbers.randrange(SESSIONS)
            session_id, context = self.contexts[index]
            for event in self._action(session_id, self.seqs[index]):
                builder.add(session_id, context, encode_event(event))
            self.seqs[index] += 2
        plain = builder.build(PROXY, self.sealer.epoch, self.next_seq)
        record = self.sealer.seal_body(plain, self.partition, self.next_seq, now_us())
        self.next_seq += 1
        return framing.prefix_of("SealedBatch") + record

    def _action(self, session_id: str, seq: int) -> tuple[Event, Event]:
        numbers, at = self.numbers, now_us()
        aid, kind = numbers.randrange(1_000_000), numbers.random()
        has_secret = numbers.random() < SECRET_SHARE
        template = WRITE if kind < 0.3 else FIND if has_secret else READ
        email = f"customer.{aid}@example.com"
        statement = template.format(aid=aid, delta=numbers.randrange(-5000, 5000), email=email, region=aid % 90)
        attributes = {"kind": "query", "portal": "", "rule": "default"}
        request = Event(
            seq + 1, at, EventKind.ACTION_REQUESTED.value, f"{session_id}.{seq // 2 + 1}", statement,
            fingerprint=f"{crc32(template.encode()):016x}", operation="write" if template is WRITE else "read",
            objects=["customers" if template is FIND else "pgbench_accounts"], verdict=Verdict.ALLOW.value,
            bytes=len(statement) + 6, attributes=attributes, opening=numbers.randbytes(16),
        )  # fmt: skip
        payload = b"" if template is WRITE else self._rows(aid, email, has_secret)
        outcome = Event(
            seq + 2, at + 300, EventKind.ACTION_COMPLETED.value, request.action_id, status="00000",
            rows=1 if template is WRITE else 6 - 3 * has_secret, bytes=len(payload) + 60,
            duration_us=numbers.randrange(100, 900),
            attributes={"kind": "query", "tag": "UPDATE 1" if template is WRITE else "SELECT 6"},
            payload=payload, payload_type="rows" if payload else "", payload_bytes=len(payload) + 60,
            payload_digest=numbers.randbytes(32), opening=numbers.randbytes(16),
        )  # fmt: skip
        return request, outcome

    def _rows(self, aid: int, email: str, has_secret: bool) -> bytes:
        if has_secret:
            rows = [[str(aid + i), f"Customer {aid}", email, self.numbers.choice(CARDS)] for i in range(3)]
            return orjson.dumps({"columns": ["id", "name", "email", "card"], "rows": rows})
        words = [f"{self.numbers.getrandbits(48):x}" for _ in range(12)]
        rows = [
            [
                str(aid + i),
                str(aid % 50),
                str(self.numbers.randrange(100_000)),
                "x" * 84,
                " ".join(words[2 * i : 2 * i + 2]),
            ]
            for i in range(6)
        ]
        return orjson.dumps({"columns": ["aid", "bid", "abalance", "filler", "note"], "rows": rows})


@dataclass(frozen=True, slots=True)
class Sealed:
    """One record for the raw topic."""

    partition: int
    events: int
    record: bytes


class Load:
    """Batches for `partitions` partitions in turn, the same ones for the same seed."""

    def __init__(self, home: Home, partitions: int, seed: int = 1) -> None:
        self.key = Ed25519PrivateKey.generate()
        numbers = random.Random(seed)
        self._numbers = numbers
        self._epochs = [
            Epoch(number, Sealer(PROXY, self.key, home.unseal_public()), random.Random(numbers.random()))
            for number in range(partitions)
        ]

    @property
    def public(self) -> str:
        """The proxy's public key, hexadecimal, as control holds it."""
        return self.key.public_key().public_bytes_raw().hex()

    def batches(self, events: int) -> Iterator[Sealed]:
        """Batches of together `events` events, rounded up to a batch."""
        made = 0
        while made < events:
            for epoch in self._epochs:
                count = self._numbers.randrange(BATCH_EVENTS[0], BATCH_EVENTS[1], 2)
                yield Sealed(epoch.partition, count, epoch.seal_batch(count))
                made += count
