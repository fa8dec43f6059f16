"""Proxy processes as the product runs them, and their trail read straight from the raw topic."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer

from schemas import topics
from schemas.config import find_settings
from schemas.errors import RecordError, SealError
from schemas.events import ControlKind, Event, EventBatch, SealedBatch, SessionContext
from schemas.resources import Credential, Resource
from schemas.runtime import ENV_HOME, Home, now_us, read_run_state
from schemas.wire import framing, kafka
from schemas.wire.control import ControlWriter
from schemas.wire.mint import mint_secret
from schemas.wire.sealing import Unsealer
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.ports import get_free_port

ROOT = Path(__file__).parents[2]

_numbers = itertools.count(1)


@dataclass
class Proxy:
    """A running proxy process and what control holds for it."""

    home: Home
    process: subprocess.Popen[bytes]
    writer: ControlWriter
    name: str
    log: Path

    def register(self, name: str, protocol: str, upstream: dict[str, object], **settings: object) -> Resource:
        """Write a resource to control and wait until the proxy listens for it."""
        listen = get_free_port()
        resource = Resource.model_validate(
            {"name": name, "protocol": protocol, "listen": listen, "upstream": upstream, **settings}
        )
        self.writer.put(ControlKind.RESOURCE, name, resource.model_dump())
        self.wait_for(lambda: listen in self.ports.values())
        return resource

    @property
    def ports(self) -> dict[str, int]:
        state = read_run_state(self.home, self.name)
        return state.ports if state else {}

    def wait_for(self, condition: object, timeout_s: float = 30.0) -> None:
        assert callable(condition)
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM, as the supervisor does."""
        self.process.terminate()
        self.process.wait(30)


@contextmanager
def run_proxy_under(policy: str, secrets_home: Home, directory: Path, kafka_: Kafka) -> Iterator[Proxy]:
    """A TCP proxy in a home of its own below `directory`, whose policy file holds this Cedar text."""
    home = Home(directory / "home")
    shutil.copytree(secrets_home.root, home.root)
    path = home.root / "policy.cedar"
    path.write_text(policy)
    connect_home(home, kafka_, policy_file=str(path))
    with run_proxy(home) as running:
        yield running


@contextmanager
def run_proxy(home: Home, module: str = "ingest.tcp", name: str = "proxy-tcp", **environment: str) -> Iterator[Proxy]:
    """A proxy of `home`, ready; stopped at the end."""
    (home.run / f"{name}.json").unlink(missing_ok=True)
    log = home.root / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=os.environ | {ENV_HOME: str(home.root), "PYTHONPATH": str(ROOT)} | environment,
            stderr=output,
            stdout=output,
            cwd=home.root,
        )
    proxy = Proxy(home, process, ControlWriter(find_settings(home), home), name, log)
    try:
        proxy.wait_for(lambda: (state := read_run_state(home, name)) is not None and state.is_ready)
        yield proxy
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Login:
    """A credential and its secret."""

    id: str
    secret: str


def issue_credential(
    home: Home,
    writer: ControlWriter,
    name: str = "agent",
    resources: tuple[str, ...] = ("*",),
    ttl_s: float = 600,
    **more: object,
) -> Login:
    """Write a credential to control; `more` are other fields of it.

    Each has an id of its own, as in the product: under an id used before, a proxy would ask for the secret of the
    older one until it has read the new one.
    """
    id = f"{name}-{next(_numbers)}"
    expires_at = now_us() + int(ttl_s * 1e6)
    who = {"id": id, "principal": "ann@example.test", "agent": "planner/1.0"}
    credential = Credential.model_validate(who | {"resources": list(resources), "expires_at": expires_at} | more)
    writer.put(ControlKind.CREDENTIAL, id, credential.model_dump())
    return Login(id, mint_secret(home.read_key("mint.key"), id, expires_at))


def read_raw(home: Home) -> list[EventBatch]:
    """Every batch on the raw topic that this home's key opens, partition by partition, in order."""
    settings = find_settings(home)
    config = kafka.reader_config(settings, home, "mask")
    key = home.unseal_key()
    unsealer = Unsealer({key.public_key().id: key})
    probe = Consumer(config)
    count = kafka.partition_count(probe, topics.RAW)
    ends = [kafka.watermarks(probe, topics.RAW, number) for number in range(count)]
    probe.close()
    batches = []
    seen = set()
    for number, (low, high) in enumerate(ends):
        for message in kafka.read_range(config, topics.RAW, number, low, high):
            try:
                sealed = framing.decode(message.value())
                assert isinstance(sealed, SealedBatch)
                plain = unsealer.unseal(sealed)
            except (RecordError, SealError):
                continue  # no proxy's: the topic is shared with tests that put junk there
            # A spool's drain may send a batch again; the masking processor drops it by these coordinates.
            coordinates = (sealed.header.proxy_epoch, number, sealed.header.batch_seq)
            if coordinates in seen:
                continue
            seen.add(coordinates)
            batches.append(framing.BUILDERS["EventBatch"](framing.decode_body("EventBatch", plain)))
    return batches


@dataclass
class Trail:
    """What was recorded of one session."""

    context: SessionContext
    events: list[Event]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


def read_trails(home: Home, resource: str) -> list[Trail]:
    """The sessions of a resource in the order of their opening; asserts that each has seq 1, 2, 3, …"""
    contexts: dict[str, SessionContext] = {}
    events: dict[str, list[Event]] = defaultdict(list)
    for batch in read_raw(home):
        for item in batch.events:
            context = batch.sessions[item.session]
            contexts[context.session_id] = context
            events[context.session_id].append(item.event)
    for session_id, found in events.items():
        if contexts[session_id].resource != resource:
            continue
        assert [event.seq for event in found] == list(range(1, len(found) + 1)), session_id
    trails = [Trail(context, events[id]) for id, context in contexts.items() if context.resource == resource]
    return sorted(trails, key=lambda trail: trail.context.opened_at)


def wait_for_trails(home: Home, resource: str, count: int, timeout_s: float = 20.0) -> list[Trail]:
    """Read until `count` sessions of the resource are closed."""
    deadline = time.monotonic() + timeout_s
    while True:
        trails = read_trails(home, resource)
        if sum(trail.kinds()[-1] == "session.closed" for trail in trails) >= count:
            return trails
        assert time.monotonic() < deadline, [trail.kinds() for trail in trails]
        time.sleep(0.1)
